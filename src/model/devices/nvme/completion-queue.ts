import type { Bus } from "../plug.ts";

/** The bytes of an entry in a completion queue. */
export const COMPLETION_BYTES = 16;

/**
 * Completions for the host, which knows a new one by its phase bit: that changes each time the queue begins anew.
 *
 * A command is fetched only when there is a place for its completion, which it keeps until then. So a queue that is full holds its
 * commands back, and nothing that was done waits for room.
 */
export class CompletionQueue {
  readonly id: number;
  readonly entries: number;
  readonly vector: number;
  readonly interrupts: boolean;
  /** Submission queues that lead here. */
  users = 0;
  /** Places of commands that are on their way. */
  reserved = 0;
  #head = 0;
  #tail = 0;
  #phase = 1;
  readonly #base: bigint;
  readonly #addresses: bigint[] = [];

  constructor(id: number, base: bigint, entries: number, vector: number, interrupts: boolean) {
    this.id = id;
    this.entries = entries;
    this.vector = vector;
    this.interrupts = interrupts;
    this.#base = base;
  }

  get state(): readonly (number | bigint | boolean)[] {
    return [this.id, this.#base, this.entries, this.vector, this.interrupts, this.#head, this.#tail, this.#phase];
  }

  /** Entries that the host has not consumed. */
  get used(): number {
    return this.#tail >= this.#head ? this.#tail - this.#head : this.#tail - this.#head + this.entries;
  }

  get hasRoom(): boolean {
    return this.used + this.reserved < this.entries - 1;
  }

  /** The bit of the next entry. */
  get phase(): number {
    return this.#phase;
  }

  /** The host's new head. False when it cannot be: outside, or past what was completed. */
  ring(head: number): boolean {
    if (head >= this.entries) return false;
    const consumed = head >= this.#head ? head - this.#head : head - this.#head + this.entries;
    if (consumed > this.used) return false;
    this.#head = head;
    return true;
  }

  /** Writes an entry, which has {@link phase}. False when DMA fails. */
  post(bus: Bus, entry: Uint8Array): boolean {
    const index = this.#tail;
    this.#addresses[index] ??= this.#base + BigInt(index * COMPLETION_BYTES);
    if (bus.write(this.#addresses[index] as bigint, entry).fault !== undefined) return false;
    this.#tail = index + 1;
    if (this.#tail === this.entries) {
      this.#tail = 0;
      this.#phase ^= 1;
    }
    return true;
  }
}
