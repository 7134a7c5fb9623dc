/**
 * Arrays of handles in the allocator's own memory, which bulk calls read and write without a copy. They are used again as what they
 * are and never as anything else: a program that keeps one after its pool was closed can spoil handles, which are checked, and no
 * table.
 */
import { OwnWeakMap } from "../captured.ts";
import { DmaWindowError } from "../errors.ts";
import { wasm } from "./wasm.ts";

/** Those that nobody has, by the power of two that they have room for. */
const idle = new Map<number, Int32Array[]>();
/** Those that programs have, and where they lie: of an array itself nothing is asked, which may have properties that say something else. */
const inUse = new OwnWeakMap<Int32Array, Int32Array>();

/** The pointer of a batch's array, 0 for any other. */
export function pointerOf(handles: Int32Array): number {
  return inUse.get(handles)?.byteOffset ?? 0;
}

/** An array of `count` handles. @throws `ERR_OUT_OF_MEMORY`. */
export function takeBatch(count: number): Int32Array {
  const room = 2 ** Math.ceil(Math.log2(count));
  const whole = idle.get(room)?.pop() ?? make(room);
  const batch = new Int32Array(whole.buffer, whole.byteOffset, count);
  inUse.set(batch, whole);
  return batch;
}

export function giveBatch(batch: Int32Array): void {
  const whole = inUse.get(batch);
  if (whole === undefined) return;
  inUse.delete(batch);
  const others = idle.get(whole.length) ?? [];
  others.push(whole);
  idle.set(whole.length, others);
}

function make(room: number): Int32Array {
  const pointer = wasm.arenaTake(room * 4);
  if (pointer !== 0) return new Int32Array(wasm.memory.buffer, pointer, room);
  throw new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for a batch of ${room} handles in the allocator's memory`);
}
