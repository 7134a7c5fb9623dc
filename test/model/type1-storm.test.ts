import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { IommuType, Protection } from "../../src/syscalls.ts";
import { Type1Twin } from "../reference/type1.ts";
import { answer, dice, KiB, Rig, RW } from "./rig.ts";

const storms = suite("type1: a storm of calls");

/** Pages of IOVA that calls are about: some of them in the place of the interrupts. */
const IOVAS = 160;
const MEMORY = 96;

/** A kernel that knows less. */
const OLD = "6.12.107";

interface Weather {
  readonly seed: number;
  readonly version: 1 | 2;
  readonly pageSize: number;
  readonly linux: string;
}

/** Memory in thirds: read and write, read only, not there. */
function storm({ seed, version, pageSize, linux }: Weather): void {
  const roll = dice(seed);
  const unit = BigInt(pageSize);
  const ranges = [
    { start: 0n, last: 64n * unit - 1n },
    { start: 80n * unit, last: 1000n * unit - 1n },
  ];
  const lockedMemory = { limit: seed % 2 === 0 ? 60n * unit : null, privileged: false };
  const kernel = modelKernel({ platform: "type1", linux, pageSize, ranges, dmaEntryLimit: 24, lockedMemory });
  const program = new Rig(kernel).start(26, version === 1 ? IommuType.TYPE1 : IommuType.TYPE1v2);
  const va = program.allocate(BigInt(MEMORY) * unit);
  kernel.munmap(va + 64n * unit, 32n * unit);
  kernel.munmap(va + 40n * unit, 24n * unit);
  assert.is(kernel.mmap(va + 40n * unit, 24n * unit, Protection.READ, 1, 0), va + 40n * unit);
  const accessAt = (at: bigint) => {
    const index = (at - va) / unit;
    if (at < va || index >= 64n) return 0;
    return index >= 40n ? Protection.READ : RW;
  };
  const twin = new Type1Twin({
    version,
    pageSize: unit,
    ranges,
    entryLimit: 24,
    lockLimit: lockedMemory.limit,
    accessAt,
  });

  for (let step = 0; step < 4000; step++) {
    const where = `seed ${seed}, step ${step}`;
    const [first, pages, iova] = [roll(MEMORY), 1 + roll(roll(4) === 0 ? 40 : 5), roll(IOVAS)];
    // One call in sixteen is off by a byte.
    const slip = roll(16) === 0 ? 1n : 0n;
    const [at, size, from] = [va + BigInt(first) * unit, BigInt(pages) * unit, BigInt(iova) * unit + slip];
    const kind = roll(8);
    if (kind < 5) {
      const flags = roll(4);
      assert.is(answer(program.map(at, from, size, { flags })), answer(twin.map(at, from, size, flags)), where);
    } else {
      const all = kind === 7 && roll(20) === 0;
      // Some from where a map begins, so that v2 has something to say yes to.
      const map = twin.maps[roll(twin.maps.length + 1)];
      const [start, length] = all ? [0n, 0n] : map === undefined || kind === 5 ? [from, size] : [map.iova, map.size];
      const expected = twin.unmap(start, length, all);
      assert.is(answer(program.unmap(start, length, { flags: all ? 2 : 0 })), answer(expected.answer), where);
      assert.is(program.u64(16), expected.size ?? length, where);
    }
    assert.is(program.locked, twin.locked, where);
    if (step % 100 !== 0) continue;
    for (let index = 0; index < IOVAS + 40; index++) {
      const point = BigInt(index) * unit + 123n;
      const { va: reached, read, write } = kernel.tceAt(26, point) ?? {};
      const expected = twin.reach(point);
      assert.is(reached, expected?.va, `${where}: page ${index}`);
      if (expected === undefined) continue;
      assert.is(write, (expected.flags & 2) !== 0, where);
      // Writable was readable too on VT-d.
      assert.is(read, (pageSize === 4096 && linux === OLD) || (expected.flags & 1) !== 0, where);
    }
    const shown = (kernel.snapshot().containers[0]?.maps ?? []).map(({ iova: start, va: memory, size: bytes }) => [
      start,
      memory,
      bytes,
    ]);
    const sorted = [...twin.maps].sort((a, b) => (a.iova < b.iova ? -1 : 1));
    assert.equal(
      shown,
      sorted.map(({ iova: start, va: memory, size: bytes }) => [start, memory, bytes]),
      where,
    );
  }
  kernel.exit();
  assert.equal(kernel.leaks(), []);
}

for (const version of [1, 2] as const) {
  for (const pageSize of [4096, 16384, 65536]) {
    storms(`ends where its slow twin ends: v${version}, CPU pages of ${pageSize / 1024} KiB`, () => {
      for (const seed of [11, 12, 13]) storm({ seed, version, pageSize, linux: seed === 13 ? OLD : "7.3.4" });
    });
  }
}

storms("with 10^4 maps live leaves nothing behind, in whatever order they go", () => {
  const kernel = modelKernel({ platform: "type1" });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  const unit = 4n * KiB;
  const count = 10_000;
  const va = program.allocate(BigInt(count) * unit);
  const order = (index: number) => BigInt((index * 7919) % count);
  for (let index = 0; index < count; index++) {
    const place = order(index);
    assert.is(program.map(va + place * unit, place * 3n * unit, unit), 0);
  }
  assert.is(program.locked, BigInt(count) * unit);
  for (let index = 0; index < count; index++) {
    assert.is(program.unmap(order(Number(order(index))) * 3n * unit, unit), 0);
    assert.is(program.u64(16), unit);
  }
  assert.is(program.locked, 0n);
  assert.equal(kernel.snapshot().containers[0]?.maps, []);
});

storms.run();
