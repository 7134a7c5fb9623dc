/** What a table records, it also maps, and what it forgets it has unmapped: in one go. */
import { core, NO_ADDRESS, Status } from "../core.ts";
import { type DmaWindowError, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Listeners } from "./listeners.ts";
import { nameOf, refused } from "./refusals.ts";
import type { Memseg, MemsegList, OwnList } from "./types.ts";

/** Records memsegs and maps them everywhere; or does neither. @throws what the core refuses, and what mapping them throws. */
export function recordAll(table: number, listeners: Listeners, list: OwnList, memsegs: readonly Memseg[]): void {
  const recorded: Memseg[] = [];
  try {
    for (let i = 0; i < memsegs.length; i++) {
      const memseg = memsegs[i] as Memseg;
      const status = core.memsegAdd(table, list.index, memseg.va, memseg.iova ?? NO_ADDRESS, memseg.length);
      if (status !== Status.OK) throw refused(status, `memseg of ${bytes(memseg.length)} at ${hex(memseg.va)}`);
      recorded.push(memseg);
    }
    listeners.tell(
      (listener) => listener.added(list, memsegs),
      (listener) => listener.removing(list, memsegs),
      () => `${nameOf(memsegs)} are still mapped`,
    );
  } catch (error) {
    for (const memseg of recorded) core.memsegRemove(table, memseg.va);
    throw error;
  }
}

/** Unmaps memsegs everywhere, and forgets them. Gives an error for the registrations that could not be ended. */
export function forgetAll(
  table: number,
  listeners: Listeners,
  list: MemsegList,
  memsegs: readonly Memseg[],
): DmaWindowError | undefined {
  const leftovers = listeners.tell(
    (listener) => listener.removing(list, memsegs),
    (listener) => listener.added(list, memsegs),
    () => `${nameOf(memsegs)} are not mapped again`,
  );
  const [first, ...more] = leftovers.filter((leftover) => leftover !== undefined);
  const left = more.flatMap(({ residue }) => residue?.left ?? []);
  const leftover = first && (withResidue(first, left) as DmaWindowError);
  for (const { va } of memsegs) core.memsegRemove(table, va); // last: nothing throws any more
  return leftover;
}
