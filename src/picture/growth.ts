/** Windows as they grew: the same addresses at one moment after the other, all on one scale. */
import type { AddressRange } from "../iommu.ts";
import type { WindowPicture } from "./picture.ts";
import { type Cell, cellsOf, type Stretch } from "./scale.ts";

/** Cells of a piece of the scale. Writers draw fewer: any number that divides this loses nothing but detail. */
export const FRAME_CELLS = 384;

/** One moment. */
export interface Frame {
  /** `line 120`, `step 40`. */
  readonly label: string;
  /** Cells of each piece of the axis; `outside` where there is no window. */
  readonly pieces: readonly (readonly FrameCell[])[];
  readonly liveBytes: bigint;
  /** Bytes of all windows. */
  readonly windowBytes: bigint;
  /** What a device loses at this moment, in words; left out where it loses nothing. */
  readonly lost?: string;
}

export type FrameCell = Cell | "outside";

/** A way of giving a device memory, over time. */
export interface GrowthColumn {
  /** `static window`. */
  readonly name: string;
  /** The scale: pieces, and breaks between them. */
  readonly axis: readonly Stretch[];
  /** As many as the other columns have, at the same moments. */
  readonly frames: readonly Frame[];
  /** What came of it, in sentences. */
  readonly account: readonly string[];
}

export interface Growth {
  readonly title: string;
  readonly columns: readonly GrowthColumn[];
  readonly notes: readonly string[];
}

/** The windows at a moment on the scale. */
export function frameOf(
  label: string,
  axis: readonly Stretch[],
  windows: readonly WindowPicture[],
  lost?: string,
): Frame {
  const ascending = [...windows].sort((a, b) => (a.start < b.start ? -1 : 1));
  const pieces = axis.filter(({ type }) => type === "piece");
  return {
    label,
    pieces: pieces.map((piece) => pieceCells(piece, ascending)),
    liveBytes: windows.reduce((sum, { bytes }) => sum + bytes.live, 0n),
    windowBytes: windows.reduce((sum, { start, last }) => sum + last - start + 1n, 0n),
    ...(lost === undefined ? {} : { lost }),
  };
}

/** Windows do not overlap; what lies between them is outside. */
function pieceCells(piece: AddressRange, windows: readonly WindowPicture[]): FrameCell[] {
  const cells = new Array<FrameCell>(FRAME_CELLS).fill("outside");
  const size = piece.last - piece.start + 1n;
  for (const { ranges, start, last } of windows) {
    if (last < piece.start || start > piece.last) continue;
    const from = start > piece.start ? start : piece.start;
    const to = last < piece.last ? last : piece.last;
    // Which cells the window is in: below FRAME_CELLS, exact in a number.
    const first = Number(((from - piece.start) * BigInt(FRAME_CELLS)) / size);
    const end = Number(((to - piece.start + 1n) * BigInt(FRAME_CELLS) + size - 1n) / size);
    const own = cellsOf(ranges, { start: from, last: to }, Math.max(1, end - first));
    for (const [i, cell] of own.entries()) if (first + i < FRAME_CELLS) cells[first + i] = cell;
  }
  return cells;
}

/** Fewer cells of the same: one that stands for several is live in the share that they are. */
export function fewer(cells: readonly FrameCell[], count: number): FrameCell[] {
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * cells.length) / count);
    const end = Math.max(from + 1, Math.floor(((i + 1) * cells.length) / count));
    return merged(cells.slice(from, end));
  });
}

function merged(cells: readonly FrameCell[]): FrameCell {
  const inside = cells.filter((cell) => cell !== "outside");
  const [first] = inside;
  if (first === undefined) return "outside";
  if (inside.every(({ live }) => live === 1) && inside.length === cells.length) return first;
  const live = inside.reduce((sum, cell) => sum + cell.live, 0) / cells.length;
  // Whatever was partly live stays so, however little that is.
  const share = live === 0 ? 0 : Math.min(0.999, Math.max(0.001, live));
  const rest = inside.filter((cell) => cell.live < 1).map(({ kind }) => kind);
  const kind = (["kept", "reserved", "free"] as const).find((one) => rest.includes(one)) ?? "free";
  return { live: share, kind, region: first.region };
}
