import { argumentTypeError, DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import type { EventLine } from "./event-line.ts";
import { type EventListener, tellAll } from "./event-line.ts";
import { VectorEvents } from "./vector-events.ts";

/** What its device does for a vector. */
export interface VectorKeeper {
  /** Its eventfd; asked for once the vector is made. */
  readonly line: EventLine;
  /** The kernel masks it as it is heard: an interrupt line. */
  readonly isAutoMasked: boolean;
  unmask(): void;
  trigger(): void;
}

/**
 * One interrupt of a device. Made by `device.irqs`.
 *
 * Listen to it, iterate over it, or poll it. An event is counted until somebody takes it, so none is lost between two looks, and
 * those that came together are one call, with their number.
 *
 * An interrupt line (INTx) is masked by the kernel as it is heard, and unmasked by this library when that was dealt with: after the
 * listeners returned, when an iterator is asked for the next one, or by the next `poll()`. So quieten the device first, there.
 */
export class Vector {
  /** Its number among the vectors that are on, from 0. */
  readonly index: number;
  readonly #keeper: VectorKeeper;
  readonly #listeners = new Set<EventListener>();
  readonly #iterators = new Set<VectorEvents>();
  /** An interrupt line that was heard, and not unmasked yet. */
  #isMasked = false;
  /** Whether listening is to keep the process alive. */
  #keepsLoop = true;
  #open = true;

  /** @internal */
  constructor(index: number, keeper: VectorKeeper) {
    this.index = index;
    this.#keeper = keeper;
  }

  /** Its interrupts are off. */
  get closed(): boolean {
    return !this.#open;
  }

  /**
   * Calls `listener` in the event loop with the number of events since the last call. Gives the function that ends it. Listening
   * keeps the process alive, until {@link unref}. What a listener throws is an uncaught exception.
   *
   * Cost: about 20 us from the interrupt to the call; less than that apart, several are one call.
   *
   * @throws `ERR_CLOSED`; `ERR_KERNEL`.
   */
  on(listener: (count: number) => void): () => void {
    this.#check();
    if (typeof listener !== "function") throw argumentTypeError("listener", "a function", listener);
    const own: EventListener = (count) => listener(count); // so that the same function can be there twice
    this.#listeners.add(own);
    try {
      this.#listen();
    } catch (error) {
      this.#listeners.delete(own);
      throw withResidue(
        error,
        leftBy(() => this.#rest()),
      );
    }
    return () => {
      if (this.#listeners.delete(own)) this.#rest();
    };
  }

  /**
   * The numbers of events, as they come: `for await (const count of vector)`. It ends when the interrupts are switched off. Keeps the
   * process alive while somebody waits, until {@link unref}.
   *
   * @throws `ERR_CLOSED`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<number> {
    this.#check();
    const events = new VectorEvents({
      wanted: () => this.#listen(),
      ended: () => {
        this.#iterators.delete(events);
        this.#unmaskIfDone();
        this.#rest();
      },
    });
    this.#iterators.add(events);
    return events;
  }

  /**
   * Events since it was asked last; 0 for none. Never blocks. For drivers that do not sleep; what a listener was told is not
   * counted again.
   *
   * Cost: one system call, no garbage; of an interrupt line one more for each interrupt.
   *
   * @throws `ERR_CLOSED`; `ERR_KERNEL`.
   */
  poll(): number {
    if (!this.#open) this.#check();
    if (this.#isMasked) this.#unmask();
    const count = this.#keeper.line.take();
    if (count > 0 && this.#keeper.isAutoMasked) this.#isMasked = true;
    return count;
  }

  /**
   * Signals it as if the device had: whether a driver hears can be tried without the device. (SET_IRQS with DATA_NONE)
   *
   * @throws `ERR_CLOSED`; `ERR_KERNEL`.
   */
  trigger(): void {
    this.#check();
    this.#keeper.trigger();
  }

  /** Listening keeps the process alive; so it is from the beginning. */
  ref(): this {
    this.#keepsLoop = true;
    this.#hold();
    return this;
  }

  /** Listening does not keep the process alive. */
  unref(): this {
    this.#keepsLoop = false;
    this.#hold();
    return this;
  }

  /** @internal What its eventfd counted. */
  heard(count: number): void {
    if (!this.#open || count <= 0) return;
    if (this.#keeper.isAutoMasked) this.#isMasked = true;
    for (const events of [...this.#iterators]) events.push(count);
    tellAll(this.#listeners, count);
    this.#hold();
    this.#unmaskIfDone();
  }

  /** @internal The interrupts are off. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#listeners.clear();
    for (const events of [...this.#iterators]) events.end();
    this.#iterators.clear();
  }

  #listen(): void {
    this.#hold();
    this.#keeper.line.listen();
    this.#unmaskIfDone();
  }

  /** The event loop is kept for listeners, and for an iterator while somebody waits at it: one that was left keeps nothing. */
  #hold(): void {
    if (!this.#open) return;
    const isAwaited = this.#listeners.size > 0 || [...this.#iterators].some((events) => events.isWaiting);
    this.#keeper.line.keepLoop(this.#keepsLoop && isAwaited);
  }

  /** Whoever iterates has not dealt with what it got until it asks for more. */
  #unmaskIfDone(): void {
    if (!this.#isMasked || !this.#open) return;
    for (const events of this.#iterators) if (events.isDealing) return;
    this.#unmask();
  }

  #unmask(): void {
    this.#keeper.unmask();
    this.#isMasked = false;
  }

  #rest(): void {
    if (!this.#open) return;
    if (this.#listeners.size === 0 && this.#iterators.size === 0) this.#keeper.line.stopListening();
    else this.#hold();
  }

  #check(): void {
    if (this.#open) return;
    throw new DmaWindowError(
      "ERR_CLOSED",
      `vector ${this.index} is off: its interrupts were switched off (device.irqs switches some on anew), or the device closed`,
    );
  }
}

inspectable(Vector, "Vector", ({ index, closed }) => ({ state: closed ? "off" : undefined, index }));
