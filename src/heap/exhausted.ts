/** Nothing fits: how much there is, how much more there could be, and which call would help. */
import type { Window } from "../container/window.ts";
import { DmaWindowError, messageOf } from "../errors.ts";
import { bytes as inBytes } from "../hex.ts";
import type { MemsegTable } from "../memory/table.ts";
import type { OwnList } from "../memory/types.ts";
import { poolIn } from "../system/hugepages.ts";
import type { Growth } from "./growth.ts";
import { wholePages } from "./options.ts";
import { wasm } from "./wasm.ts";

/** What was asked for. */
export interface Asked {
  readonly bytes: number;
  readonly align?: number | undefined;
  readonly boundary?: number | undefined;
}

/** Whom it was asked of. */
export interface Place {
  readonly title: string;
  readonly memory: MemsegTable;
  readonly list: OwnList;
  readonly window: Window;
  /** The allocator's. */
  readonly heap: number;
  readonly growth: Growth;
  /** Bytes that were freed and wait out their time. */
  readonly quarantined: bigint;
}

export function exhausted(asked: Asked, place: Place): DmaWindowError {
  const { title, heap, list, window, growth, quarantined } = place;
  const total = wasm.heapTotal(heap);
  const free = wasm.heapFreeBytes(heap);
  const largest = wasm.heapLargest(heap);
  const listRoom = list.length - usedOf(place);
  const windowRoom = window.iovaMode === "pa" ? window.largestHole : listRoom;
  const hugepages = freeHugepages(place);
  const facts = {
    ...asked,
    live: total - free - quarantined,
    free,
    largest,
    total,
    listRoom,
    windowRoom,
    ...(growth.plan === undefined ? {} : { max: growth.plan.max }),
    ...(hugepages === undefined ? {} : { hugepages }),
    ...(quarantined === 0n ? {} : { quarantined }),
  };
  const about =
    `${title} has no ${wordsOf(asked)}: of its ${inBytes(total)}, ${inBytes(facts.live)} are live and ${inBytes(free)} free, ` +
    `${inBytes(largest)} of them in a row; its list and the window have room for ${inBytes(listRoom)} more` +
    (quarantined === 0n ? "" : `; ${inBytes(quarantined)} are in quarantine`);
  const { error } = growth;
  return new DmaWindowError("ERR_HEAP_EXHAUSTED", `${about}. ${advice(asked, place, { ...facts, hugepages })}`, {
    facts,
    ...(error === undefined ? {} : { cause: error }),
  });
}

function wordsOf({ bytes, align, boundary }: Asked): string {
  const at = align === undefined ? "" : ` at a multiple of ${inBytes(BigInt(align))}`;
  const within = boundary === undefined ? "" : ` within ${inBytes(BigInt(boundary))}`;
  return `${inBytes(BigInt(bytes))}${at}${within} free`;
}

interface Room {
  readonly total: bigint;
  readonly largest: bigint;
  readonly listRoom: bigint;
  readonly hugepages: number | undefined;
}

function advice(asked: Asked, { growth, list, window }: Place, room: Room): string {
  const { plan, error } = growth;
  const pages = wholePages(neededBy(asked, list.pageSize), list.pageSize);
  if (room.largest >= BigInt(asked.bytes) && asked.align === undefined && asked.boundary === undefined) {
    return "All descriptors are taken (2^22 for all heaps of a thread): allocate fewer and larger blocks, or use a pool";
  }
  if (pages > room.listRoom) {
    return (
      `Free blocks, or make another heap on a list of its own: memory.addList({ pageSize, maxBytes }), for which the window ` +
      `has room up to ${inBytes(window.largestHole)}`
    );
  }
  if (plan !== undefined && room.total + pages > plan.max) {
    return `It may not grow beyond grow.max, ${inBytes(plan.max)}: free blocks, or make it with more`;
  }
  if (error !== undefined) return `It could not grow: ${messageOf(error)}`;
  if (room.hugepages !== undefined && BigInt(room.hugepages) * list.pageSize < pages) {
    return `The pool has ${room.hugepages} hugepages of ${inBytes(list.pageSize)} free: give it more, then heap.grow(${pages})`;
  }
  return `Call heap.grow(${pages}), or free blocks${plan?.sync === false ? ", or wait a turn: it grows in the background" : ""}`;
}

/** Bytes of new memory in which it fits wherever they begin, which is at a page. */
function neededBy({ bytes, align = 1, boundary = 1 }: Asked, pageSize: bigint): bigint {
  const unit = BigInt(Math.max(align, boundary));
  return BigInt(bytes) + (unit > pageSize ? unit - pageSize : 0n);
}

function usedOf({ memory, list }: Place): bigint {
  let used = 0n;
  for (const { length } of memory.memsegs(list.base, list.length)) used += length;
  return used;
}

function freeHugepages({ window, list }: Place): number | undefined {
  const { kernel } = window.target;
  if (kernel.files === undefined || list.pageSize <= BigInt(kernel.pageSize)) return undefined;
  return poolIn(kernel.files, list.pageSize)?.free;
}
