/** Pages that come a part at a time, with the event loop running between two parts. */
import { withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { LongWork, type LongWorkOptions } from "../long-work.ts";
import type { PagesToCome } from "./own-pages.ts";
import type { Segment } from "./segment.ts";

const OPERATION = "memory.allocateAsync";

/** As much at a time as the kernel zeroes in some ten milliseconds, or one page. */
const PART = 64n << 20n;

/** What the table does for it. */
export interface Allocating {
  /** Keeps room for the pages. */
  begin(): PagesToCome;
  /** @throws where the table is closed, or the list gone: then the pages have no place any more. */
  check(): void;
  finish(pages: PagesToCome): Segment;
}

/** `bytes` of all pages, of `pageSize`. @throws as `memory.allocateAsync`. */
export async function allocateLater(
  table: Allocating,
  bytes: bigint,
  pageSize: bigint,
  options: LongWorkOptions,
): Promise<Segment> {
  const work = new LongWork(OPERATION, bytes, options);
  const pages = exclusively(OPERATION, () => table.begin());
  const part = pageSize > PART ? pageSize : PART;
  try {
    for (let from = 0n; from < bytes; from += part) {
      const length = bytes - from < part ? bytes - from : part;
      exclusively(OPERATION, () => {
        table.check();
        pages.part(from, length);
      });
      await work.did(length);
    }
    return exclusively(OPERATION, () => {
      table.check();
      return table.finish(pages);
    });
  } catch (error) {
    throw withResidue(
      error,
      exclusively(OPERATION, () => pages.undo()),
    );
  }
}
