/** What listeners hear of windows, and of maps and unmaps: the rows of the request columns, as they were carried out. */
import { channels, type MapMessage, type UnmapMessage, type WindowMessage } from "../channels.ts";
import { Owner } from "../core.ts";
import { readable, readableEach, type Told, whereClosed } from "../inspect.ts";
import type { IovaMode } from "../plan/index.ts";
import { rows } from "./columns.ts";
import type { Target } from "./target.ts";

const MAPPERS = { [Owner.PROGRAM]: "program", [Owner.MEMORY]: "memory", [Owner.WINDOW]: "window" } as const;

/** A window, as far as it is told of. */
interface Shown {
  readonly closed: boolean;
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
  readonly iovaMode: IovaMode;
  readonly liveBytes: bigint;
  readonly target: Target;
}

export function tellWindow(event: WindowMessage["event"], { start, size, pageShift, iovaMode, target }: Shown): void {
  if (!channels.window.hasSubscribers) return;
  const { container, kind } = target;
  const message = { event, container, kind, start, size, pageSize: 1n << BigInt(pageShift), iovaMode };
  channels.window.publish(readable(message satisfies WindowMessage));
}

/** For whoever looks at one. */
export function shownWindow(window: Shown): Told {
  const { closed, start, size, pageShift, iovaMode } = window;
  const liveBytes = closed ? undefined : window.liveBytes;
  return { state: whereClosed(window), start, size, pageSize: 1n << BigInt(pageShift), iovaMode, liveBytes };
}

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
  channels.map.publish(readable({ ...about(target, owner, since), maps: readableEach(maps) } satisfies MapMessage));
}

/** They are not any more. */
export function tellUnmaps(target: Target, count: number, owner: number, since: number): void {
  channels.unmap.publish(
    readable({ ...about(target, owner, since), maps: readableEach(placesIn(count)) } satisfies UnmapMessage),
  );
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
