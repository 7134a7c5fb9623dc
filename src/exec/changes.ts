import { readFileSync } from "node:fs";
import { MemoryChange } from "../supervision.ts";
import type { ProgramEvent } from "./event.ts";

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
  const [start, length, third] = [event.argument(0), event.argument(1), event.argument(2)];
  switch (event.detail) {
    case MemoryChange.UNMAP:
      // What the kernel refuses changes nothing. (`mm/mmap.c: do_vmi_munmap`)
      return start % PAGE === 0n ? [range(start, length, "munmap")] : [];
    case MemoryChange.REPLACE:
      return start % PAGE === 0n ? [range(start, length, "mmap with MAP_FIXED over it")] : [];
    case MemoryChange.DROP:
      return start % PAGE === 0n ? [range(start, length, "madvise, which drops its pages")] : [];
    case MemoryChange.PROTECT: {
      const protection = { read: (third & 1n) !== 0n, write: (third & 2n) !== 0n };
      return start % PAGE === 0n ? [{ ...range(start, length, "mprotect"), protection }] : [];
    }
    case MemoryChange.MOVE:
      return moved(event);
    case MemoryChange.BREAK:
      return [range(start, heapEnd(event.thread) - start, "brk")];
    case MemoryChange.DETACH:
      return [range(start, areaEnd(event.thread, start) - start, "shmdt")];
    default:
      return [];
  }
}

/** mremap: what is behind the new length goes; all of it where the program says where to; where it may move, nobody knows before. */
function moved(event: ProgramEvent): readonly GivenBack[] {
  const [start, length, wanted, flags, target] = [0, 1, 2, 3, 4].map((index) => event.argument(index)) as [
    ...[bigint, bigint, bigint, bigint, bigint],
  ];
  if ((flags & BigInt(ReMap.FIXED)) !== 0n) {
    return [range(start, length, "mremap"), range(target, wanted, "mremap over it")];
  }
  if (wanted < length) return [range(start + wanted, length - wanted, "mremap")];
  return wanted > length && (flags & BigInt(ReMap.MAY_MOVE)) !== 0n
    ? [range(start, length, "mremap, which may move it")]
    : [];
}

function range(start: bigint, length: bigint, how: string): GivenBack {
  const end = start + ((length + PAGE - 1n) / PAGE) * PAGE;
  return { start: start - (start % PAGE), end, how };
}

function heapEnd(thread: number): bigint {
  return endOf(thread, /^[0-9a-f]+-([0-9a-f]+) .*\[heap\]$/m);
}

function areaEnd(thread: number, start: bigint): bigint {
  return endOf(thread, new RegExp(`^0*${start.toString(16)}-([0-9a-f]+) `, "m")) || start;
}

function endOf(thread: number, line: RegExp): bigint {
  try {
    return BigInt(`0x${line.exec(readFileSync(`/proc/${thread}/maps`, "latin1"))?.[1] ?? "0"}`);
  } catch {
    return 0n; // it has ended
  }
}
