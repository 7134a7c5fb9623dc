/** Heaps on engines that show no memory but their own, and with kernel interfaces that throw. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import type { HeapOptions } from "../../src/heap/options.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { failure } from "../support/failure.ts";
import { GiB, MiB } from "../support/program.ts";
import { dmaRead, dmaWrite, HUGE } from "./ready.ts";

class NoViews extends Through {
  protected pass<R extends number | bigint>(_call: Passing, make: () => R): R {
    return make();
  }

  override view(): Uint8Array {
    throw new DmaWindowError("ERR_NO_EXTERNAL_BUFFERS", "this engine shows none");
  }
}

/** Throws in the calls of one name, before or after they are made. */
class Throwing extends Through {
  call = "";
  isMade = false;
  thrown = 0;

  protected pass<R extends number | bigint>({ name }: Passing, make: () => R): R {
    if (name !== this.call) return make();
    this.thrown++;
    if (this.isMade) make();
    throw new Error(`${name} threw`);
  }
}

function ready<K extends Syscalls>(wrap: (kernel: Syscalls) => K, options: Partial<HeapOptions> = {}) {
  const model = modelKernel({ platform: "type1" });
  const kernel = wrap(model);
  const container = openContainer({ kernel, groups: [26] });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: HUGE, maxBytes: 64n * MiB });
  const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: GiB }));
  container.attach(memory, window);
  const heap = new DmaHeap({ memory, list, window, ...options });
  return { model, kernel, container, memory, list, window, heap };
}

test("without views: bytes say so with a code, read and write copy, and all else works", () => {
  const all = ready((kernel) => new NoViews(kernel), { zero: true });
  const { heap } = all;
  const handle = heap.alloc(5000, 4096);
  failure("ERR_NO_EXTERNAL_BUFFERS", () => heap.bytes(handle));
  const into = new Uint8Array(5000);
  heap.read(handle, 0, into);
  assert.ok(into.every((byte) => byte === 0));
  heap.write(handle, 0, new Uint8Array(5000).fill(7));
  assert.is(dmaRead(all, heap.iovaOf(handle) + 4999n, 1)[0], 7);
  const buffer = heap.buffer(100);
  failure("ERR_NO_EXTERNAL_BUFFERS", () => buffer.bytes);
  buffer.write(99, Uint8Array.of(3));
  assert.is(dmaRead(all, buffer.iova + 99n, 1)[0], 3);
  const pool = heap.pool({ size: 100, count: 8 });
  const slot = pool.get();
  failure("ERR_NO_EXTERNAL_BUFFERS", () => pool.bytes(slot));
  pool.write(slot, 0, Uint8Array.of(1, 2));
  const two = new Uint8Array(2);
  pool.read(slot, 0, two);
  assert.equal(two, Uint8Array.of(1, 2));
  heap.close({ force: true });
});

test("without views: guards are looked at by copies, and neighbours become one", () => {
  const all = ready((kernel) => new NoViews(kernel), { guard: true, grow: false });
  const { heap } = all;
  heap.grow(HUGE);
  heap.grow(HUGE);
  const handle = heap.alloc(3 * 1024 * 1024);
  heap.write(handle, 2 ** 21 - 2, Uint8Array.of(1, 2, 3, 4));
  const into = new Uint8Array(4);
  heap.read(handle, 2 ** 21 - 2, into);
  assert.equal(into, Uint8Array.of(1, 2, 3, 4));
  assert.equal(heap.check(), []);
  dmaWrite(all, heap.iovaOf(handle) + BigInt(heap.sizeOf(handle)), Uint8Array.of(1));
  assert.is(heap.check()[0]?.where, "behind");
  failure("ERR_GUARD", () => heap.free(handle));
  heap.close();
});

for (const isMade of [false, true]) {
  for (const call of ["mmap", "VFIO_IOMMU_MAP_DMA"]) {
    test(`an interface that throws in a growth (${call}, ${isMade ? "after" : "before"} the call): the heap goes on`, () => {
      const { heap, kernel, memory, window, container, model } = ready((inner) => new Throwing(inner));
      const handle = heap.alloc(64);
      kernel.call = call;
      kernel.isMade = isMade;
      try {
        heap.grow(HUGE);
      } catch (error) {
        assert.is((error as { code?: string }).code, "ERR_INTERFACE", String(error));
      }
      const large = heap.tryAlloc(3 * 1024 * 1024);
      kernel.call = "";
      assert.ok(kernel.thrown > 0);
      if (large > 0) heap.free(large);
      assert.is(heap.stats.total, memory.bytes, "what the heap has is what the memory has");
      assert.ok(window.liveBytes >= memory.bytes);
      heap.free(handle);
      heap.free(heap.alloc(3 * 1024 * 1024));
      heap.close();
      window.close();
      container.close();
      memory.close();
      assert.equal(model.leaks(), []);
    });
  }
}

test.run();
