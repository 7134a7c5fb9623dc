/** How full a window is, part by part: what a picture of it is made of. */
import type { Window } from "../container/window.ts";

/** Into how many parts a window is cut, if nobody says. */
const SHARES = 64;

/** How much of each part of the window is mapped, 0 to 1, in thousandths. */
export function sharesOf(window: Window, parts = SHARES): number[] {
  const part = window.size / BigInt(parts) || 1n;
  const filled = new Array<bigint>(parts).fill(0n);
  for (const { iova, length } of window.maps()) {
    for (let at = iova - window.start, end = at + length; at < end; ) {
      const index = Number(at / part); // below `parts`
      const next = (BigInt(index) + 1n) * part;
      const stop = next < end ? next : end;
      filled[index] = (filled[index] ?? 0n) + stop - at;
      at = stop;
    }
  }
  return filled.map((bytes) => Number((bytes * 1000n) / part) / 1000);
}
