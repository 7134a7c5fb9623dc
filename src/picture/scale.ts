/**
 * How addresses become places in a drawing. A window may have 64 TiB, and all that happens in it a GiB of them: so the scale is in
 * pieces. A piece is linear; between two pieces lies a break, which stands for one range in which nothing is live.
 *
 *     |#####..-----|~~~ 63.9 TiB free ~~~|##|~~~ 64 GiB free ~~~|
 *      piece        break                 piece  break
 *
 * Ranges without anything live become breaks, the longest first, if each is an eighth of what is drawn or more, and all of them
 * together are seven eighths: then what is left is drawn eight times as large or more. The same is tried again with each piece, to a
 * depth of three. Where no few ranges are so long, all of it is one piece: nothing of it is far from everything else.
 */
import type { AddressRange } from "../iommu.ts";
import { type PictureRange, type RangeKind, sizeOf } from "./picture.ts";
import { firstIndex } from "./runs.ts";

export interface Stretch extends AddressRange {
  /** A piece is linear; a break is one range, and no longer than another one in the drawing. */
  readonly type: "piece" | "break";
  /** The ranges that it has: of a break the one. As indexes of those that the scale was made of, the last one inside. */
  readonly first: number;
  readonly end: number;
}

/** An eighth each: there is no room for more. */
const BREAKS_MAX = 8;
const DEPTH_MAX = 3;

/** The stretches of ranges that adjoin each other, ascending. */
export function stretchesOf(ranges: readonly PictureRange[], depth = DEPTH_MAX): Stretch[] {
  const [first, end] = [ranges[0], ranges.at(-1)];
  if (first === undefined || end === undefined) return [];
  const all: Stretch = { type: "piece", start: first.start, last: end.last, first: 0, end: ranges.length - 1 };
  return split(ranges, all, depth);
}

function split(ranges: readonly PictureRange[], piece: Stretch, depth: number): Stretch[] {
  const breaks = depth === 0 ? [] : breaksOf(ranges, piece);
  if (breaks.length === 0) return [piece];
  const stretches: Stretch[] = [];
  let next = piece.first;
  const addPiece = (end: number) => {
    if (end < next) return;
    const inner: Stretch = {
      type: "piece",
      start: (ranges[next] as PictureRange).start,
      last: (ranges[end] as PictureRange).last,
      first: next,
      end,
    };
    stretches.push(...split(ranges, inner, depth - 1));
  };
  for (const index of breaks) {
    addPiece(index - 1);
    const { start, last } = ranges[index] as PictureRange;
    stretches.push({ type: "break", start, last, first: index, end: index });
    next = index + 1;
  }
  addPiece(piece.end);
  return stretches;
}

/** Indexes of the ranges that become breaks, ascending. One that is all there is stays as it is. */
function breaksOf(ranges: readonly PictureRange[], piece: Stretch): number[] {
  if (piece.first === piece.end) return [];
  const whole = sizeOf(piece);
  const longest: number[] = [];
  for (let i = piece.first; i <= piece.end; i++) {
    const range = ranges[i] as PictureRange;
    if (range.kind === "live") continue;
    const size = sizeOf(range);
    if (size * 8n < whole) continue;
    const at = firstIndex(longest.length, (j) => sizeOf(ranges[longest[j] as number] as PictureRange) < size);
    if (at < BREAKS_MAX) longest.splice(at, 0, i);
    if (longest.length > BREAKS_MAX) longest.pop();
  }
  let sum = 0n;
  for (const [i, index] of longest.entries()) {
    sum += sizeOf(ranges[index] as PictureRange);
    if (sum * 8n >= whole * 7n) return longest.slice(0, i + 1).sort((a, b) => a - b);
  }
  return [];
}

/** A cell of a drawing: what of its addresses is live, and what the rest is. */
export interface Cell {
  /** How much of it is live: 0 and 1 are exact, what lies between is rounded for drawing. */
  readonly live: number;
  /** What is not live: kept, if any of it is, and else what most of it is. `live` where all is. */
  readonly kind: RangeKind;
  /** The region that most of it is in; -1 for none. */
  readonly region: number;
}

/** A range cut into `count` cells, as equal as bytes allow, each with what is in it. `ranges` cover it. */
export function cellsOf(ranges: readonly PictureRange[], { start, last }: AddressRange, count: number): Cell[] {
  const size = last - start + 1n;
  const cells: Cell[] = [];
  let at = firstIndex(ranges.length, (i) => (ranges[i] as PictureRange).last >= start);
  for (let i = 0; i < count; i++) {
    const from = start + (size * BigInt(i)) / BigInt(count);
    const end = start + (size * BigInt(i + 1)) / BigInt(count);
    const next = end > from ? end : from + 1n; // with fewer bytes than cells, several show the same byte
    const ink = new Ink(next - from);
    for (; at < ranges.length; at++) {
      const range = ranges[at] as PictureRange;
      if (range.start >= next) break;
      const low = range.start > from ? range.start : from;
      const high = range.last < next - 1n ? range.last : next - 1n;
      if (high >= low) ink.add(range, high - low + 1n);
      if (range.last >= next) break; // goes on in the next cell
    }
    cells.push(ink.cell());
  }
  return cells;
}

class Ink {
  readonly #size: bigint;
  readonly #bytes: Record<RangeKind, bigint> = { live: 0n, reserved: 0n, free: 0n, kept: 0n };
  #most = 0n;
  #region = -1;

  constructor(size: bigint) {
    this.#size = size;
  }

  add({ kind, region }: PictureRange, bytes: bigint): void {
    this.#bytes[kind] += bytes;
    if (bytes <= this.#most) return;
    this.#most = bytes;
    this.#region = region;
  }

  cell(): Cell {
    const { live, kept, reserved, free } = this.#bytes;
    const kind = live === this.#size ? "live" : kept > 0n ? "kept" : reserved > free ? "reserved" : "free";
    return { live: shareOf(live, this.#size), kind, region: this.#region };
  }
}

/** From 0 to 1, and neither of these unless it is that. */
function shareOf(part: bigint, whole: bigint): number {
  if (part === 0n) return 0;
  if (part === whole) return 1;
  return Math.min(0.999, Math.max(0.001, Number((part * 1000n) / whole) / 1000));
}
