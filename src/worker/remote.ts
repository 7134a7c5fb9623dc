/**
 * Handles that other threads free: how they come to the heap's own thread. A word for each descriptor, in memory that both see:
 *
 *     words    | 0 | handle | 0 | 0 | handle | ...       one for each handle that the heap can have at a time
 *     groups   a bit for 64 words, and a bit for 32 x 64 of them: where to look
 *     head     open, bell
 *
 * **One compare-exchange of a word, from 0 to the handle, is the push.** So there is nothing to allocate, nothing that is full, no order
 * in which two have to come, and no half of it: a thread that is ended before has freed nothing, and one that is ended behind it has
 * freed. Bits and bell only say where to look, and that somebody should. Whoever is ended before they are set leaves a handle that
 * the owner finds when it looks at all words, as it does before it says that nothing is left.
 *
 * A word that is not 0 refuses the next push, so a handle that is freed elsewhere twice is refused there, until the owner has taken it.
 * The owner takes by an exchange with 0, and frees as if it had been told so itself: what is stale, foreign or not live is refused then.
 *
 * A bit is cleared before its words are looked at, and set behind the push: so what is pushed in between is found, or its bit is set.
 *
 * The memory is no heap's: it is a SharedArrayBuffer of its own, and stays as long as somebody has it. Nothing else is ever written by
 * those who push.
 */
import { until } from "./waiting.ts";

const OPEN = 0;
const BELL = 1;
const HEAD = 32; // words: what is written all the time, by itself
const GROUP_SHIFT = 6;

/** Asked again after this, in milliseconds: whoever was to ring may have been ended before it did. */
const AGAIN = 1000;

export const Pushed = { OK: 0, ALREADY: 1, CLOSED: 2 } as const;

export class RemoteQueue {
  readonly buffer: SharedArrayBuffer;
  readonly #all: Int32Array;
  readonly #room: number;
  readonly #groups: number;
  readonly #tops: number;
  readonly #words: number;
  readonly #topCount: number;

  readonly #rung: () => void;

  /** For handles whose index is below `room`. `rung` is called by whoever rings the bell. */
  constructor(room: number, buffer?: SharedArrayBuffer, rung: () => void = () => {}) {
    this.#rung = rung;
    const groups = Math.ceil(room / 2 ** (GROUP_SHIFT + 5));
    this.#room = room;
    this.#topCount = Math.ceil(groups / 32);
    this.#tops = HEAD;
    this.#groups = HEAD + this.#topCount;
    this.#words = this.#groups + groups;
    this.buffer = buffer ?? new SharedArrayBuffer((this.#words + room) * 4);
    this.#all = new Int32Array(this.buffer);
    if (buffer === undefined) Atomics.store(this.#all, OPEN, 1);
  }

  get room(): number {
    return this.#room;
  }

  /** By any thread. `index` is below {@link room}; a handle is never 0. */
  push(index: number, handle: number): number {
    const all = this.#all;
    if (Atomics.load(all, OPEN) === 0) return Pushed.CLOSED;
    if (Atomics.compareExchange(all, this.#words + index, 0, handle) !== 0) return Pushed.ALREADY;
    const group = index >> GROUP_SHIFT;
    const at = this.#groups + (group >> 5);
    if ((Atomics.load(all, at) & (1 << (group & 31))) === 0) Atomics.or(all, at, 1 << (group & 31));
    const top = group >> 5;
    const above = this.#tops + (top >> 5);
    if ((Atomics.load(all, above) & (1 << (top & 31))) === 0) Atomics.or(all, above, 1 << (top & 31));
    if (Atomics.load(all, BELL) === 0 && Atomics.exchange(all, BELL, 1) === 0) {
      Atomics.notify(all, BELL);
      this.#rung();
    }
    return Atomics.load(all, OPEN) === 0 ? Pushed.CLOSED : Pushed.OK;
  }

  /** By the owner: each handle once; how many. */
  drain(take: (handle: number) => void): number {
    const all = this.#all;
    let count = 0;
    Atomics.store(all, BELL, 0);
    for (let above = 0; above < this.#topCount; above++) {
      if (Atomics.load(all, this.#tops + above) === 0) continue;
      for (let tops = Atomics.exchange(all, this.#tops + above, 0); tops !== 0; tops &= tops - 1) {
        const top = above * 32 + (31 - Math.clz32(tops & -tops));
        for (let groups = Atomics.exchange(all, this.#groups + top, 0); groups !== 0; groups &= groups - 1) {
          const group = top * 32 + (31 - Math.clz32(groups & -groups));
          count += this.#drainGroup(group << GROUP_SHIFT, take);
        }
      }
    }
    return count;
  }

  /** The same by a look at each of the first `end` words: also what was pushed by one who was ended before he said so. */
  drainAll(end: number, take: (handle: number) => void): number {
    let count = this.drain(take);
    for (let index = 0; index < Math.min(end, this.#room); index += 1 << GROUP_SHIFT) {
      count += this.#drainGroup(index, take);
    }
    return count;
  }

  #drainGroup(first: number, take: (handle: number) => void): number {
    const all = this.#all;
    const end = this.#words + Math.min(first + (1 << GROUP_SHIFT), this.#room);
    let count = 0;
    for (let at = this.#words + first; at < end; at++) {
      if (Atomics.load(all, at) === 0) continue;
      const handle = Atomics.exchange(all, at, 0);
      count++;
      take(handle);
    }
    return count;
  }

  /** By the owner: until something was pushed since the last drain, or a while is over, or it is closed. Keeps no process alive. */
  heard(): Promise<void> {
    return until(this.#all, BELL, 0, AGAIN);
  }

  get isOpen(): boolean {
    return Atomics.load(this.#all, OPEN) === 1;
  }

  /** By the owner: whoever pushes from now on is told. */
  close(): void {
    Atomics.store(this.#all, OPEN, 0);
    Atomics.notify(this.#all, BELL);
  }
}
