/** A thread, and a process, that ends with a device open: stopped, its BAR unmapped, and closed, in that order. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addon, withShim } from "./native.ts";

const here = fileURLToPath(new URL("./ended/", import.meta.url));

/** What is done to each of them, from when all is open on. */
const STOPPED = ["device command 0x2"];
const CLOSED = [...STOPPED, "munmap", "close device", "close group", "close container"];

const ends: Readonly<Record<string, readonly string[]>> = {
  terminated: CLOSED,
  "worker ends": CLOSED,
  "worker throws": CLOSED,
  "process ends": CLOSED,
  // The kernel closes the rest.
  "process.exit": STOPPED,
  "process throws": STOPPED,
};

/** Descriptors of this process that lead to eventfds, and to a file; and maps of that. */
function openNow(path: string) {
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // the directory's own, which is closed again
    }
  });
  return {
    eventfds: targets.filter((target) => target.includes("eventfd")).length,
    files: targets.filter((target) => target === path).length,
    maps: readFileSync("/proc/self/maps", "utf8").split(path).length - 1,
  };
}

withShim(
  (shim) => {
    const directory = mkdtempSync(join(tmpdir(), "dma-window-ended-"));
    test.after(() => rmSync(directory, { recursive: true }));
    const library = join(directory, "kernel.so");
    const compiled = spawnSync("cc", ["-shared", "-fPIC", "-o", library, join(here, "kernel.c"), "-ldl"], {
      encoding: "utf8",
    });
    if (compiled.error) {
      test("without a C compiler there is no device to be left open", () =>
        assert.match(String(compiled.error), /ENOENT/));
      return;
    }

    /** What was done, one line each. */
    function logOf(how: string, more: NodeJS.ProcessEnv = {}): string[] {
      assert.is(compiled.status, 0, compiled.stderr);
      for (const name of ["container", "group"]) writeFileSync(join(directory, name), "");
      writeFileSync(join(directory, "device"), new Uint8Array(8192));
      writeFileSync(join(directory, "log"), "");
      const { stderr, signal } = spawnSync(
        process.execPath,
        [join(here, "program.mjs"), JSON.stringify({ addon, how })],
        { encoding: "utf8", env: { ...process.env, ...more, LD_PRELOAD: library, FAKE_VFIO: directory } },
      );
      assert.is(signal, null, stderr);
      assert.not.match(stderr, "was closed");
      return readFileSync(join(directory, "log"), "utf8").trim().split("\n");
    }

    for (const [how, expected] of Object.entries(ends)) {
      test(`${how}: ${expected.join(", ")}`, () => {
        const log = logOf(how);
        const begun = ["device command 0x6", "close group"];
        assert.equal(log.slice(0, 2), begun);
        const isWorker = !how.startsWith("process");
        assert.equal(log.slice(2), isWorker ? [...expected, "close container"] : expected);
      });
    }

    test("a device that is being opened as its thread is ended is closed too", () => {
      assert.equal(logOf("opening meanwhile", { FAKE_VFIO_SLOW: "1" }), [
        "close device",
        "close group",
        "close container",
      ]);
    });

    test("numbers of descriptors that others have by now are left to them", () => {
      const { stdout, stderr, status } = spawnSync(process.execPath, [join(here, "numbers.mjs"), addon], {
        encoding: "utf8",
        timeout: 60_000,
      });
      assert.is(status, 0, stderr);
      const { before, after } = JSON.parse(stdout) as Record<"before" | "after", string[]>;
      for (const name of ["inotify", "[eventpoll]", "[eventfd]"]) {
        assert.ok(
          before.some((target) => target.startsWith(`anon_inode:${name} `)),
          `${name} in ${before}`,
        );
      }
      assert.equal(after, before);
    });

    test("descriptors and maps of workers that are terminated are gone with them", async () => {
      const program = `
      const { parentPort, workerData } = require("node:worker_threads");
      const shim = require(workerData.addon);
      for (let i = 0; i < 8; i++) shim.listen(shim.eventfd(), () => {});
      const fd = shim.open(workerData.path);
      shim.mapRegisters(fd, 0n, 8192);
      parentPort.postMessage("open");
      setInterval(() => {}, 1000);`;
      const own = shim.eventfd();
      const path = join(directory, "memory");
      writeFileSync(path, new Uint8Array(8192));
      const held = () => openNow(path);
      const turn = async () => {
        const worker = new Worker(program, { eval: true, workerData: { addon, path } });
        await new Promise((resolve) => worker.once("message", resolve));
        const during = held();
        await worker.terminate();
        return during;
      };
      await turn(); // what the first worker of a process brings stays
      const before = held();
      for (let i = 0; i < 5; i++) {
        const during = await turn();
        assert.ok(during.eventfds >= before.eventfds + 8 && during.files === 1 && during.maps === 1);
      }
      assert.equal(held(), before);
      assert.is(shim.takeEvents(own), 0);
      shim.close(own);
    });
  },
  "eventfd()",
  (kernel) => kernel.eventfd?.(),
);

test.run();
