import vm from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addressOf, linuxKernel } from "../../src/linux/index.ts";
import { refused } from "../support/failure.ts";
import { withShim } from "./native.ts";

withShim(
  () => {
    test("is where the kernel put the memory, of a view and of a part of it", () => {
      const kernel = linuxKernel();
      const va = kernel.mmap(0n, 8192n, 3, 0, 0);
      const view = kernel.view(va, 8192n);
      assert.is(addressOf(view), va);
      assert.is(addressOf(view.buffer as ArrayBuffer), va);
      assert.is(addressOf(view.subarray(4097)), va + 4097n);
      assert.is(addressOf(new DataView(view.buffer, 16, 8)), va + 16n);
      kernel.unview(view);
      refused("ERR_INVALID_ARG_TYPE", () => addressOf(view));
      kernel.munmap(va, 8192n);
    });

    test("is where the engine put a buffer: what is written through one is read through the other", () => {
      const kernel = linuxKernel();
      for (const mine of [Buffer.from([1, 2, 3]), new Uint8Array(64), new Uint8Array(1 << 20), new BigUint64Array(9)]) {
        const bytes = new Uint8Array(mine.buffer, mine.byteOffset, mine.byteLength);
        const there = kernel.view(addressOf(mine), BigInt(mine.byteLength));
        there[2] = 0x2a;
        assert.is(bytes[2], 0x2a);
        kernel.unview(there);
      }
    });

    test("knows the buffers of another realm, and what is none there", () => {
      const kernel = linuxKernel();
      for (const made of ["new ArrayBuffer(16)", "new Uint8Array(16)", "new DataView(new ArrayBuffer(16))"]) {
        const memory = vm.runInNewContext(made) as ArrayBuffer | Uint8Array;
        const there = kernel.view(addressOf(memory), 16n);
        there[3] = 0x2a;
        const buffer = "buffer" in memory ? memory.buffer : memory;
        assert.is(new DataView(buffer).getUint8(3), 0x2a, made);
        kernel.unview(there);
      }
      for (const made of ["new SharedArrayBuffer(16)", "[1]", "Object.create(ArrayBuffer.prototype)"]) {
        refused("ERR_INVALID_ARG_TYPE", () => addressOf(vm.runInNewContext(made)));
      }
    });

    test("is refused for what has no bytes, or may move or grow", () => {
      const detached = new ArrayBuffer(16);
      const gone = new Uint8Array(detached);
      structuredClone(detached, { transfer: [detached] });
      const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer;
      const resizable = new Resizable(16, { maxByteLength: 32 });
      const bad = [
        detached,
        gone,
        new ArrayBuffer(0),
        new Uint8Array(16).subarray(16),
        resizable,
        new Uint8Array(resizable),
      ];
      const shared = new SharedArrayBuffer(16);
      for (const value of [
        ...bad,
        shared,
        new Uint8Array(shared),
        null,
        undefined,
        7,
        4096n,
        "memory",
        {},
        [1],
        () => {},
      ]) {
        refused("ERR_INVALID_ARG_TYPE", () => addressOf(value as never));
      }
    });
  },
  "addressOf",
  () => addressOf(new Uint8Array(8)),
);

test.run();
