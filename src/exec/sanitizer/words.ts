import { bytes, hex } from "../../hex.ts";
import { bytesOf } from "../../model/pages.ts";
import type { FindingAddress } from "./finding.ts";
import type { LiveMap } from "./live-maps.ts";

/** More than anybody reads. */
const ADDRESSES_MAX = 64;
const CALLS_MAX = 8;

/** Live IOVAs as addresses, neighbours that lead to neighbouring memory as one. `maps` are by IOVA. */
export function addressesOf(maps: readonly LiveMap[]): FindingAddress[] {
  const joined: { start: number; end: number; page: number }[] = [];
  for (const { start, end, page } of maps) {
    const last = joined.at(-1);
    if (last !== undefined && last.end === start && last.page + (last.end - last.start) === page) last.end = end;
    else joined.push({ start, end, page });
  }
  return joined
    .slice(0, ADDRESSES_MAX)
    .map(({ start, end, page }) => ({ va: bytesOf(page), iova: bytesOf(start), length: bytesOf(end - start) }));
}

/** `IOVA 0x10000 (memory at 0x7f0000000000, 4 KiB)`, and how many more. */
export function reached(maps: readonly LiveMap[]): string {
  const [first, ...others] = addressesOf(maps);
  if (first === undefined) return "nothing";
  const more =
    others.length === 0
      ? ""
      : ` and ${others.length}${others.length + 1 === ADDRESSES_MAX ? " or more" : ""} other ranges`;
  return `IOVA ${hex(first.iova ?? 0n)} (memory at ${hex(first.va ?? 0n)}, ${bytes(first.length)})${more}`;
}

/** The pages [start, end), in words. */
export function named(start: number, end: number): string {
  return `${hex(bytesOf(start))} + ${hex(bytesOf(end - start))}`;
}

/** The MAPs that maps came of, the first few. */
export function madeBy(maps: readonly LiveMap[]): string[] {
  return [...new Set(maps.map(({ call }) => call))].slice(0, CALLS_MAX).map(({ text }) => text);
}
