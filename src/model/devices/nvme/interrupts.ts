import type { Bus } from "../plug.ts";
import type { CompletionQueue } from "./completion-queue.ts";

/** The line is made of so many vectors, as many as INTMS has bits. */
const MASKED = 32;

/**
 * What completion queues have to say: a message for each completion, and the line for as long as a queue has some that the host has
 * not consumed. NVMe 1.4, 7.5. Which of the two is on is the host's to say, and the bus knows.
 */
export class InterruptLines {
  readonly #bus: Bus;
  /** Queues by vector that are not empty. */
  readonly #waiting = new Uint32Array(MASKED);
  #pending = 0;
  #mask = 0;
  #raised = false;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** INTMS and INTMC: bits that are masked. */
  get mask(): number {
    return this.#mask >>> 0;
  }

  setMask(bits: number): void {
    this.#mask |= bits;
    this.#show();
  }

  clearMask(bits: number): void {
    this.#mask &= ~bits;
    this.#show();
  }

  /** An entry was posted; `first`: the queue was empty before. The last thing that is done for it: the host may come in here. */
  posted(queue: CompletionQueue, first: boolean): void {
    if (!queue.interrupts) return;
    if (first && queue.vector < MASKED) {
      this.#waiting[queue.vector] = (this.#waiting[queue.vector] as number) + 1;
      this.#pending |= 1 << queue.vector;
      this.#show();
    }
    this.#bus.raise(queue.vector);
  }

  /** The host has consumed all, or the queue goes: it was not empty before. */
  emptied(queue: CompletionQueue): void {
    if (!queue.interrupts || queue.vector >= MASKED) return;
    const left = (this.#waiting[queue.vector] as number) - 1;
    this.#waiting[queue.vector] = left;
    if (left > 0) return;
    this.#pending &= ~(1 << queue.vector);
    this.#show();
  }

  /** All queues are gone. The mask stays. */
  reset(): void {
    this.#waiting.fill(0);
    this.#pending = 0;
    this.#show();
  }

  #show(): void {
    const raised = (this.#pending & ~this.#mask) !== 0;
    if (raised === this.#raised) return;
    this.#raised = raised;
    this.#bus.line(raised);
  }
}
