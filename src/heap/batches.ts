/**
 * Arrays of handles in the allocator's own memory, which bulk calls read and write without a copy. They are used again as what they
 * are and never as anything else: a program that keeps one after its pool was closed can spoil handles, which are checked, and no
 * table.
 */
import { OwnWeakMap } from "../captured.ts";
import { DmaWindowError } from "../errors.ts";
import { counted } from "./leaks.ts";
import { wasm } from "./wasm.ts";

/** Those that nobody has, by the power of two that they have room for. */
const idle = new Map<number, Int32Array[]>();
/** Where an array's handles are, and how many: what properties of its own a program may have given it is asked by nobody. */
export interface Batch {
  readonly pointer: number;
  readonly count: number;
}

/** Those that programs have. */
const inUse = new OwnWeakMap<Int32Array, Batch>();

/** The batch that was asked for last, which in most programs is the next one too; else an array that nobody has. */
const NOBODYS = new Int32Array(0);
let lastArray: Int32Array = NOBODYS;
let last: Batch | undefined;

/** Of an array that is a batch; `undefined` of anything else. About 6 ns, and 1 for the same again. No garbage. */
export function batchOf(handles: Int32Array): Batch | undefined {
  if (handles === lastArray) return last;
  const found = inUse.get(handles);
  if (found !== undefined) {
    lastArray = handles;
    last = found;
  }
  return found;
}

/** An array of `count` handles. @throws `ERR_OUT_OF_MEMORY`. */
export function takeBatch(count: number): Int32Array {
  const room = 2 ** Math.ceil(Math.log2(count));
  const whole = idle.get(room)?.pop() ?? make(room);
  const batch = new Int32Array(whole.buffer, whole.byteOffset, count);
  inUse.set(batch, { pointer: whole.byteOffset, count });
  return batch;
}

export function giveBatch(batch: Int32Array): void {
  const place = inUse.get(batch);
  if (place === undefined) return;
  inUse.delete(batch);
  if (batch === lastArray) lastArray = NOBODYS;
  const room = 2 ** Math.ceil(Math.log2(place.count));
  const others = idle.get(room) ?? [];
  others.push(new Int32Array(wasm.memory.buffer, place.pointer, room));
  idle.set(room, others);
}

function make(room: number): Int32Array {
  const pointer = wasm.arenaTake(room * 4);
  if (pointer !== 0) return new Int32Array(wasm.memory.buffer, pointer, room);
  throw new DmaWindowError(
    "ERR_OUT_OF_MEMORY",
    `no room for a batch of ${counted(room, "handle")} in the allocator's memory`,
  );
}
