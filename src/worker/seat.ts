/**
 * A seat: a word of shared memory that says whether somebody came with a ticket, and whether he is still there. Of pools the module
 * has them (assembly/alloc/shared-workers.ts); of loans, which need nothing but that, they are here.
 *
 *     NOBODY ── reserve: a token is made ──> RESERVED ── take: once ──> JOINED ── leave, or the owner clears it ──> NOBODY, next ticket
 *
 * A seat is one for ever, and its tickets only rise: a token may be shown at any time. Behind the word, at 8, stands which thread came.
 */
import type { AllocMemory } from "../alloc.ts";
import { Seat } from "../alloc-shared.ts";

const TICKET_ONE = 4;
const THREAD = 8;

/** Bytes of a seat with its thread. */
export const SEAT_BYTES = 16;

/** The ticket. Nobody is there, and the seat is the caller's. */
export function reserve(memory: AllocMemory, seat: number): number {
  const words = new Int32Array(memory.buffer, seat, 1);
  setThread(memory, seat, 0n);
  return Atomics.add(words, 0, Seat.RESERVED) + Seat.RESERVED;
}

/** Whether the ticket was good. */
export function take(memory: AllocMemory, seat: number, ticket: number, thread: bigint): boolean {
  if ((ticket & Seat.MASK) !== Seat.RESERVED) return false;
  const words = new Int32Array(memory.buffer, seat, 1);
  const joined = (ticket + (Seat.JOINED - Seat.RESERVED)) | 0;
  if (Atomics.compareExchange(words, 0, ticket, joined) !== ticket) return false;
  setThread(memory, seat, thread);
  return true;
}

/** By whoever is there, or for one who has ended. */
export function leave(memory: AllocMemory, seat: number): void {
  Atomics.add(new Int32Array(memory.buffer, seat, 1), 0, TICKET_ONE - Seat.JOINED);
}

/** Makes a ticket void that nobody came with; false: somebody did. */
export function revoke(memory: AllocMemory, seat: number, ticket: number): boolean {
  const words = new Int32Array(memory.buffer, seat, 1);
  return Atomics.compareExchange(words, 0, ticket, (ticket + TICKET_ONE - Seat.RESERVED) | 0) === ticket;
}

export function stateOf(memory: AllocMemory, seat: number): number {
  return Atomics.load(new Int32Array(memory.buffer, seat, 1), 0) & Seat.MASK;
}

/** 0n: nobody said. */
export function threadOf(memory: AllocMemory, seat: number): bigint {
  return new DataView(memory.buffer).getBigUint64(seat + THREAD, true);
}

function setThread(memory: AllocMemory, seat: number, thread: bigint): void {
  new DataView(memory.buffer).setBigUint64(seat + THREAD, thread, true);
}
