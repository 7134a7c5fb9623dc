/**
 * What a TCE table costs, from how Linux's two POWER platforms build it: the twin of `assembly/tce.ts`.
 * Shifts are log2 of bytes.
 */
import { Shape } from "../../src/core.ts";

export interface TableShape {
  readonly windowShift: number;
  readonly pageShift: number;
  readonly levels: number;
  readonly cpuPageShift: number;
}

/** Address bits that one of `levels` tables resolves: the index bits shared out, rounded up. */
function bitsOfLevel({ windowShift, pageShift, levels }: TableShape): number {
  let bits = 0;
  while (bits * levels < windowShift - pageShift) bits++;
  return bits;
}

/** log2 of the bytes of one table: 8 for each entry, and at least a CPU page. */
function tableShift(shape: TableShape): number {
  return Math.max(bitsOfLevel(shape) + 3, shape.cpuPageShift);
}

/** The first rule of PowerNV that the shape breaks, or `Shape.OK`. */
export function powernvShape(shape: TableShape): number {
  const largestTable = 16 << 20;
  if (![1, 2, 3, 4, 5].includes(shape.levels)) return Shape.LEVELS;
  const entryShift = tableShift(shape) - 3;
  if (shape.windowShift < shape.pageShift) return Shape.WINDOW;
  if (entryShift * shape.levels + shape.pageShift >= 55) return Shape.REACH;
  if (2 ** tableShift(shape) > largestTable) return Shape.NOT_CONTIGUOUS;
  return Shape.OK;
}

/** Bytes of the tables of each level, the one with the TCEs first. */
export function powernvLevels(shape: TableShape): bigint[] {
  const table = 2n ** BigInt(tableShift(shape));
  const wholeTables = (bytes: bigint): bigint => {
    let whole = bytes / table;
    if (whole * table < bytes) whole += 1n;
    return (whole === 0n ? 1n : whole) * table;
  };
  const entries = 2n ** BigInt(shape.windowShift - shape.pageShift);
  const levels = [wholeTables(entries * 8n)];
  // A level above holds 8 bytes for each table below.
  while (levels.length < shape.levels) levels.push(wholeTables(((levels.at(-1) as bigint) / table) * 8n));
  return levels;
}

export function powernvTableBytes(shape: TableShape): bigint {
  return powernvLevels(shape).reduce((sum, bytes) => sum + bytes, 0n);
}

/** The tables for the hardware, and as many again for the user's addresses. */
export function powernvCharge(shape: TableShape): bigint {
  return 2n * powernvTableBytes(shape);
}

/** 8 bytes for each page of the window. */
export function pseriesCharge(windowShift: number, pageShift: number): bigint {
  return 8n * (2n ** BigInt(windowShift) / 2n ** BigInt(pageShift));
}

/** The fewest address bits, at least 1, that can say `last`. */
export function maskBits(last: bigint): number {
  return last.toString(2).length;
}
