/** What is live in a heap, for whoever forgot it. */

import { DmaWindowError } from "../errors.ts";
import { hex, bytes as inBytes } from "../hex.ts";
import { readable } from "../inspect.ts";
import { warnOfLeaks } from "../leaks.ts";

/** A block or a slot that somebody has. */
export interface HeapLeak {
  readonly handle: number;
  readonly iova: bigint;
  readonly va: bigint;
  readonly bytes: number;
  /** Of a {@link DmaBuffer}: as many bytes as were asked for. Whoever has one never saw its handle. */
  readonly buffer?: number;
  /** The pool that it is a slot of; absent of blocks. */
  readonly pool?: string;
  /** Where it was allocated, of heaps with `callSites`. */
  readonly callSite?: string;
}

/** A pool of a heap, as the heap knows it. */
export interface HeapPart {
  readonly liveCount: number;
  leaks(): Iterable<HeapLeak>;
  /** Ends it, whatever is live. */
  shut(): void;
  /** Of a pool that other threads may be in. @throws `ERR_HELD` while they are. */
  checkNobody?(): void;
}

const SHOWN = 5;

/** `1 slot`, `2 slots`. */
export function counted(count: number, kind: string): string {
  return `${count} ${kind}${count === 1 ? "" : "s"}`;
}

/** For `JSON.stringify`, which takes no bigint: addresses as `"0x..."`. What it looks like is the same. */
export function tellable(leak: HeapLeak): HeapLeak {
  const toJSON = () => ({ ...leak, iova: hex(leak.iova), va: hex(leak.va) });
  return readable(Object.defineProperty({ ...leak }, "toJSON", { value: toJSON }));
}

const IN_USE = {
  ERR_HEAP_IN_USE: { many: (live: number) => `${live}`, advice: "Free them (leaks() has all)" },
  ERR_POOL_IN_USE: { many: (live: number) => counted(live, "slot"), advice: "Put them" },
} as const;

/** What stands against closing a heap or a pool: the first few that are live, by name. */
export function inUse(
  code: keyof typeof IN_USE,
  title: string,
  live: number,
  leaks: Iterable<HeapLeak>,
): DmaWindowError {
  const { many, advice } = IN_USE[code];
  const said = `${title} has ${many(live)} live: ${nameLeaks(live, leaks)}`;
  return new DmaWindowError(code, `${said}. ${advice}, or close({ force: true }) once the device is idle`, {
    facts: { live },
  });
}

/** Of a heap with `callSites` that is closed whatever is live. */
export function tellLeaks(title: string, live: number, leaks: Iterable<HeapLeak>): void {
  if (live > 0) warnOfLeaks(`${title} was closed with ${live} live: ${nameLeaks(live, leaks)}`);
}

/** The first few, in words. */
function nameLeaks(count: number, leaks: Iterable<HeapLeak>): string {
  const shown: string[] = [];
  for (const { handle, iova, bytes, buffer, pool, callSite } of leaks) {
    if (shown.length === SHOWN) break;
    const of = pool === undefined ? "" : ` of ${pool}`;
    const where = `${inBytes(BigInt(bytes))} at IOVA ${hex(iova)}${callSite === undefined ? "" : `, ${callSite}`}`;
    const what = buffer === undefined ? "" : `a buffer of ${inBytes(BigInt(buffer))}, `;
    shown.push(`${what}handle ${handle}${of} (${where})`);
  }
  return `${shown.join(", ")}${count > shown.length ? ` and ${count - shown.length} more` : ""}`;
}
