/** What listeners hear of maps and unmaps: the rows of the request columns, as they were carried out. */
import { channels, type MapMessage, type UnmapMessage } from "../channels.ts";
import { Owner } from "../core.ts";
import { readable } from "../inspect.ts";
import { rows } from "./columns.ts";
import type { Target } from "./target.ts";

const MAPPERS = { [Owner.PROGRAM]: "program", [Owner.MEMORY]: "memory", [Owner.WINDOW]: "window" } as const;

/** When a call begins, where somebody wants to know how long it takes. */
export function began(): number {
  return channels.map.hasSubscribers || channels.unmap.hasSubscribers ? performance.now() : 0;
}

/** The first `count` rows are mapped. */
export function tellMaps(target: Target, count: number, owner: number, since: number): void {
  const { permissions } = rows(count);
  const maps = placesIn(count).map((place, i) => {
    const permission = permissions[i] ?? 0;
    return { ...place, read: (permission & 1) !== 0, write: (permission & 2) !== 0 };
  });
  channels.map.publish(readable({ ...about(target, owner, since), maps } satisfies MapMessage));
}

/** They are not any more. */
export function tellUnmaps(target: Target, count: number, owner: number, since: number): void {
  channels.unmap.publish(readable({ ...about(target, owner, since), maps: placesIn(count) } satisfies UnmapMessage));
}

function about({ container, start }: Target, owner: number, since: number): Omit<UnmapMessage, "maps"> {
  const milliseconds = since === 0 ? 0 : performance.now() - since; // 0: it subscribed meanwhile
  return { container, window: start, by: MAPPERS[owner as keyof typeof MAPPERS], milliseconds };
}

function placesIn(count: number): { readonly va: bigint; readonly iova: bigint; readonly length: bigint }[] {
  const { vas, iovas, lengths } = rows(count);
  return Array.from({ length: count }, (_, i) => ({
    va: vas[i] as bigint,
    iova: iovas[i] as bigint,
    length: lengths[i] as bigint,
  }));
}
