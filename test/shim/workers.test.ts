import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Protection } from "../../src/syscalls.ts";
import { withShim } from "./native.ts";

const path =
  process.env.DMA_WINDOW_SHIM || fileURLToPath(new URL("../../build/Release/vfio_shim.node", import.meta.url));

/** A thread with an environment of its own, which ends with its view still live. */
function increment(address: bigint, length: bigint): Promise<unknown> {
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    const shim = require(workerData.path);
    const bytes = new Uint8Array(shim.view(workerData.address, workerData.length));
    let refused;
    try { shim.close(-1); } catch (error) { refused = error.code; }
    bytes[workerData.index]++;
    parentPort.postMessage({ refused, pageSize: shim.pageSize() });
  `;
  return new Promise((resolve, reject) => {
    let message: unknown;
    const worker = new Worker(program, { eval: true, workerData: { path, address, length, index: 5 } });
    worker.on("message", (value) => {
      message = value;
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve(message));
  });
}

withShim(
  (shim) => {
    test("several threads use the shim, and memory outlives a thread that ended with a view of it", async () => {
      const length = BigInt(shim.pageSize());
      const address = shim.mmap(0n, length, Protection.READ | Protection.WRITE, 0, 0);
      const bytes = new Uint8Array(shim.view(address, length));
      bytes[5] = 40;
      const expected = { refused: "ERR_OUT_OF_RANGE", pageSize: shim.pageSize() };
      assert.equal(await increment(address, length), expected);
      assert.equal(await increment(address, length), expected);
      assert.is(bytes[5], 42);
      const both = await Promise.all([increment(address, length), increment(address, length)]);
      assert.equal(both, [expected, expected]);
      // Also after the threads' heaps are gone this one still reads its memory, and gives it back.
      assert.ok((bytes[5] ?? 0) > 42);
      shim.detach(bytes.buffer as ArrayBuffer);
      assert.is(shim.munmap(address, length), 0);
    });

    test("a thread may be ended while it loads the shim", async () => {
      // In a process of its own: it ended by SIGABRT. The delays go over the time that a thread takes to come that far.
      const program = `
        const { Worker } = require("node:worker_threads");
        (async () => {
          for (let i = 0; i < 120; i++) {
            const worker = new Worker("require(process.env.SHIM)", { eval: true }).on("error", () => {});
            await new Promise((resolve) => setTimeout(resolve, 8 + (i % 60) / 3));
            await worker.terminate();
          }
          console.log("alive");
        })();`;
      const child = spawn(process.execPath, ["-e", program], { env: { ...process.env, SHIM: path } });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (said += text));
      const ended = await new Promise((resolve) => child.on("close", (code, signal) => resolve([code, signal])));
      assert.equal(ended, [0, null], said);
    });
  },
  "view()",
  (kernel) => kernel.view(65536n, 4096n),
);

test.run();
