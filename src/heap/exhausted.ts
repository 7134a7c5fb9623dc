/** Nothing fits: how much there is, how much more there could be, and which call would help. */
import type { Window } from "../container/window.ts";
import { DmaWindowError, messageOf } from "../errors.ts";
import { bytes as inBytes } from "../hex.ts";
import type { MemsegTable } from "../memory/table.ts";
import type { OwnList } from "../memory/types.ts";
import { poolIn } from "../system/hugepages.ts";
import { alignShift, boundaryShift, roomAnywhere, roomInPages } from "./block.ts";
import type { Asked, GrowthState, Place } from "./ground.ts";
import { counted } from "./leaks.ts";
import { wholePages } from "./options.ts";
import { wasm } from "./wasm.ts";

/** What its memory is of. */
export interface Source {
  readonly memory: MemsegTable;
  readonly list: OwnList;
  readonly window: Window;
}

export function exhausted(asked: Asked, place: Place, source: Source): DmaWindowError {
  const { growth } = place;
  const { list, window } = source;
  const figures = figuresOf(place);
  const listRoom = list.length - usedOf(source);
  const windowRoom = window.iovaMode === "pa" ? window.largestHole : listRoom;
  const hugepages = freeHugepages(source);
  const facts = {
    ...asked,
    ...figures,
    listRoom,
    windowRoom,
    ...(growth.plan === undefined ? {} : { max: growth.plan.max }),
    ...(hugepages === undefined ? {} : { hugepages }),
  };
  const about = `${aboutOf(asked, place, figures)}; its list and the window have room for ${inBytes(listRoom)} more`;
  const help = advice(asked, growth, source, { ...facts, hugepages });
  return refusal(about, place, help, facts, growth.error);
}

/** The same of a heap that has what it was lent. */
export function exhaustedLoan(asked: Asked, place: Place): DmaWindowError {
  const figures = figuresOf(place);
  const help =
    figures.largest >= roomAnywhere(...shiftsOf(asked))
      ? NO_DESCRIPTORS
      : "Free blocks, or have more lent to it: add(token)";
  return refusal(aboutOf(asked, place, figures), place, help, { ...asked, ...figures });
}

const NO_DESCRIPTORS =
  "All descriptors are taken (2^22 for all heaps of a thread): allocate fewer and larger blocks, or use a pool";

interface Figures {
  readonly live: bigint;
  readonly free: bigint;
  readonly largest: bigint;
  readonly total: bigint;
  readonly quarantined?: bigint;
}

function figuresOf({ heap, quarantined }: Place): Figures {
  const total = wasm.heapTotal(heap);
  const free = wasm.heapFreeBytes(heap);
  const largest = wasm.heapLargest(heap);
  return { live: total - free - quarantined, free, largest, total, ...(quarantined === 0n ? {} : { quarantined }) };
}

function aboutOf(asked: Asked, { title }: Place, { total, live, free, largest }: Figures): string {
  return (
    `${title} has no ${wordsOf(asked)}: of its ${inBytes(total)}, ${inBytes(live)} are live and ${inBytes(free)} free, ` +
    `${inBytes(largest)} of them in a row`
  );
}

function refusal(about: string, { quarantined }: Place, help: string, facts: object, cause?: unknown): DmaWindowError {
  const waiting = quarantined === 0n ? "" : `; ${inBytes(quarantined)} are in quarantine`;
  return new DmaWindowError("ERR_HEAP_EXHAUSTED", `${about}${waiting}. ${help}`, {
    facts: { ...facts },
    ...(cause === undefined ? {} : { cause }),
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

function advice(asked: Asked, { plan, error }: GrowthState, { list, window }: Source, room: Room): string {
  const pages = wholePages(roomInPages(...shiftsOf(asked), list.pageSize), list.pageSize);
  if (room.largest >= roomAnywhere(...shiftsOf(asked))) return NO_DESCRIPTORS;
  if (pages > list.length) {
    const whole = `its whole list holds ${inBytes(list.length)} (maxBytes of addList)`;
    return (
      `It can never fit, whatever is freed: ${whole}. Ask for less at a time, or make another heap on a longer list, for ` +
      `which the window has room up to ${inBytes(window.largestHole)}`
    );
  }
  if (plan !== undefined && pages > plan.max) {
    return `It can never fit, whatever is freed: grow.max is ${inBytes(plan.max)}. Ask for less at a time, or make it with more`;
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
    return `The pool has ${counted(room.hugepages, "hugepage")} of ${inBytes(list.pageSize)} free: give it more, then heap.grow(${pages})`;
  }
  return `Call heap.grow(${pages}), or free blocks${plan?.sync === false ? ", or wait a turn: it grows in the background" : ""}`;
}

/** The same in shifts, as the allocator has it. A pool asks for slots within a boundary that all of them together are longer than. */
function shiftsOf({ bytes, align, boundary }: Asked): readonly [bytes: number, align: number, boundary: number] {
  return [bytes, alignShift(align), boundaryShift(boundary, 0)];
}

function usedOf({ memory, list }: Source): bigint {
  let used = 0n;
  for (const { length } of memory.memsegs(list.base, list.length)) used += length;
  return used;
}

function freeHugepages({ window, list }: Source): number | undefined {
  const { kernel } = window.target;
  if (kernel.files === undefined || list.pageSize <= BigInt(kernel.pageSize)) return undefined;
  return poolIn(kernel.files, list.pageSize)?.free;
}
