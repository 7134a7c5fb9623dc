/**
 * Seats of workers in shared pools: words of the allocator's memory that are seats for ever, since a token that leads to one may be
 * shown when its pool is gone. Those of a closed pool are the next one's of as many workers; their tickets only rise.
 */
import { DmaWindowError } from "../errors.ts";
import { wasm } from "./wasm.ts";

const BLOCK = 4032; // with the arena's own 64 bytes a power of two
const idle = new Map<number, number[]>();
let at = 0;
let end = 0;

/** The first of `count` words, one behind the other. @throws `ERR_OUT_OF_MEMORY`. */
export function takeSeats(count: number): number {
  const former = idle.get(count)?.pop();
  if (former !== undefined) return former;
  if (end - at < count * 4) {
    at = wasm.arenaTake(BLOCK);
    end = at + BLOCK;
    if (at === 0) {
      end = 0;
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", "no room for seats of workers in the allocator's memory");
    }
  }
  at += count * 4;
  return at - count * 4;
}

export function giveSeats(seats: number, count: number): void {
  const others = idle.get(count) ?? [];
  others.push(seats);
  idle.set(count, others);
}
