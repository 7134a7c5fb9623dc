/** The batch translations of a core, asked for tables one after the other. */
import * as assert from "uvu/assert";
import { type Core, Owner, Status } from "../../src/core.ts";
import { IommuType } from "../../src/syscalls.ts";
import type { Run } from "../reference/window.ts";
import { type Batches, WORDS } from "./batches.ts";
import { type Tables, type TranslateRows, windowFor } from "./translate-cases.ts";

interface Table {
  come(runs: readonly Run[]): void;
  go(runs: readonly Run[]): void;
  translate(vas: number, iovas: number, count: number): number;
}

/** A table of runs comes, is asked, and goes, and the next one comes. */
function crossAll(batches: Batches, core: Core, tables: readonly TranslateRows[], table: Table): void {
  const block = core.acquireBytes(WORDS * 8);
  for (const [turn, rows] of tables.entries()) {
    // From the top: a root that reaches to 2^64 is made once, and no half of it copied.
    table.come([...rows.runs].reverse());
    batches.cross(
      core.u64(block, WORDS),
      ([vas = 0], iovas, count) => table.translate(block + vas * 8, block + iovas * 8, count),
      rows,
      () => `table ${turn}`,
    );
    table.go(rows.runs);
  }
  core.releaseBytes(block, WORDS * 8);
}

function mustBe(actual: number, expected: number, what: string): void {
  if (actual !== expected) assert.is(actual, expected, what);
}

/**
 * Asks windowTranslateMany. The window stays open, as does the table of the next function: closing looks at all of a root,
 * and one that reaches to 2^64 is 256 MiB, of which few pages were touched.
 */
export function crossWindow(batches: Batches, core: Core, { pageShift, tables }: Tables): void {
  const { start, size } = windowFor(pageShift);
  const window = core.windowOpen(core.containerOpen(12, IommuType.NOIOMMU), start, size, pageShift);
  assert.ok(window > 0);
  /** Without an IOMMU no call is written, so none has to be answered. */
  const change = (runs: readonly Run[], unmap: boolean): void => {
    assert.is(core.reserveRequests(runs.length), 1);
    core.u64(core.vaColumn(), runs.length).set(runs.map(({ va }) => va));
    core.u64(core.iovaColumn(), runs.length).set(runs.map(({ iova }) => iova));
    core.u64(core.lengthColumn(), runs.length).set(runs.map(({ length }) => length));
    core.u32(core.permissionColumn(), runs.length).fill(3);
    mustBe((unmap ? core.prepareUnmaps : core.prepareMaps)(window, runs.length, Owner.PROGRAM), Status.OK, "prepare");
    mustBe((unmap ? core.settleUnmaps : core.settleMaps)(window), runs.length, "settle");
  };
  crossAll(batches, core, tables, {
    come: (runs) => change(runs, false),
    go: (runs) => change(runs, true),
    translate: (vas, iovas, count) => core.windowTranslateMany(window, vas, iovas, count),
  });
  assert.is(core.windowLiveTces(window), 0n);
}

/** A list around each border, large enough for all memory that comes there. */
function listsAround(borders: readonly bigint[], pageShift: number): { base: bigint; length: bigint }[] {
  const reach = 4n << BigInt(Math.max(pageShift, 21));
  return borders.map((border) => {
    const base = border < reach ? 0n : border - reach;
    const end = border + reach < 1n << 64n ? border + reach : 1n << 64n;
    return { base, length: end - base };
  });
}

/** Memsegs that are there all the while, where no case asks: so those that come have numbers of more than one byte. */
const OTHERS = 700;
const OTHERS_BASE = (1n << 45n) + (1n << 33n);

/** Asks memsegTranslateMany. */
export function crossMemsegs(batches: Batches, core: Core, { pageShift, borders, tables }: Tables): void {
  const table = core.tableOpen();
  const lists = listsAround(borders, pageShift);
  for (const { base, length } of lists) assert.ok(core.listAdd(table, base, length, pageShift, 0) >= 0);
  const others = core.listAdd(table, OTHERS_BASE, BigInt(2 * OTHERS) << 12n, 12, 0);
  for (let page = 0; page < 2 * OTHERS; page += 2)
    mustBe(core.memsegAdd(table, others, OTHERS_BASE + (BigInt(page) << 12n), 0n, 4096n), Status.OK, "memsegAdd");
  const listOf = (va: bigint): number => lists.findIndex(({ base, length }) => va >= base && va < base + length);
  crossAll(batches, core, tables, {
    come: (runs) => {
      for (const { va, iova, length } of runs)
        mustBe(core.memsegAdd(table, listOf(va), va, iova, length), Status.OK, "memsegAdd");
    },
    go: (runs) => {
      for (const { va } of runs) mustBe(core.memsegRemove(table, va), Status.OK, "memsegRemove");
    },
    translate: (vas, iovas, count) => core.memsegTranslateMany(table, vas, iovas, count),
  });
}
