/**
 * Memory to translate: memsegs of 2 MiB in some lists, as a table of the core has them and as a window has them mapped. Each
 * memseg stands at an IOVA of its own that says nothing of its neighbours'.
 *
 *     list 0                 list 1                        list n - 1
 *     |##########|.......hole|##########|.......hole| ...  |##########|       each 2^k TiB or GiB apart
 */
import { type Core, Owner, Status } from "../../src/core.ts";
import type { Random } from "../harness/random.ts";
import { type TableLayout, tableLayout, type WindowLayout, windowLayout } from "./layouts.ts";

export const MEMSEG_SHIFT = 21;
export const MEMSEG_BYTES = 1 << MEMSEG_SHIFT;

/** Where the first list lies: an address such as mmap gives. */
const BASE = 0x7100_0000_0000n;
/** Where a window begins: at 1 << 59, as an LPAR's does. */
const WINDOW_START = 0x0800_0000_0000_0000n;
/** Maps that go through the request columns at a time. */
const BATCH = 65536;
/** IOMMU "none" of containerOpen: maps are recorded and no ioctl is written. */
const NO_IOMMU = 8;

/** Where memsegs are, and where devices are to find them. */
export interface Shape {
  readonly lists: readonly bigint[];
  readonly memsegsInList: number;
  readonly memsegs: number;
  readonly vas: BigUint64Array;
  readonly iovas: BigUint64Array;
}

/** `memsegs` is rounded down to a multiple of `lists`, which is at most 128. */
export function shapeOf(lists: number, memsegs: number): Shape {
  const memsegsInList = Math.floor(memsegs / lists);
  const total = memsegsInList * lists;
  const step = 2n ** BigInt(Math.ceil(Math.log2(memsegsInList * 2)) + MEMSEG_SHIFT);
  const bases = Array.from({ length: lists }, (_, i) => BASE + BigInt(i) * step);
  // An odd factor modulo a power of two puts every memseg somewhere else.
  const room = 2 ** Math.ceil(Math.log2(total));
  const vas = new BigUint64Array(total);
  const iovas = new BigUint64Array(total);
  for (let i = 0; i < total; i++) {
    vas[i] = (bases[Math.floor(i / memsegsInList)] as bigint) + BigInt((i % memsegsInList) * MEMSEG_BYTES);
    iovas[i] = WINDOW_START + BigInt((Math.imul(i, 0x9e3779b1) >>> 0) % room) * BigInt(MEMSEG_BYTES);
  }
  return { lists: bases, memsegsInList, memsegs: total, vas, iovas };
}

/** A core with a table of that memory. */
export interface WithTable {
  readonly core: Core;
  readonly table: number;
  readonly tableAt: TableLayout;
}

/** A core with a window in which that memory is mapped. */
export interface WithWindow {
  readonly core: Core;
  readonly window: number;
  readonly windowAt: WindowLayout;
}

function must(what: string, status: number): void {
  if (status !== Status.OK) throw new Error(`the core refused ${what} with status ${status}`);
}

function made(what: string, handle: number): number {
  if (handle <= 0) throw new Error(`the core refused ${what}: ${handle}`);
  return handle;
}

/** Records maps in a window of a container without an IOMMU. */
export function recordMaps(
  core: Core,
  window: number,
  rows: { readonly vas: BigUint64Array; readonly iovas: BigUint64Array; readonly length: (row: number) => bigint },
): void {
  for (let from = 0; from < rows.vas.length; from += BATCH) {
    const count = Math.min(BATCH, rows.vas.length - from);
    if (core.reserveRequests(count) !== 1) throw new Error("the core has no room for the requests");
    core.u64(core.vaColumn(), count).set(rows.vas.subarray(from, from + count));
    core.u64(core.iovaColumn(), count).set(rows.iovas.subarray(from, from + count));
    const lengths = core.u64(core.lengthColumn(), count);
    for (let i = 0; i < count; i++) lengths[i] = rows.length(from + i);
    core.u32(core.permissionColumn(), count).fill(3);
    must("maps", core.prepareMaps(window, count, Owner.PROGRAM));
    core.collectMaps();
    if (core.settleMaps(window) !== count) throw new Error("the core did not settle the maps");
  }
}

export function openWindow(core: Core, start: bigint, size: bigint, pageShift: number): number {
  const container = made("a container", core.containerOpen(12, NO_IOMMU));
  return made("a window", core.windowOpen(container, start, size, pageShift));
}

export function fillTable(core: Core, { lists, memsegsInList, memsegs, vas, iovas }: Shape): WithTable {
  const table = made("a table", core.tableOpen());
  const listBytes = BigInt(memsegsInList) * BigInt(MEMSEG_BYTES);
  const indexes = lists.map((base) => {
    const index = core.listAdd(table, base, listBytes, MEMSEG_SHIFT, 0);
    if (index < 0) throw new Error(`the core refused a list with status ${-index}`);
    return index;
  });
  for (let i = 0; i < memsegs; i++) {
    const list = indexes[Math.floor(i / memsegsInList)] as number;
    must("a memseg", core.memsegAdd(table, list, vas[i] as bigint, iovas[i] as bigint, BigInt(MEMSEG_BYTES)));
  }
  return { core, table, tableAt: tableLayout(core, table) };
}

export function fillWindow(core: Core, { memsegs, vas, iovas }: Shape): WithWindow {
  const size = 2n ** BigInt(Math.ceil(Math.log2(memsegs)) + MEMSEG_SHIFT);
  const window = openWindow(core, WINDOW_START, size, MEMSEG_SHIFT);
  recordMaps(core, window, { vas, iovas, length: () => BigInt(MEMSEG_BYTES) });
  return { core, window, windowAt: windowLayout(core, window) };
}

/** Addresses in memsegs, picked at random, and their IOVAs. */
export interface Addresses {
  readonly vas: BigUint64Array;
  readonly iovas: BigUint64Array;
}

export function addressesIn({ memsegs, vas, iovas }: Shape, count: number, random: Random): Addresses {
  const picked = { vas: new BigUint64Array(count), iovas: new BigUint64Array(count) };
  for (let i = 0; i < count; i++) {
    const memseg = random.below(memsegs);
    const offset = BigInt(random.below(MEMSEG_BYTES));
    picked.vas[i] = (vas[memseg] as bigint) + offset;
    picked.iovas[i] = (iovas[memseg] as bigint) + offset;
  }
  return picked;
}
