import type { Bus } from "../plug.ts";
import { type Command, type CommandSource, ENTRY_BYTES } from "./command.ts";
import type { CompletionQueue } from "./completion-queue.ts";

/** So many entries are fetched by one DMA, where they lie side by side. */
const FETCHED = 16;

/**
 * Commands from the host.
 *
 *     | done | fetched | waiting | free |
 *            head      next      tail          head: what completions tell the host; next: where DMA goes on
 */
export class SubmissionQueue implements CommandSource {
  readonly id: number;
  readonly entries: number;
  readonly completions: CompletionQueue;
  inFlight = 0;
  /** It stands in the row of those that have something to fetch. */
  inRow = false;
  head = 0;
  tail = 0;
  #next = 0;
  readonly #base: bigint;
  readonly #addresses: bigint[] = [];
  readonly #bytes = new Uint8Array(FETCHED * ENTRY_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  /** The first bytes of the buffer, by how many entries they are. */
  readonly #firsts: Uint8Array[] = [];
  #at = 0;
  #end = 0;

  constructor(id: number, base: bigint, entries: number, completions: CompletionQueue) {
    this.id = id;
    this.entries = entries;
    this.completions = completions;
    this.#base = base;
  }

  get state(): readonly (number | bigint)[] {
    return [this.id, this.#base, this.entries, this.completions.id, this.head, this.tail];
  }

  get empty(): boolean {
    return this.head === this.tail;
  }

  /** The host's new tail. False when it cannot be: outside, or more entries than were free. */
  ring(tail: number): boolean {
    if (tail >= this.entries) return false;
    const added = this.#distance(this.tail, tail);
    const waiting = this.#distance(this.head, this.tail);
    if (added + waiting > this.entries - 1) return false;
    this.tail = tail;
    return true;
  }

  /** The next command, from memory where none is fetched. False when DMA fails. Not while it is {@link empty}. */
  take(bus: Bus, command: Command): boolean {
    if (this.#at === this.#end && !this.#fetch(bus)) return false;
    command.take(this, this.#view, this.#at * ENTRY_BYTES);
    this.#at++;
    this.head = this.head + 1 === this.entries ? 0 : this.head + 1;
    return true;
  }

  #fetch(bus: Bus): boolean {
    const index = this.#next;
    const together = Math.min((this.tail > index ? this.tail : this.entries) - index, FETCHED);
    this.#firsts[together] ??= this.#bytes.subarray(0, together * ENTRY_BYTES);
    // The queue lies below 2^64: what does not is no address, and its DMA fails.
    this.#addresses[index] ??= this.#base + BigInt(index * ENTRY_BYTES);
    if (bus.read(this.#addresses[index] as bigint, this.#firsts[together] as Uint8Array).fault !== undefined)
      return false;
    this.#next = index + together === this.entries ? 0 : index + together;
    this.#at = 0;
    this.#end = together;
    return true;
  }

  #distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.entries;
  }
}
