/**
 * Where lists had their regions in a window, for when their memory is attached again: a device that was stopped for it goes on
 * with the IOVAs that it was given. Nothing is kept free for them meanwhile, and nothing is remembered beyond window and list.
 */
import type { MemsegList } from "../memory/types.ts";
import type { Window } from "./window.ts";

const places = new WeakMap<Window, WeakMap<MemsegList, bigint>>();

export function rememberPlace(window: Window, list: MemsegList, iova: bigint): void {
  const known = places.get(window) ?? new WeakMap<MemsegList, bigint>();
  known.set(list, iova);
  places.set(window, known);
}

/** The first IOVA of the region that it had last; undefined where it had none. */
export function lastPlace(window: Window, list: MemsegList): bigint | undefined {
  return places.get(window)?.get(list);
}
