/**
 * Any request against slow, exact rules: a plan is there when, and only when, some page size can do it; it is the largest
 * of those; and it holds what it must hold in as little as it can.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Shape } from "../../src/core.ts";
import type { SpaprInfo, Type1Info } from "../../src/iommu.ts";
import { type IovaMode, parsePlan, planToJson, planWindow, type WindowPlan } from "../../src/plan/index.ts";
import type { ExactList } from "../../src/plan/types.ts";
import type { LockedMemory } from "../../src/syscalls.ts";
import { powernvCharge, powernvShape, pseriesCharge } from "../reference/tce.ts";
import { HIGH, interruptHole, powernv, pseries, type1 } from "./facts.ts";

interface Asked {
  readonly iovaMode: IovaMode;
  readonly info: SpaprInfo | Type1Info;
  readonly memory: { readonly lists: readonly ExactList[]; readonly bytes: bigint };
  readonly growTo?: bigint;
  readonly deviceAddressBits?: number;
}

/** What one page size would make of it: undefined when it cannot be. */
interface Choice {
  readonly start: bigint;
  readonly size: bigint;
  readonly levels: number;
  readonly charge: bigint;
}

const log2 = (value: bigint) => value.toString(2).length - 1;

/** Bytes from the window's start that have to be in it. */
function neededBy({ iovaMode, memory, info, growTo = 1n }: Asked): bigint {
  let end = 0n;
  for (const { base, length, pageSize } of info.kind === "type1" ? placing(memory.lists) : memory.lists) {
    if (iovaMode === "va") {
      if (base + length > end) end = base + length;
    } else {
      if (end % pageSize !== 0n) end += pageSize - (end % pageSize);
      end += length;
    }
  }
  return end > growTo ? end : growTo;
}

function choiceOf(asked: Asked, pageShift: number): Choice | undefined {
  const { info, memory, iovaMode, deviceAddressBits = 64 } = asked;
  const page = 1n << BigInt(pageShift);
  if (memory.lists.some(({ pageSize }) => pageSize < page)) return undefined;
  let size = page;
  while (size < neededBy(asked)) size *= 2n;
  if (size / page > 1n << 36n || size > 1n << 63n) return undefined;
  const choice = info.kind === "spapr" ? onSpapr(info, size, page) : onType1(info, size, page, asked);
  if (choice === undefined) return undefined;
  if (choice.size / page > 1n << 36n) return undefined;
  if (iovaMode === "va" && choice.start !== 0n) return undefined;
  if (choice.start + choice.size > 1n << BigInt(deviceAddressBits)) return undefined;
  const { limit, used, privileged } = info.lockedMemory;
  if (!privileged && limit !== null && used + choice.charge + memory.bytes > limit) return undefined;
  return choice;
}

function onSpapr(info: SpaprInfo, size: bigint, page: bigint): Choice | undefined {
  const [windowShift, pageShift] = [log2(size), log2(page)];
  if (info.platform === "pseries") {
    if (size >= 1n << 62n) return undefined;
    const start = page === 4096n && size <= info.defaultWindow.size ? 0n : HIGH;
    const cpuPages = pseriesCharge(windowShift, pageShift) / BigInt(info.cpuPageSize);
    return { start, size, levels: 1, charge: cpuPages * BigInt(info.cpuPageSize) };
  }
  for (let levels = 1; levels <= info.levels; levels++) {
    const shape = { windowShift, pageShift, levels, cpuPageShift: log2(BigInt(info.cpuPageSize)) };
    if (powernvShape(shape) === Shape.OK) return { start: 0n, size, levels, charge: powernvCharge(shape) };
  }
  return undefined;
}

function onType1(info: Type1Info, size: bigint, page: bigint, asked: Asked): Choice | undefined {
  const { ranges } = info;
  const { iovaMode, memory, growTo = 1n, deviceAddressBits = 64 } = asked;
  const inRange = (start: bigint, last: bigint) => ranges.some((range) => range.start <= start && last <= range.last);
  if (iovaMode === "va") {
    if (!memory.lists.every(({ base, length }) => inRange(base, base + length - 1n))) return undefined;
    const end = ranges.at(-1)?.last ?? -1n;
    return growTo - 1n <= end ? { start: 0n, size, levels: 0, charge: 0n } : undefined;
  }
  const end = 1n << BigInt(deviceAddressBits);
  const found = (start: bigint, of: bigint) => ({ start, size: of, levels: 0, charge: 0n });
  for (let start = 0n; start < 1n << 48n && start + size <= end; start += size) {
    if (inRange(start, start + size - 1n)) return found(start, size);
  }
  const needed = neededBy(asked);
  const exact = upTo(needed, page);
  const largest = memory.lists.reduce((most, { pageSize }) => (pageSize > most ? pageSize : most), page);
  const sizes = [...Array(64).keys()].map((shift) => 1n << BigInt(shift)).reverse();
  for (const unit of sizes.filter((one) => one > largest && one <= exact && (info.pageSizes & one) !== 0n)) {
    for (const { start: from } of ranges) {
      const start = upTo(from, unit);
      if (start + exact <= end && inRange(start, start + exact - 1n)) return found(start, exact);
    }
  }
  for (const { start: from } of ranges) {
    const start = upTo(from, largest);
    if (start + exact <= end && inRange(start, start + exact - 1n)) return found(start, exact);
  }
  return overHoles(info, page, largest, asked);
}

