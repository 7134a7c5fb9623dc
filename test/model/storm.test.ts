import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { SortedRanges } from "../../src/model/sorted.ts";
import { dice, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;

const storms = suite("a storm of calls");

/** What the kernel does, the slow way: one flat array of TCEs, and a list of ranges. */
class Shadow {
  readonly tces = new Map<number, number>();
  readonly ranges: { first: number; pages: number }[] = [];

  register(first: number, pages: number): boolean {
    if (this.ranges.some((range) => range.first < first + pages && first < range.first + range.pages)) return false;
    this.ranges.push({ first, pages });
    return true;
  }

  covers(at: number): boolean {
    return this.ranges.some(({ first, pages }) => at >= first && at < first + pages);
  }

  /** Writes, or stops at a page that is not registered and clears what it wrote. */
  map(first: number, iova: number, pages: number): boolean {
    for (let done = 0; done < pages; done++) {
      if (!this.covers(first + done)) {
        for (let back = 0; back < done; back++) this.tces.delete(iova + back);
        return false;
      }
      this.tces.set(iova + done, first + done);
    }
    return true;
  }

  isMapped({ first, pages }: { first: number; pages: number }): boolean {
    return [...this.tces.values()].some((at) => at >= first && at < first + pages);
  }
}

storms("ends where the slow shadow of it ends", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const roll = dice(seed);
    const kernel = modelKernel();
    const program = new Rig(kernel).start();
    const va = program.allocate(128n * page);
    // UNREGISTER of what was never registered is EPERM at first: start with one range.
    program.register(va, page);
    const shadow = new Shadow();
    shadow.register(0, 1);
    for (let step = 0; step < 3000; step++) {
      const [first, pages, iova] = [roll(128), 1 + roll(6), roll(200)];
      const [at, size] = [va + BigInt(first) * page, BigInt(pages) * page];
      const kind = roll(5);
      if (kind === 0 && first + pages <= 128) {
        const known = shadow.ranges.some((range) => range.first === first && range.pages === pages);
        assert.is(
          program.register(at, size) === 0,
          !known && shadow.register(first, pages),
          `${seed}/${step} register`,
        );
      } else if (kind === 1 || kind === 2) {
        assert.is(
          program.map(at, BigInt(iova) * page, size) === 0,
          shadow.map(first, iova, pages),
          `${seed}/${step} map`,
        );
      } else if (kind === 3) {
        assert.is(program.unmap(BigInt(iova) * page, size), 0);
        for (let index = iova; index < iova + pages; index++) shadow.tces.delete(index);
      } else {
        const range = shadow.ranges[roll(shadow.ranges.length)];
        // Zombies have their own tests.
        if (range === undefined || shadow.isMapped(range)) continue;
        shadow.ranges.splice(shadow.ranges.indexOf(range), 1);
        assert.is(program.unregister(va + BigInt(range.first) * page, BigInt(range.pages) * page), 0);
      }
    }
    for (let index = 0; index < 210; index++) {
      const expected = shadow.tces.get(index);
      const reached = kernel.tceAt(26, BigInt(index) * page)?.va;
      assert.is(reached, expected === undefined ? undefined : va + BigInt(expected) * page, `${seed}: TCE ${index}`);
    }
    const { containers, charges } = kernel.snapshot();
    assert.is(containers[0]?.windows[0]?.liveTces, shadow.tces.size);
    assert.is(charges.pinnedBytes, BigInt(shadow.ranges.reduce((sum, { pages }) => sum + pages, 0)) * page);
    for (const { va: start, size, mapped } of containers[0]?.registrations ?? []) {
      const first = Number((start - va) / page);
      const last = first + Number(size / page);
      const live = [...shadow.tces.values()].filter((at) => at >= first && at < last).length;
      assert.is(mapped, live);
    }
  }
});

storms("with 10^4 registrations and mappings live leaves nothing behind", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const count = 10_000;
  const va = program.allocate(BigInt(count) * 2n * page);
  const at = (index: number) => va + BigInt(index) * 2n * page;
  const order = (index: number) => (index * 7919) % count;
  for (let index = 0; index < count; index++) {
    const place = order(index);
    assert.is(program.register(at(place), 2n * page), 0);
    assert.is(program.map(at(place), BigInt(place) * 32n * page, 2n * page), 0);
  }
  assert.is(kernel.snapshot().containers[0]?.windows[0]?.liveTces, 2 * count);
  for (let index = 0; index < count; index++) {
    const place = order(order(index));
    assert.is(program.unmap(BigInt(place) * 32n * page, 2n * page), 0);
    assert.is(program.unregister(at(place), 2n * page), 0);
  }
  assert.is(program.locked, 8n * MiB);
  assert.is(kernel.snapshot().containers[0]?.registrations.length, 0);
});

storms.run();

const sorted = suite("sorted ranges");

sorted("find what a search through all of them finds, through inserts and removals in any order", () => {
  const roll = dice(99);
  const ranges = new SortedRanges<{ start: number; end: number }>();
  const all = new Map<number, { start: number; end: number }>();
  for (let step = 0; step < 6000; step++) {
    const start = roll(2000) * 10;
    const known = all.get(start);
    if (known === undefined || roll(3) > 0) {
      if (known !== undefined) continue;
      const range = { start, end: start + 1 + roll(10) };
      ranges.insert(range);
      all.set(start, range);
    } else {
      ranges.remove(known);
      all.delete(start);
    }
    if (step % 50 !== 0) continue;
    const order = [...all.values()].sort((a, b) => a.start - b.start);
    assert.equal([...ranges], order);
    assert.equal([...ranges.backwards()], order.reverse());
    assert.is(ranges.size, all.size);
    const point = roll(20_100);
    const first = [...ranges].find(({ end }) => end > point);
    assert.is(ranges.firstEndingAfter(point), first);
    assert.is(ranges.at(point), first !== undefined && first.start <= point ? first : undefined);
    assert.is(ranges.overlapping(point, point + 5), first !== undefined && first.start < point + 5 ? first : undefined);
  }
  assert.ok(all.size > 500, "enough of them to fill several blocks");
});

sorted.run();
