/** Views of real memory whose buffers a program moves, marks and keeps: their end, and what is left of them after it. */
import { spawnSync } from "node:child_process";
import { randomFill } from "node:crypto";
import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MessageChannel, markAsUntransferable, receiveMessageOnPort } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { Protection, sightIn } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { withShim } from "./native.ts";

const PAGE = 4096;
type Movable = ArrayBuffer & { transfer(length?: number): ArrayBuffer };
const moves = "transfer" in ArrayBuffer.prototype;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Collects garbage, and lets the engine say so. */
async function collected(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
  }
}

function allocated(pages = 1, listPages = 4) {
  const memory = new MemsegTable({ kernel: linuxKernel() });
  const list = memory.addList({ pageSize: PAGE, maxBytes: listPages * PAGE });
  const segment = memory.allocate(list, pages);
  segment.bytes.fill(42);
  return { memory, list, segment };
}

/** Whether an address belongs to this process. */
function isMapped(va: bigint): boolean {
  return readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) /.exec(line))
    .some((range) => range !== null && va >= BigInt(`0x${range[1]}`) && va < BigInt(`0x${range[2]}`));
}

/** Each way that a program can move a buffer, or keep it from being ended. */
const ways: Record<string, (buffer: ArrayBuffer) => ArrayBuffer> = {
  ...(moves
    ? {
        transfer: (buffer) => (buffer as Movable).transfer(),
        "transfer twice": (buffer) => ((buffer as Movable).transfer() as Movable).transfer(),
        structuredClone: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
        MessageChannel: (buffer) => {
          const { port1, port2 } = new MessageChannel();
          port1.postMessage(buffer, [buffer]);
          const { message } = receiveMessageOnPort(port2) as { message: ArrayBuffer };
          port1.close();
          return message;
        },
      }
    : {}),
  "asm.js": (buffer) => {
    const body = '"use asm"; var h = new stdlib.Uint8Array(heap); function f() { return h[0] | 0; } return { f: f };';
    new Function("stdlib", "foreign", "heap", body)(globalThis, {}, buffer).f();
    return buffer;
  },
  markAsUntransferable: (buffer) => {
    markAsUntransferable(buffer);
    return buffer;
  },
};

