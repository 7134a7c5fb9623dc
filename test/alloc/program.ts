/** One random program on one memory: what it does, and what has to come of it. */
import * as assert from "uvu/assert";
import { type Allocator, AllocStatus, HANDLE_INDEX_MASK } from "../../src/alloc.ts";
import { type Asked, HeapTwin } from "../reference/heap.ts";
import { PoolTwin } from "../reference/pool.ts";
import { Random } from "../support/random.ts";
import { noDescriptorIsLost, structureOf } from "./structure.ts";
import { type Build, freshAllocator, named, placed } from "./support.ts";

const HEAPS = 3;
const POOLS = 2;
/** Operations between two looks at all bytes. */
const LOOK = 10_000;
const KIB = 1024n;

interface Heap {
  readonly pointer: number;
  readonly twin: HeapTwin;
  /** Of its live handles, in any order: to pick one in no time. */
  readonly handles: number[];
  /** Where its segments begin, and how far apart IOVAs and memory lie there. */
  readonly ground: bigint;
}

interface Pool {
  readonly pointer: number;
  readonly twin: PoolTwin;
}

/** Where heaps have their IOVAs: low, where doubles are 128 apart, and up to the end of all addresses. */
const GROUNDS = [1n << 20n, 1n << 59n, (1n << 64n) - 4096n * KIB];

export class Program {
  readonly #alloc: Allocator;
  readonly #random: Random;
  readonly #heaps: Heap[] = [];
  readonly #pools: Pool[] = [];
  /** Handles that were live once. */
  readonly #stale: number[] = [];
  #done = 0;

  constructor(build: Build, seed: number) {
    this.#alloc = freshAllocator(build);
    this.#random = new Random(seed);
    for (let i = 0; i < HEAPS; i++) this.#openHeap();
    for (let i = 0; i < POOLS; i++) this.#openPool();
  }