/** The next multiple. */
const upTo = (value: bigint, unit: bigint) => (value % unit === 0n ? value : value + unit - (value % unit));

/** On type1 large pages and long lists are placed first. */
const placing = (lists: readonly ExactList[]) =>
  [...lists].sort((a, b) =>
    a.pageSize === b.pageSize ? Number(b.length - a.length) : Number(b.pageSize - a.pageSize),
  );

/** Each list at the first place that is allowed and free, tried in the order of what ends there. */
function overHoles({ ranges }: Type1Info, page: bigint, largest: bigint, asked: Asked): Choice | undefined {
  const { memory, deviceAddressBits = 64 } = asked;
  const end = 1n << BigInt(deviceAddressBits);
  const known = neededBy({ ...asked, growTo: 1n });
  const rest = neededBy(asked) - known;
  const pieces = [...placing(memory.lists), ...(rest > 0n ? [{ length: upTo(rest, largest), pageSize: largest }] : [])];
  for (const range of ranges) {
    const begin = range.start - (range.start % largest);
    const placed: { start: bigint; end: bigint }[] = [];
    for (const { length, pageSize } of pieces) {
      const borders = [begin, ...ranges.map(({ start }) => start), ...placed.map((one) => one.end)];
      const starts = borders
        .filter((border) => border >= begin)
        .map((border) => upTo(border, pageSize))
        .filter((at) => at + length <= end && ranges.some((one) => one.start <= at && at + length - 1n <= one.last))
        .filter((at) => placed.every((one) => at + length <= one.start || at >= one.end))
        .sort((a, b) => (a < b ? -1 : 1));
      if (starts[0] === undefined) break;
      placed.push({ start: starts[0], end: starts[0] + length });
    }
    if (placed.length < pieces.length) continue;
    const last = placed.reduce((most, one) => (one.end > most ? one.end : most), begin);
    const first = placed.reduce((least, one) => (one.start < least ? one.start : least), last);
    const start = first - (first % largest);
    return { start, size: upTo(last - start, page), levels: 0, charge: 0n };
  }
  return undefined;
}

const pageSizes = [1n << 12n, 1n << 16n, 1n << 21n, 1n << 24n, 1n << 30n];

const lists = fc.array(
  fc
    .record({
      pageSize: fc.constantFrom(...pageSizes),
      pages: fc.oneof(fc.bigInt(1n, 64n), fc.bigInt(1n, 1n << 24n)),
      place: fc.bigInt(0n, 1n << 18n),
    })
    .map(({ pageSize, pages, place }): ExactList => ({ base: place * pageSize, length: pages * pageSize, pageSize })),
  { minLength: 1, maxLength: 4 },
);

const lockedMemory: fc.Arbitrary<LockedMemory> = fc
  .record({
    limit: fc.option(fc.bigInt(0n, 1n << 34n), { nil: null }),
    used: fc.bigInt(0n, 1n << 24n),
    privileged: fc.boolean(),
  })
  .map((limits) => ({ ...limits }));

const infos: fc.Arbitrary<SpaprInfo | Type1Info> = fc
  .record({ lockedMemory, cpuPageSize: fc.constantFrom(4096, 65536), kind: fc.constantFrom("pnv", "ps", "type1") })
  .map(({ kind, ...common }) => {
    if (kind === "pnv") return powernv(common);
    return kind === "ps" ? pseries(common) : type1({ ...common, ranges: interruptHole });
  });

const asked: fc.Arbitrary<Asked> = fc
  .record({
    iovaMode: fc.constantFrom<IovaMode>("rebased", "va"),
    info: infos,
    lists,
    bytes: fc.bigInt(0n, 1n << 30n),
    growTo: fc.option(fc.bigInt(1n, 1n << 46n), { nil: undefined }),
    deviceAddressBits: fc.option(fc.integer({ min: 20, max: 64 }), { nil: undefined }),
  })
  .map(({ lists: all, bytes, growTo, deviceAddressBits, ...rest }) => ({
    ...rest,
    memory: { lists: all, bytes },
    ...(growTo === undefined ? {} : { growTo }),
    ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }),
  }));

