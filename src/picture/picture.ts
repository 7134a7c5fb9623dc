/**
 * A window as a picture: pure data, exact, by address. What is drawn, in a terminal, as SVG or as a page, is drawn from this, so that
 * all of them show the same.
 *
 *     window    |==========================================================|
 *     regions   |--- list 0 ---|-- list 1 --|
 *     ranges    |live|reserved |live| r. |    free    | kept |    free     |     they tile the window: no gap, no overlap
 *
 * live: a device reaches it. reserved: set aside for a list, whose pages are not there yet. kept: may not be mapped, because the
 * IOMMU keeps it. free: all else.
 */
import type { AddressRange } from "../iommu.ts";
import { type Run, Runs } from "./runs.ts";

export type RangeKind = "live" | "reserved" | "free" | "kept";

export interface PictureRange extends AddressRange {
  readonly kind: RangeKind;
  /** Of `regions`: whose it is, for what is live or reserved; -1 where it is nobody's that is known. */
  readonly region: number;
}

/** Addresses that are set aside for a list, live or not. */
export interface PictureRegion extends AddressRange {
  /** `list 0`. */
  readonly name: string;
  /** Bytes of a page, where that is known. */
  readonly pageSize: bigint | undefined;
  readonly liveBytes: bigint;
}

/** What a device may do, in bytes of the window. */
export interface Reach {
  /** Bytes that it may read, and write: of what is live. */
  readonly readBytes: bigint;
  readonly writeBytes: bigint;
  /** Bytes of the window that it has too few address bits for; 0n where its bits are not known. */
  readonly beyondBytes: bigint;
  /** Address bits that the window's end needs. */
  readonly neededBits: number;
  /** The device's, where they were stated. */
  readonly deviceBits: number | undefined;
  /** Without an IOMMU nothing refuses it anything: it reaches all memory of the machine. */
  readonly isEverything: boolean;
}

export interface WindowPicture extends AddressRange {
  /** `window`, `IOVAs`. */
  readonly name: string;
  /** log2 of the bytes of an IOMMU page; undefined where nothing says it. */
  readonly pageShift: number | undefined;
  /** Ascending: all of the window, without a gap. */
  readonly ranges: readonly PictureRange[];
  readonly regions: readonly PictureRegion[];
  /** live + reserved + free + kept = the window's size. */
  readonly bytes: Readonly<Record<RangeKind, bigint>>;
  /** How many runs of live addresses there are: neighbours are one. */
  readonly liveRuns: number;
  /** The largest range that is free. */
  readonly largestHole: AddressRange | undefined;
  /** Free bytes behind the last address that is live, reserved or kept. */
  readonly headroom: bigint;
  readonly reach: Reach;
}

/** One or more windows, and what is said over them. */
export interface Picture {
  /** One line. It may come from a file: writers strip and escape it. */
  readonly title: string;
  readonly windows: readonly WindowPicture[];
  /** Sentences below it. */
  readonly notes: readonly string[];
}

/** What a device may do with memory, as the flags of VFIO_IOMMU_MAP_DMA have it: 1 read, 2 write, 3 both. */
export type Access = number;

/** What a picture of a window is made from. Whatever lies outside of the window is cut off. */
export interface WindowFacts extends AddressRange {
  readonly name: string;
  readonly pageShift?: number | undefined;
  /** Ascending, without overlaps. */
  readonly live?: Iterable<Run<Access>>;
  /** Where two overlap, the later one has the range. */
  readonly regions?: readonly RegionFacts[];
  readonly kept?: readonly AddressRange[];
  readonly deviceBits?: number | undefined;
  readonly isEverything?: boolean;
}

export interface RegionFacts extends AddressRange {
  readonly name: string;
  readonly pageSize?: bigint | undefined;
}

/** The picture of a window. Cost: one walk over what is live, and over what is set aside. */
export function windowPicture(facts: WindowFacts): WindowPicture {
  const { name, start, last, pageShift, live = [], regions = [] } = facts;
  const tiles = new Tiles(start, last, ground(facts));
  for (const run of live) tiles.live(run);
  const ranges = tiles.end();
  const neededBits = last.toString(2).length;
  return {
    name,
    start,
    last,
    pageShift,
    ranges,
    regions: regionsOf(regions, tiles.liveOf, facts),
    ...figuresOf(ranges),
    reach: {
      readBytes: tiles.readBytes,
      writeBytes: tiles.writeBytes,
      beyondBytes: beyond(facts),
      neededBits: last === 0n ? 1 : neededBits,
      deviceBits: facts.deviceBits,
      isEverything: facts.isEverything ?? false,
    },
  };
}

/** What is there under that which is live: a value for each range, and the ranges tile the window. */
interface Ground {
  readonly kind: Exclude<RangeKind, "live">;
  readonly region: number;
}

