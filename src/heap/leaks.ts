/** What is live in a heap, for whoever forgot it. */
import { hex, bytes as inBytes } from "../hex.ts";

/** A block or a slot that somebody has. */
export interface HeapLeak {
  readonly handle: number;
  readonly iova: bigint;
  readonly va: bigint;
  readonly bytes: number;
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

/** The first few, in words. */
export function nameLeaks(count: number, leaks: Iterable<HeapLeak>): string {
  const shown: string[] = [];
  for (const { handle, iova, bytes, pool, callSite } of leaks) {
    if (shown.length === SHOWN) break;
    const of = pool === undefined ? "" : ` of ${pool}`;
    shown.push(
      `handle ${handle}${of} (${inBytes(BigInt(bytes))} at IOVA ${hex(iova)}${callSite === undefined ? "" : `, ${callSite}`})`,
    );
  }
  return `${shown.join(", ")}${count > shown.length ? ` and ${count - shown.length} more` : ""}`;
}