function planOf(request: Asked): WindowPlan | undefined {
  try {
    return planWindow(request);
  } catch (error) {
    assert.is((error as { code?: string }).code, "ERR_PLAN_IMPOSSIBLE");
    return undefined;
  }
}

test("the plan is the largest page that can do it, and there is none when no page can", () => {
  let feasible = 0;
  fc.assert(
    fc.property(asked, (request) => {
      const shifts = [...Array(64).keys()].filter((shift) => (request.info.pageSizes >> BigInt(shift)) & 1n).reverse();
      const best = shifts.find((shift) => choiceOf(request, shift) !== undefined);
      const plan = planOf(request);
      assert.is(plan?.pageShift, best);
      if (plan === undefined || best === undefined) return;
      feasible++;
      const choice = choiceOf(request, best) as Choice;
      assert.equal(
        { start: plan.start, size: plan.size, levels: plan.levels, charge: plan.chargeBytes },
        { ...choice },
      );
      assert.is(plan.needed, neededBy(request));
      assert.is(plan.tces << BigInt(plan.pageShift), plan.size);
    }),
    { numRuns: 2000, seed: 72478 },
  );
  // Neither kind of answer may be the rule: half of the property would be empty then.
  assert.ok(feasible > 400 && feasible < 1900, `${feasible} of 2000 were feasible`);
});

/** A window of type1 that is what is needed, and no more, because no power of two has a place. */
const isTight = ({ kind, size }: WindowPlan) => kind === "type1" && (size & (size - 1n)) !== 0n;

test("a plan's window is a power of two, holds all lists one behind the other, and half of it would not", () => {
  fc.assert(
    fc.property(asked, (request) => {
      const plan = planOf(request);
      if (plan === undefined || isTight(plan)) return;
      const { size, start, needed } = plan;
      assert.is(size & (size - 1n), 0n);
      assert.is(start % size, 0n);
      let at = start;
      const { lists: declared } = request.memory;
      for (const { base, length, pageSize } of request.info.kind === "type1" ? placing(declared) : declared) {
        if (request.iovaMode === "va") at = base;
        else if (at % pageSize !== 0n) at += pageSize - (at % pageSize);
        assert.ok(at + length <= start + size, "a list does not fit");
        assert.ok(pageSize >= 1n << BigInt(plan.pageShift), "a page spans several of a list's");
        at += length;
      }
      assert.ok(size / 2n < needed || size === 1n << BigInt(plan.pageShift), "half would be enough");
      assert.is(plan.dmaMaskBits, (start + size - 1n).toString(2).length);
      assert.is(
        plan.tableBytes,
        plan.levelBytes.reduce((sum, bytes) => sum + bytes, 0n),
      );
      assert.is(plan.levelBytes.length, plan.levels);
    }),
    { numRuns: 2000, seed: 2 },
  );
});

test("what is written down is read as what it was; a window of type1 that is no power of two begins with a page of the largest list, and is allowed where it has no holes", () => {
  let tight = 0;
  fc.assert(
    fc.property(asked, (request) => {
      const plan = planOf(request);
      if (plan !== undefined) assert.equal(parsePlan(JSON.stringify(planToJson(plan))), plan);
      if (plan === undefined || !isTight(plan) || request.info.kind !== "type1") return;
      const { start, size, needed, holes, alignment = 1n, dmaMaskBits, pageShift } = plan;
      tight++;
      assert.is(start % alignment, 0n);
      for (const { pageSize } of request.memory.lists) assert.ok(alignment >= pageSize);
      assert.is(size % (1n << BigInt(pageShift)), 0n);
      assert.ok(dmaMaskBits <= (request.deviceAddressBits ?? 64));
      const ends = start + size - 1n;
      const whole = request.info.ranges.some((range) => range.start <= start && ends <= range.last);
      assert.is(holes.length === 0, whole);
      if (whole) assert.ok(size >= needed && size - needed < 1n << BigInt(pageShift), "more than is needed");
    }),
    { numRuns: 4000, seed: 5 },
  );
  assert.ok(tight > 20, `${tight} of 4000 were no power of two`);
});

test("the same facts give the same plan, and planning changes none of them", () => {
  fc.assert(
    fc.property(asked, (request) => {
      const before = structuredClone(request);
      assert.equal(planOf(request), planOf(request));
      assert.equal(request, before);
    }),
    { numRuns: 300, seed: 3 },
  );
});

test.run();
