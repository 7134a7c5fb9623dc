/** Mode pa: IOVAs are physical addresses, and those of neighbours lie anywhere. Each byte of each block is where its column says. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaHeap } from "../../src/heap/heap.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { GROUP, KiB, MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGE = 4n * KiB;

test("blocks and slots over pages that lie anywhere, byte by byte", () => {
  const random = new Random(11);
  const numbers = Array.from({ length: 2048 }, (_, i) => BigInt(2 * i));
  for (let i = numbers.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [numbers[i], numbers[j]] = [numbers[j] as bigint, numbers[i] as bigint];
  }
  let next = 0;
  const program = new Program();
  const { model, kernel, container } = program;
  // Some lie side by side, most do not.
  const physical = (_: bigint, pages: number) => {
    const some = numbers.slice(next, next + pages);
    next += pages;
    return some.map((number, i) => (i % 5 === 1 ? (some[i - 1] as bigint) + 1n : number) * PAGE);
  };
  const memory = new MemsegTable({ kernel, physical });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 4n * MiB });
  const window = program.window(16n * MiB, { iovaMode: "pa" });
  container.attach(memory, window);
  const heap = new DmaHeap({ memory, list, window, grow: { step: 64n * PAGE, low: 0 } });
  const pool = heap.pool({ size: 1500, count: 200, boundary: 4096 });
  const live: { iova: bigint; length: number; seed: number; show: () => Uint8Array }[] = [];
  let places = 0;
  const see = (iova: bigint, show: () => Uint8Array) => {
    const bytes = show();
    const seed = random.below(256);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (seed + i * 7) & 255;
    live.push({ iova, length: bytes.length, seed, show });
    places++;
  };
  for (let i = 0; i < 150; i++) {
    const handle = heap.tryAlloc(1 + random.below(random.pick([100, 4000, 4096])), 2 ** random.below(13));
    if (handle > 0) see(heap.iovas[heap.slot(handle)] as bigint, () => heap.bytes(handle));
  }
  for (let i = 0; i < 200; i++) {
    const handle = pool.get();
    see(pool.iovas[pool.slot(handle)] as bigint, () => pool.bytes(handle));
  }
  assert.ok(places > 300, `${places}`);
  assert.ok(heap.stats.segments > 1, `${heap.stats.segments}`);
  const device = model.device(GROUP);
  for (const { iova, length, seed, show } of live) {
    const seen = new Uint8Array(length);
    assert.is(device.read(iova, seen).bytes, length);
    for (let i = 0; i < length; i++) if (seen[i] !== ((seed + i * 7) & 255)) assert.unreachable(`${iova} + ${i}`);
    // And the other way, at first and last.
    for (const at of [0, length - 1]) {
      device.write(iova + BigInt(at), Uint8Array.of((at & 255) ^ 90));
      assert.is(show()[at], (at & 255) ^ 90);
    }
  }
  heap.close({ force: true });
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test.run();
