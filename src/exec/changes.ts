import { MemoryChange } from "../supervision.ts";
import { Protection } from "../syscalls.ts";
import { areasIn, type MemoryArea } from "./areas.ts";
import type { ProgramEvent } from "./event.ts";
import { procText } from "./proc.ts";

const ReMap = { MAY_MOVE: 1, FIXED: 2 } as const;

/** Memory that a process gives back, or that is not what it was. */
export interface GivenBack {
  readonly start: bigint;
  readonly end: bigint;
  /** The call, in words. */
  readonly how: string;
  /** mprotect: the memory stays, and may be used so from now on. */
  readonly protection?: { readonly read: boolean; readonly write: boolean };
}

const PAGE = 4096n;

/** What a call of the program is about to take from its memory: ranges of whole pages. */
export function givenBack(event: ProgramEvent): readonly GivenBack[] {
  const start = event.argument(0);
  switch (event.detail) {
    case MemoryChange.UNMAP:
      return pages(event, "munmap");
    case MemoryChange.REPLACE:
      return pages(event, "mmap with MAP_FIXED over it");
    case MemoryChange.DROP:
      return pages(event, "madvise, which drops its pages");
    case MemoryChange.PROTECT: {
      const wanted = event.word(2);
      const protection = { read: (wanted & Protection.READ) !== 0, write: (wanted & Protection.WRITE) !== 0 };
      return pages(event, "mprotect").map((range) => ({ ...range, protection }));
    }
    case MemoryChange.MOVE:
      return moved(event);
    case MemoryChange.BREAK: {
      const heap = areasOf(event).findLast(({ name }) => name === "[heap]");
      return heap !== undefined && start < heap.end ? [range(start, heap.end - start, "brk")] : [];
    }
    case MemoryChange.DETACH: {
      const area = areasOf(event).find((one) => one.start === start);
      return area === undefined ? [] : [range(start, area.end - start, "shmdt")];
    }
    default:
      return [];
  }
}

/** What a call names by address and length. What the kernel refuses changes nothing. (`mm/mmap.c: do_vmi_munmap`) */
function pages(event: ProgramEvent, how: string): readonly GivenBack[] {
  const start = event.argument(0);
  return start % PAGE === 0n ? [range(start, event.argument(1), how)] : [];
}

/** mremap: what is behind the new length goes; all of it where the program says where to; where it may move, nobody knows before. */
function moved(event: ProgramEvent): readonly GivenBack[] {
  const [start, length, wanted, flags] = [event.argument(0), event.argument(1), event.argument(2), event.word(3)];
  if ((flags & ReMap.FIXED) !== 0) {
    return [range(start, length, "mremap"), range(event.argument(4), wanted, "mremap over it")];
  }
  if (wanted < length) return [range(start + wanted, length - wanted, "mremap")];
  return wanted > length && (flags & ReMap.MAY_MOVE) !== 0 ? [range(start, length, "mremap, which may move it")] : [];
}

function range(start: bigint, length: bigint, how: string): GivenBack {
  const end = start + ((length + PAGE - 1n) / PAGE) * PAGE;
  return { start: start - (start % PAGE), end, how };
}

function areasOf({ thread }: ProgramEvent): readonly MemoryArea[] {
  return areasIn(procText(`/proc/${thread}/maps`));
}