const FREE: Ground = { kind: "free", region: -1 };
const KEPT: Ground = { kind: "kept", region: -1 };

function ground({ start, last, regions = [], kept = [] }: WindowFacts): Runs<Ground> {
  const runs = new Runs<Ground>();
  const within = (range: AddressRange, value: Ground) => {
    const from = range.start > start ? range.start : start;
    runs.set(from, range.last < last ? range.last : last, value);
  };
  runs.set(start, last, FREE);
  for (const [region, range] of regions.entries()) within(range, { kind: "reserved", region });
  for (const range of kept) within(range, KEPT);
  return runs;
}

/** Lays what is live over the ground, in one walk over both. */
class Tiles {
  readonly liveOf = new Map<number, bigint>();
  readBytes = 0n;
  writeBytes = 0n;
  readonly #ranges: PictureRange[] = [];
  readonly #last: bigint;
  readonly #ground: Iterator<Run<Ground>>;
  #tile: Run<Ground> | undefined;
  /** The first address that has no range yet. */
  #at: bigint;

  constructor(start: bigint, last: bigint, under: Runs<Ground>) {
    this.#at = start;
    this.#last = last;
    this.#ground = under[Symbol.iterator]();
    this.#tile = this.#next();
  }

  live({ start, last, value }: Run<Access>): void {
    const from = start > this.#at ? start : this.#at;
    const to = last < this.#last ? last : this.#last;
    if (to < from) return;
    this.#fill(from - 1n, undefined);
    this.#fill(to, value);
  }

  end(): readonly PictureRange[] {
    this.#fill(this.#last, undefined);
    return this.#ranges;
  }

  /** Ranges up to `to`: live with an access, as the ground is without one. */
  #fill(to: bigint, access: Access | undefined): void {
    while (this.#at <= to) {
      const tile = this.#tile as Run<Ground>; // the ground tiles the window
      const last = tile.last < to ? tile.last : to;
      const { kind, region } = tile.value;
      if (access !== undefined) this.#count(region, last - this.#at + 1n, access);
      this.#push({ start: this.#at, last, kind: access === undefined ? kind : "live", region });
      this.#at = last + 1n;
      if (last === tile.last) this.#tile = this.#next();
    }
  }

  #count(region: number, bytes: bigint, access: Access): void {
    this.liveOf.set(region, (this.liveOf.get(region) ?? 0n) + bytes);
    if ((access & 1) !== 0) this.readBytes += bytes;
    if ((access & 2) !== 0) this.writeBytes += bytes;
  }

  #push(range: PictureRange): void {
    const before = this.#ranges.at(-1);
    if (before === undefined || before.kind !== range.kind || before.region !== range.region) this.#ranges.push(range);
    else this.#ranges[this.#ranges.length - 1] = { ...before, last: range.last };
  }

  #next(): Run<Ground> | undefined {
    const next = this.#ground.next();
    return next.done ? undefined : next.value;
  }
}

function regionsOf(
  regions: readonly RegionFacts[],
  liveOf: ReadonlyMap<number, bigint>,
  { start, last }: AddressRange,
): PictureRegion[] {
  return regions.map((region, i) => ({
    name: region.name,
    start: region.start > start ? region.start : start,
    last: region.last < last ? region.last : last,
    pageSize: region.pageSize,
    liveBytes: liveOf.get(i) ?? 0n,
  }));
}

function figuresOf(
  ranges: readonly PictureRange[],
): Pick<WindowPicture, "bytes" | "liveRuns" | "largestHole" | "headroom"> {
  const bytes: Record<RangeKind, bigint> = { live: 0n, reserved: 0n, free: 0n, kept: 0n };
  let [liveRuns, largest] = [0, 0n];
  let largestHole: AddressRange | undefined;
  let before: RangeKind = "free";
  for (const { start, last, kind } of ranges) {
    const length = last - start + 1n;
    bytes[kind] += length;
    if (kind === "live" && before !== "live") liveRuns++;
    if (kind === "free" && length > largest) {
      largest = length;
      largestHole = { start, last };
    }
    before = kind;
  }
  const end = ranges.at(-1);
  const headroom = end?.kind === "free" ? end.last - end.start + 1n : 0n;
  return { bytes, liveRuns, largestHole, headroom };
}

function beyond({ start, last, deviceBits }: WindowFacts): bigint {
  if (deviceBits === undefined) return 0n;
  const end = 1n << BigInt(deviceBits);
  if (last < end) return 0n;
  return start >= end ? last - start + 1n : last - end + 1n;
}

/** Bytes of a window, or of a range. */
export function sizeOf({ start, last }: AddressRange): bigint {
  return last - start + 1n;
}
