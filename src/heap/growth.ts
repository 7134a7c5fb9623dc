/**
 * When a heap gets more memory, and how much.
 *
 *     free bytes  ──below low──> one turn later: a step             off the hot path, which has only seen a word that is not 0
 *     nothing fits ─────────────> at once: a step, or what is asked  where grow.sync allows
 *     heap.grow ────────────────> at once: what is asked
 */
import { DmaWindowError } from "../errors.ts";
import { begin, end } from "../exclusive.ts";
import { bytes as inBytes } from "../hex.ts";
import type { Ground, GrowthState } from "./ground.ts";
import { type GrowPlan, least, wholePages } from "./options.ts";
import { wasm } from "./wasm.ts";

/** So long nothing is tried in the background after that failed: the machine may have memory again by then. */
const RETRY_MILLISECONDS = 1000;

/** Does not keep a program from ending. Engines without it have timers. */
const soon = (run: () => void): void => {
  const timer = typeof setImmediate === "function" ? setImmediate(run) : setTimeout(run, 0);
  (timer as { unref?: () => void }).unref?.();
};

export class Growth implements GrowthState {
  readonly plan: GrowPlan | undefined;
  readonly #ground: Ground;
  /** The allocator's. */
  readonly #heap: number;
  /** Adds a segment, or throws and leaves nothing. */
  readonly #add: (length: bigint) => void;
  #isOpen = true;
  #isUnderWay = false;
  /** After it failed in the background nobody tries there for a while. */
  #isResting = false;
  /** Bytes that somebody could not have. */
  #asked = 0n;
  /** What may make growth needless, before it is done in the background. */
  before: () => void = () => {};
  /** Bytes that others have, and that are to come back. */
  lent = 0n;
  #error: unknown;
  #count = 0;

  constructor(plan: GrowPlan | undefined, ground: Ground, heap: number, add: (length: bigint) => void) {
    this.plan = plan;
    this.#ground = ground;
    this.#heap = heap;
    this.#add = add;
  }

  /** Why the heap could not grow by itself last; `undefined` when it could, or did not try. */
  get error(): unknown {
    return this.#error;
  }

  /** How often it grew. */
  get count(): number {
    return this.#count;
  }

  /** Whether it will grow in a turn. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** The heap's word says from now on when too few bytes are free; never where no page could be added. */
  arm(): void {
    const isWanted = this.#isOpen && !this.#isUnderWay && this.plan && this.#most() >= this.#ground.pageSize;
    wasm.heapSetLow(this.#heap, isWanted ? (this.plan as GrowPlan).low : 0n);
  }

  /** Few bytes are free: to be called until the word is 0 again, which it is at once. */
  low(): void {
    wasm.heapSetLow(this.#heap, 0n);
    this.#schedule();
  }

  /** Somebody asked for so many, and does not wait for the kernel. */
  ask(bytes: bigint): void {
    if (this.plan === undefined) return;
    if (bytes > this.#asked) this.#asked = bytes;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isUnderWay || this.#isResting) return;
    this.#isUnderWay = true;
    soon(() => this.#inBackground());
  }

  #inBackground(): void {
    this.#isUnderWay = false;
    const bytes = this.#asked;
    this.#asked = 0n;
    if (!this.#isOpen || this.plan === undefined) return;
    this.before();
    this.#error = undefined;
    if (bytes > 0n || wasm.heapLowFree(this.#heap) < this.plan.low) this.tryBy(bytes > 0n ? bytes : 1n);
    if (this.#error === undefined) this.arm();
    else this.#rest();
  }

  #rest(): void {
    this.#isResting = true;
    const timer = setTimeout(() => {
      this.#isResting = false;
      if (this.#isOpen) this.arm();
    }, RETRY_MILLISECONDS);
    (timer as { unref?: () => void }).unref?.();
  }

  /** Grows by a step, or by `bytes` where that is more, or no more can be had. Gives whether it did; `error` says why not. */
  tryBy(bytes: bigint): boolean {
    const { plan } = this;
    const least = wholePages(bytes, this.#ground.pageSize); // 1 byte is a page
    if (plan === undefined || least > this.#most()) return false;
    const wanted = this.#atMost(least > plan.step ? least : plan.step);
    try {
      this.by(wanted);
      return true;
    } catch (error) {
      this.#error = error;
    }
    const room = roomIn(this.#error);
    const rest = room === undefined ? least : this.#atMost(room);
    if (rest < least || rest >= wanted) return false;
    try {
      this.by(rest);
      return true;
    } catch (error) {
      this.#error = error;
      return false;
    }
  }

  /** Whole pages for so many bytes, for which there is room. @throws `ERR_HEAP_MAXIMUM`, `ERR_BUSY`. */
  room(bytes: bigint): bigint {
    const length = wholePages(bytes, this.#ground.pageSize);
    const most = this.#most();
    if (length > most) {
      throw new DmaWindowError(
        "ERR_HEAP_MAXIMUM",
        `the heap can grow by ${inBytes(most)} more, and not by ${inBytes(length)}: ` +
          (this.plan === undefined || this.plan.max >= this.#ground.length
            ? `its list holds ${inBytes(this.#ground.length)} (maxBytes of addList)`
            : `grow.max is ${inBytes(this.plan.max)}`),
        { facts: { wanted: length, most } },
      );
    }
    begin("heap.grow"); // of which memory.allocate is one: no half of it is done in the middle of another operation
    end();
    return length;
  }

  /** Grows by whole pages. @throws `ERR_HEAP_MAXIMUM`, `ERR_BUSY`, and what `memory.allocate` throws. */
  by(bytes: bigint): void {
    this.#add(this.room(bytes));
    this.#count++;
    this.#error = undefined;
    this.arm();
  }

  stop(): void {
    this.#isOpen = false;
  }

  #most(): bigint {
    const max = this.plan?.max ?? this.#ground.length;
    const total = wasm.heapTotal(this.#heap) + this.lent;
    return total > max ? 0n : max - total;
  }

  #atMost(bytes: bigint): bigint {
    return least(bytes, this.#most());
  }
}

/** The longest row of free pages that a list has left, where an error says so. */
function roomIn(error: unknown): bigint | undefined {
  if (!(error instanceof DmaWindowError) || error.code !== "ERR_LIST_FULL") return undefined;
  return error.facts?.longest as bigint;
}