withShim(
  () => {
    test("the view of a freed segment has length 0, and its addresses are free at once", async () => {
      const { memory, list, segment } = allocated(4);
      (() => {
        const data = new DataView(segment.bytes.buffer);
        const views = [segment.bytes, segment.view(1, 2), segment.bytes.subarray(5)];
        memory.free(segment);
        assert.equal(
          views.map(({ byteLength }) => byteLength),
          [0, 0, 0],
        );
        assert.throws(() => data.byteLength, TypeError);
      })();
      assert.is(memory.allocate(list, 4).va, segment.va);
      memory.close();
    });

    for (const [name, move] of Object.entries(ways)) {
      test(`after ${name} and free the old buffer is harmless, and nobody gets its memory until it is collected`, async () => {
        const { memory, list, segment } = allocated(2);
        await (async () => {
          let kept: Uint8Array | undefined = new Uint8Array(move(segment.bytes.buffer as ArrayBuffer));
          assert.is(kept[0], 42);
          memory.free(segment);
          // On some Nodes a mark keeps a buffer from being ended, on others not.
          if (kept.length === 0) return;
          assert.equal([kept[0], kept.at(-1)], [0, 0], "not the old memory");
          kept.fill(7);
          const next = memory.allocate(list, 2);
          assert.is(next.va, segment.va + segment.length);
          assert.ok(next.bytes.every((byte) => byte === 0));
          const error = failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
          assert.is(error.facts?.waiting, segment.length);
          kept.fill(8);
          assert.ok(next.bytes.every((byte) => byte === 0));
          memory.free(next);
          kept = undefined;
        })();
        await collected();
        const whole = memory.allocate(list, 4);
        assert.is(whole.va, list.base);
        assert.ok(whole.bytes.every((byte) => byte === 0));
        memory.close();
        await collected();
        new MemsegTable({ kernel: linuxKernel() }).addList({ pageSize: PAGE, maxBytes: PAGE });
        assert.not(isMapped(list.base));
      });

      test(`after ${name} and close the old buffer is harmless, and its address space stays the process's`, async () => {
        const { memory, segment } = allocated(2);
        const kept = new Uint8Array(move(segment.bytes.buffer as ArrayBuffer));
        memory.close();
        if (kept.length === 0) return;
        assert.equal([kept[0], kept.at(-1)], [0, 0]);
        assert.equal([isMapped(segment.va), isMapped(segment.va + BigInt(3 * PAGE))], [true, false]);
        await collected();
        new MemsegTable({ kernel: linuxKernel() }).addList({ pageSize: PAGE, maxBytes: PAGE });
        kept.fill(1);
        assert.ok(isMapped(segment.va));
      });
    }

    test("what is under way into a view when its segment is freed reaches no other segment, and no hole", async () => {
      const { memory, list, segment } = allocated(512, 1024);
      const fills = Array.from({ length: 8 }, () => new Promise((done) => randomFill(segment.bytes, done)));
      const { bytes } = segment;
      memory.free(segment);
      assert.is(bytes.length, 0);
      const next = memory.allocate(list, 512);
      assert.is.not(next.va, segment.va);
      await Promise.all(fills);
      const found = new Uint8Array(512 * PAGE);
      next.read(0, found);
      assert.ok(found.every((byte) => byte === 0));
      // Once nothing is under way any more the addresses are free.
      assert.is(memory.allocate(list, 512).va, segment.va);
      memory.close();
    });

    test("a full list finds out at once which buffers nothing holds any more", async () => {
      const { memory, list } = allocated(1, 8);
      const busy = new Promise((done) => randomFill(new Uint8Array(1 << 22), done));
      for (let i = 0; i < 200; i++) {
        const segment = memory.allocate(list, 1);
        segment.bytes[0] = 1;
        memory.free(segment);
      }
      memory.close();
      await busy;
    });

    if (moves) {
      test("a segment whose view was moved is shown by a new one, and read and written all the same", () => {
        const { memory, segment } = allocated();
        const moved = new Uint8Array((segment.bytes.buffer as Movable).transfer());
        assert.is(segment.bytes[0], 42);
        moved[1] = 43;
        assert.equal([segment.bytes[1], segment.view(1, 1)[0]], [43, 43]);
        segment.write(2, Uint8Array.of(44));
        assert.is(moved[2], 44);
        memory.close();
      });

      test("a kernel's unview tells of a moved view until it is gone", async () => {
        const kernel = linuxKernel();
        const va = kernel.mmap(0n, BigInt(PAGE), Protection.READ | Protection.WRITE, 0, 0);
        const sight = await (async () => {
          const view = kernel.view(va, BigInt(PAGE));
          const kept = (view.buffer as Movable).transfer();
          const seen = sightIn(kernel.unview(view));
          await collected();
          assert.equal([seen?.moved, seen?.seen(), kept.byteLength], [true, true, PAGE]);
          return seen;
        })();
        await collected();
        assert.is(sight?.seen(), false);
        assert.is(kernel.munmap(va, BigInt(PAGE)), 0);
      });
    }

    for (const [end, code] of [
      ["", 0],
      ["process.exit(0)", 0],
      ["throw new Error('as asked')", 1],
      ["setTimeout(() => process.exit(0), 1)", 0],
      ["queueMicrotask(() => process.exit(0))", 0],
    ] as const) {
      test(`a process ends well with views open, moved and marked: ${end || "of itself"}`, () => {
        const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)));
        const program = `
          import { markAsUntransferable } from "node:worker_threads";
          import { linuxKernel } from ${source("linux/index.ts")};
          import { MemsegTable } from ${source("memory/table.ts")};
          const memory = new MemsegTable({ kernel: linuxKernel() });
          const list = memory.addList({ pageSize: 4096, maxBytes: 1 << 20 });
          const made = Array.from({ length: 6 }, () => memory.allocate(list, 1).bytes.fill(1));
          markAsUntransferable(made[0].buffer);
          globalThis.kept = [made, made[1].buffer.transfer?.()];
          if (globalThis.kept[1]) markAsUntransferable(globalThis.kept[1]);
          memory.addList({ pageSize: 4096, maxBytes: 4096 });
          console.log("made");
          ${end}`;
        const child = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
          encoding: "utf8",
          cwd: fileURLToPath(new URL("../..", import.meta.url)),
        });
        assert.equal([child.signal, child.status, child.stdout], [null, code, "made\n"], child.stderr);
      });
    }
  },
  "view()",
  (kernel) => kernel.view(4096n, 4096n),
);

test.run();