  /** Until so many allocs, frees, gets and puts were made. */
  run(operations: number): void {
    while (this.#done < operations) {
      const before = this.#done;
      this.#step();
      if (Math.floor(before / LOOK) !== Math.floor(this.#done / LOOK)) this.#look();
    }
    this.#end();
  }

  #step(): void {
    const random = this.#random;
    const heap = random.pick(this.#heaps);
    const chance = random.below(1000);
    // Filling and emptying take turns, so that heaps are full at times, and at times nearly empty.
    const filling = random.below(100) < 55;
    if (chance < 560) {
      if (filling || heap.handles.length === 0) this.#take(heap);
      else this.#free(heap);
    } else if (chance < 660) this.#wrongFree(heap);
    else if (chance < 930) this.#poolStep(random.pick(this.#pools));
    else if (chance < 960) this.#burst(heap);
    else if (chance < 975) this.#segment(heap);
    else if (chance < 988) this.#removal(heap);
    else if (chance < 995) this.#alloc.heapFlush(heap.pointer);
    else if (chance < 997) this.#emptied(heap);
    else if (random.once(10)) this.#reopen();
  }

  #openHeap(): void {
    const pointer = this.#alloc.heapOpen();
    assert.ok(pointer > 0, "a heap");
    const used = new Set(this.#heaps.map(({ ground }) => ground));
    const ground = GROUNDS.find((one) => !used.has(one)) as bigint;
    this.#heaps.push({ pointer, twin: new HeapTwin(), handles: [], ground });
  }

  #openPool(): void {
    const [count, fifo] = [1 + this.#random.below(100), this.#random.once(2)];
    const pointer = this.#alloc.poolOpen(count, fifo ? 1 : 0);
    assert.ok(pointer > 0, "a pool");
    this.#pools.push({ pointer, twin: new PoolTwin(this.#alloc.poolFirst(pointer), count, fifo) });
  }

  /** Sizes of all magnitudes; now and then an alignment, a boundary, or both. */
  #asked(): Asked {
    const random = this.#random;
    const most = 2 ** (6 + random.below(11));
    const bytes = random.once(50) ? random.pick([1, 63, 64, 65, 2048, 2049, 4096]) : 1 + random.below(most);
    if (!random.once(4)) return { bytes, align: 6, boundary: 0 };
    const align = random.once(3) ? 6 : random.below(15);
    const least = Math.ceil(Math.log2(bytes));
    const boundary = random.once(2) ? 0 : Math.max(least, random.pick([12, 12, 13, 16, 19]));
    return { bytes, align, boundary };
  }

  #take(heap: Heap, asked = this.#asked()): void {
    const { bytes, align, boundary } = asked;
    this.#done++;
    const plain = align === 6 && boundary === 0 && !this.#random.once(8);
    const handle = plain
      ? this.#alloc.heapAlloc(heap.pointer, bytes)
      : this.#alloc.heapAllocAligned(heap.pointer, bytes, align, boundary);
    if (handle > 0) {
      const wrong = heap.twin.take(handle, placed(this.#alloc, handle), asked);
      if (wrong !== undefined) assert.unreachable(`${JSON.stringify(asked)}: ${wrong}`);
      heap.handles.push(handle);
      return;
    }
    assert.is(handle, -AllocStatus.EXHAUSTED);
    if (heap.twin.fits(asked)) assert.unreachable(`refused, though there is a place for ${JSON.stringify(asked)}`);
  }

  #free(heap: Heap): void {
    this.#done++;
    const at = this.#random.below(heap.handles.length);
    const handle = heap.handles[at] as number;
    heap.handles[at] = heap.handles.at(-1) as number;
    heap.handles.pop();
    const status = this.#alloc.heapFree(heap.pointer, handle);
    if (status !== 0) assert.unreachable(`a live handle is refused: ${named(status)}`);
    heap.twin.release(handle);
    if (this.#random.once(8)) {
      assert.is(named(this.#alloc.heapFree(heap.pointer, handle)), "NOT_LIVE", "twice");
      this.#stale[this.#random.below(500)] = handle;
    }
  }

  /** Many of one size, and as many freed: magazines run empty, and over. */
  #burst(heap: Heap): void {
    const asked = this.#asked();
    const before = heap.handles.length;
    const count = 1 + this.#random.below(150);
    for (let i = 0; i < count; i++) this.#take(heap, asked);
    const keep = this.#random.once(2) ? 0 : this.#random.below(count);
    while (heap.handles.length > before + keep) this.#free(heap);
  }

  #emptied(heap: Heap): void {
    while (heap.handles.length > 0) this.#free(heap);
    this.#oneBlockPerRun(heap);
  }

  #oneBlockPerRun(heap: Heap): void {
    this.#alloc.heapFlush(heap.pointer);
    for (const run of structureOf(this.#alloc, heap.pointer).runs)
      assert.is(run.blocks.length, 1, "everything freed is one block for each run");
  }

  /** A handle that is not this heap's, or not any more, or never was: refused, and by its right name where that is known. */
  #wrongFree(heap: Heap): void {
    this.#done++;
    const handle = this.#wrongHandle();
    if (heap.twin.live.has(handle)) return;
    const said = named(this.#alloc.heapFree(heap.pointer, handle));
    assert.is(named(this.#alloc.heapCheckHandle(heap.pointer, handle)), said);
    this.#expect(said, this.#refusals(heap, handle), handle);
  }

  #wrongHandle(): number {
    const random = this.#random;
    const others = random.pick(this.#heaps).handles;
    const near = others.length > 0 ? random.pick(others) : 1;
    switch (random.below(6)) {
      case 0:
        return random.pick(this.#stale) ?? 0;
      case 1:
        return near;
      case 2:
        return (near + ((1 + random.below(511)) << 22)) & 0x7fffffff;
      case 3:
        return (random.below(2 ** 16) << 16) | random.below(2 ** 16);
      case 4:
        return random.pick(this.#pools).twin.any(random) | (random.once(4) ? 0x80000000 : 0);
      default:
        return random.pick([0, -1, -near, near | 0x80000000, 1 << 22, HANDLE_INDEX_MASK, 0x7fffffff, -(2 ** 31)]);
    }
  }

  #refusals(heap: Heap, handle: number): readonly string[] {
    const index = handle & HANDLE_INDEX_MASK;
    if (handle <= 0 || index === 0) return ["UNKNOWN_HANDLE"];
    if (heap.twin.liveAt(index) !== undefined) return ["STALE_HANDLE"];
    if (this.#heaps.some(({ twin }) => twin.liveAt(index) !== undefined)) return ["FOREIGN_HANDLE"];
    if (this.#pools.some(({ twin }) => twin.has(index))) return ["FOREIGN_HANDLE"];
    return ["NOT_LIVE", "FOREIGN_HANDLE", "UNKNOWN_HANDLE"]; // nobody has it, and whose it was the twin does not know
  }

  #expect(said: string, allowed: readonly string[], handle: number): void {
    if (!allowed.includes(said)) assert.unreachable(`handle ${handle}: ${said}, not ${allowed.join(" or ")}`);
  }

  #segment(heap: Heap): void {
    const random = this.#random;
    if (heap.twin.totalBytes > 3000n * KIB) return;
    const size = random.pick([64n, 4n * KIB, 64n * KIB, 256n * KIB, 1000n * KIB]);
    const places = (4096n * KIB - size) / 64n;
    const step = random.once(20) ? 1n : 64n;
    const offset = random.once(4)
      ? ((BigInt(random.below(Number(places))) * 64n) / step) * step
      : BigInt(random.below(4)) * 1024n * KIB + (random.once(2) ? 0n : 1024n * KIB - size);
    const iova = heap.ground + offset + (random.once(50) ? BigInt(random.below(64)) : 0n);
    // Mostly as far apart as those before, so that neighbours are contiguous in both.
    const va = (1n << 40n) + offset + (random.once(3) ? BigInt(random.below(4)) << 32n : 0n);
    const said = named(this.#alloc.heapAddSegment(heap.pointer, iova, va, size));
    assert.is(said, heap.twin.add(iova, va, size) ?? "OK");
  }

  #removal(heap: Heap): void {
    const random = this.#random;
    this.#alloc.heapFlush(heap.pointer);
    const free = [...heap.twin.free()];
    if (free.length === 0) return;
    const { from, to } = random.pick(free);
    const granules = Number((to - from) / 64n);
    const [first, last] = [
      random.once(2) ? 0 : random.below(granules),
      random.once(2) ? granules : 1 + random.below(granules),
    ];
    if (last <= first) return;
    const excess = random.once(10) ? 64n : 0n;
    const [iova, size] = [from + BigInt(first) * 64n, BigInt(last - first) * 64n + excess];
    const said = named(this.#alloc.heapRemove(heap.pointer, iova, size));
    assert.is(said, heap.twin.remove(iova, size) ?? "OK");
  }

  #reopen(): void {
    const random = this.#random;
    if (random.once(2)) {
      const at = random.below(this.#heaps.length);
      const [heap] = this.#heaps.splice(at, 1) as [Heap];
      for (const handle of heap.handles.slice(0, 20)) this.#stale.push(handle);
      this.#alloc.heapClose(heap.pointer);
      this.#openHeap();
    } else {
      const at = random.below(this.#pools.length);
      const [pool] = this.#pools.splice(at, 1) as [Pool];
      for (const handle of pool.twin.live.values()) this.#stale.push(handle);
      this.#alloc.poolClose(pool.pointer);
      this.#openPool();
      const { pointer, twin } = this.#pools.at(-1) as Pool;
      for (const handle of this.#stale) {
        if (handle === undefined || twin.live.get(handle & HANDLE_INDEX_MASK) === handle) continue;
        assert.is.not(named(this.#alloc.poolPut(pointer, handle)), "OK", "a handle of a pool that was closed");
      }
    }
  }

  #poolStep({ pointer, twin }: Pool): void {
    this.#done++;
    const random = this.#random;
    const choice = random.below(10);
    if (choice < 4) {
      const handle = this.#alloc.poolGet(pointer);
      assert.is(twin.get(handle), undefined);
    } else if (choice < 8) {
      const handle = twin.any(random);
      const status = this.#alloc.poolPut(pointer, handle);
      assert.is(named(status), twin.put(handle));
      assert.is.not(named(this.#alloc.poolPut(pointer, handle)), "OK", "twice");
    } else {
      const handle = this.#wrongHandle();
      const checked = named(this.#alloc.poolCheckHandle(pointer, handle));
      assert.is(named(this.#alloc.poolPut(pointer, handle)), checked);
      assert.is(checked, twin.put(handle));
    }
    assert.is(this.#alloc.poolFree(pointer), twin.free);
  }

  /** All bytes of all heaps, against themselves and the twins. */
  #look(): void {
    const structures = this.#heaps.map(({ pointer, twin }) => {
      const structure = structureOf(this.#alloc, pointer);
      const live = structure.blocks.filter(({ state }) => state === "live");
      assert.is(live.length, twin.live.size, "what is live in both");
      for (const { handle, iova } of live) assert.is(twin.live.get(handle)?.iova, iova);
      assert.equal(
        structure.runs.map(({ iova, va, size }) => ({ iova, va, size })),
        twin.runs,
      );
      const alloc = this.#alloc;
      assert.is(alloc.heapLiveCount(pointer), twin.live.size);
      assert.is(alloc.heapLive(pointer), twin.liveBytes);
      assert.is(alloc.heapTotal(pointer), twin.totalBytes);
      assert.is(alloc.heapFreeBytes(pointer), twin.totalBytes - twin.liveBytes);
      const free = structure.blocks.filter(({ state }) => state === "free");
      assert.is(alloc.heapLargest(pointer), BigInt(Math.max(0, ...free.map(({ granules }) => granules))) * 64n);
      const seen: number[] = [];
      for (let at = alloc.heapNextFree(pointer, 0, 4096n); at !== 0; at = alloc.heapNextFree(pointer, at, 4096n))
        seen.push(at);
      const large = free.filter(({ granules }) => granules >= 64).map(({ at }) => at >> 5);
      assert.equal(
        seen.sort((a, b) => a - b),
        large.sort((a, b) => a - b),
      );
      const handles: number[] = [];
      for (let handle = alloc.heapNextLive(pointer, 0); handle !== 0; handle = alloc.heapNextLive(pointer, handle))
        handles.push(handle);
      assert.equal(new Set(handles), new Set(twin.live.keys()));
      return structure;
    });
    noDescriptorIsLost(this.#alloc, structures);
  }

  #end(): void {
    for (const heap of this.#heaps) {
      this.#emptied(heap);
      for (const { iova, size } of heap.twin.runs)
        assert.is(named(this.#alloc.heapRemove(heap.pointer, iova, size)), "OK");
      assert.equal(structureOf(this.#alloc, heap.pointer), { runs: [], blocks: [], descriptors: 0 });
      this.#alloc.heapClose(heap.pointer);
    }
    noDescriptorIsLost(this.#alloc, []);
  }
}
