/** A pool, slowly: what is free in its order, and what is live. Says which handle has to come, and what a put has to answer. */
import type { Random } from "../support/random.ts";

const INDEX = 0x3fffff;
const NEXT = 1 << 22;

export class PoolTwin {
  /** Slots in the order in which they come; the first comes next. */
  #free: number[];
  readonly #first: number;
  readonly #count: number;
  readonly #fifo: boolean;
  /** The generation that a slot has now or had last, as soon as it is known. */
  readonly #last = new Map<number, number>();
  /** By index. */
  readonly live = new Map<number, number>();

  constructor(first: number, count: number, fifo: boolean) {
    this.#first = first;
    this.#count = count;
    this.#fifo = fifo;
    this.#free = Array.from({ length: count }, (_, slot) => first + slot);
  }

  get free(): number {
    return this.#free.length;
  }

  has(index: number): boolean {
    return index >= this.#first && index < this.#first + this.#count;
  }

  /** What the pool gave: says what is wrong with that. */
  get(handle: number): string | undefined {
    const index = this.#free.shift();
    if (index === undefined) return handle === -1 ? undefined : `${handle} from an empty pool`;
    if (handle <= 0 || (handle & INDEX) !== index) return `${handle}, not one of ${index}`;
    const last = this.#last.get(index);
    if (last !== undefined && handle !== ((last + NEXT) & 0x7fffffff)) return `${handle} after ${last}`;
    this.#last.set(index, handle);
    this.live.set(index, handle);
    return undefined;
  }

  /** What a put has to answer; done, if that is OK. */
  put(handle: number): string {
    const index = handle & INDEX;
    if (handle <= 0 || index === 0) return "UNKNOWN_HANDLE";
    if (!this.has(index)) return "FOREIGN_HANDLE";
    const live = this.live.get(index);
    if (live === undefined) return "NOT_LIVE";
    if (live !== handle) return "STALE_HANDLE";
    this.live.delete(index);
    if (this.#fifo) this.#free.push(index);
    else this.#free.unshift(index);
    return "OK";
  }

  /** A handle that is live, or was, or may be. */
  any(random: Random): number {
    const index = this.#first + random.below(this.#count);
    return this.#last.get(index) ?? index;
  }
}
