/** What a table and its lists say of themselves to whoever looks. */
import { bytes, hex } from "../hex.ts";
import { type Told, whereClosed } from "../inspect.ts";
import { type Leak, Sites } from "../leaks.ts";
import type { Segment } from "./segment.ts";
import type { MemsegList, OwnList } from "./types.ts";

/** The table, as far as it is shown. */
interface Table {
  readonly closed: boolean;
  readonly lists: readonly MemsegList[];
  readonly size: number;
  readonly bytes: bigint;
}

export function tellTable(table: Table): Told {
  const state = whereClosed(table);
  return state === undefined ? { bytes: table.bytes, memsegs: table.size, lists: table.lists } : { state };
}

/** `external` and `heap` only where they are so. */
export function tellList({ base, length, pageSize, external, heap, node }: OwnList): object {
  return { base, length, pageSize, external: external || undefined, heap: heap || undefined, node };
}

/** Segments that nobody has freed. */
export function segmentLeaks(segments: Iterable<Segment>, sites = new Sites()): Leak[] {
  return Array.from(segments, (segment) =>
    sites.leak("segment", `a segment of ${bytes(segment.length)} at ${hex(segment.va)}`, segment),
  );
}
