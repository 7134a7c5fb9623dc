import { bytesOf } from "../pages.ts";
import type { LiveRange } from "../reach.ts";

/** IOVAs that devices reach memory through, as long a stretch as there is that leads to neighbouring memory in the same way. */
export interface LiveIova {
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint;
  /** Where the memory was in the process that mapped it. */
  readonly va: bigint;
  /** Whether a device may read it, and write it. */
  readonly read: boolean;
  readonly write: boolean;
  /** False: the process has unmapped it since, or has other memory there. Devices still reach what was there. */
  readonly present: boolean;
}

/** In pages of 4 KiB. */
interface Stretch {
  readonly iovaPage: number;
  pages: number;
  readonly page: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly present: boolean;
}

/** Neighbours as one. `ranges` come by IOVA. */
export function joined(ranges: Iterable<LiveRange>): LiveIova[] {
  const stretches: Stretch[] = [];
  for (const range of ranges) {
    for (const next of parted(range)) {
      const last = stretches[stretches.length - 1];
      if (last !== undefined && continues(last, next)) last.pages += next.pages;
      else stretches.push(next);
    }
  }
  return stretches.map(({ iovaPage, pages, page, read, write, present }) => ({
    iova: bytesOf(iovaPage),
    length: bytesOf(pages),
    va: bytesOf(page),
    read,
    write,
    present,
  }));
}

/** Cut where the process has not the memory any more. */
function parted({ iovaPage, pages, page, read, write, memory }: LiveRange): Stretch[] {
  const stretches: Stretch[] = [];
  const add = (from: number, to: number, present: boolean) => {
    if (to > from)
      stretches.push({ iovaPage: iovaPage + from - page, pages: to - from, page: from, read, write, present });
  };
  let at = page;
  for (const { start, end } of memory.gone(page, page + pages)) {
    add(at, start, true);
    add(start, end, false);
    at = end;
  }
  add(at, page + pages, true);
  return stretches;
}

function continues(last: Stretch, next: Stretch): boolean {
  return (
    last.iovaPage + last.pages === next.iovaPage &&
    last.page + last.pages === next.page &&
    last.read === next.read &&
    last.write === next.write &&
    last.present === next.present
  );
}
