/** IOVAs that a heap leaves out, and those of a pool in halves. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaHeap } from "../../src/heap/heap.ts";
import { KiB, MiB } from "../support/program.ts";
import { attached, dmaRead, PLATFORMS, refuses } from "./ready.ts";

for (const platform of PLATFORMS) {
  for (const pageSize of [platform === "noiommu" ? 2n * MiB : 4n * KiB, 2n * MiB]) {
    test(`${platform}, pages of ${pageSize}: no block lies below the lowest IOVA, and all else is given out`, () => {
      const all = attached({ platform }, { pageSize, maxBytes: 8n * MiB });
      const { memory, list, window, container, model } = all;
      const lowest = window.start + 64n * KiB + 1n;
      const heap = new DmaHeap({ memory, list, window, lowestIova: lowest, grow: { max: 4n * MiB } });
      const handles: number[] = [];
      for (let handle = heap.tryAlloc(4096, 4096); handle > 0; handle = heap.tryAlloc(4096, 4096)) {
        assert.ok(heap.iovaOf(handle) >= lowest);
        heap.bytes(handle).fill(handles.length);
        handles.push(handle);
      }
      const most = (4n * MiB) / 4096n;
      assert.ok(handles.length <= most && BigInt(handles.length) >= most - 17n, `${handles.length} blocks`);
      for (const [i, handle] of handles.entries()) assert.is(dmaRead(all, heap.iovaOf(handle) + 4095n, 1)[0], i & 0xff);
      for (const handle of handles) heap.free(handle);
      heap.trim();
      heap.close();
      container.close();
      memory.close();
      assert.equal(model.leaks(), []);
    });
  }
}

test("a lowest IOVA that no heap could have is refused", () => {
  const { memory, list, window } = attached();
  const of = (lowestIova: never) => () => new DmaHeap({ memory, list, window, lowestIova });
  refuses("ERR_OUT_OF_RANGE", "lowestIova", of((window.last + 1n) as never));
  refuses("ERR_OUT_OF_RANGE", "lowestIova", of(-1 as never));
  refuses("ERR_INVALID_ARG_TYPE", "lowestIova", of("65536" as never));
  // Pages below are taken all the same, from the list's first on: a step that is all below would be locked, and of no use.
  const first = BigInt.asUintN(64, list.base + window.iovaOffset(list));
  const of4 = (lowestIova: bigint, step: bigint) => () =>
    new DmaHeap({ memory, list, window, lowestIova, grow: { step } });
  refuses("ERR_OUT_OF_RANGE", "lowestIova", of4(first + 4n * MiB, 2n * MiB));
  const heap = of4(first + 4n * MiB, 4n * MiB)();
  assert.ok((heap.iovas[heap.slot(heap.alloc(64))] as bigint) >= first + 4n * MiB);
  heap.close({ force: true });
  assert.is(window.last, window.start + window.size - 1n);
});

test("the halves of a pool's IOVAs are the IOVAs, without a bigint", () => {
  for (const platform of PLATFORMS) {
    const { memory, list, window } = attached({ platform });
    const pool = new DmaHeap({ memory, list, window }).pool({ size: 2048, count: 16 });
    assert.is(pool.iovaWords.length, 32);
    for (let slot = 0; slot < 16; slot++) {
      const [low, high] = [pool.iovaWords[2 * slot] as number, pool.iovaWords[2 * slot + 1] as number];
      assert.is((BigInt(high) << 32n) | BigInt(low), pool.iovas[slot]);
    }
  }
});

test.run();
