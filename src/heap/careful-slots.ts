/** The slots of a pool that is debugged: a guard behind each, a pattern in those that are free, and handles that are given out once. */
import { GRANULE, rounded } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { damaged, type HeapDamage } from "./damage.ts";
import { Handles } from "./handles.ts";
import { fill, intact, PATTERN } from "./pattern.ts";
import type { Slots } from "./slots.ts";

/** Bytes of a guard. */
export const GUARD = GRANULE;

export class CarefulSlots {
  readonly #title: string;
  readonly #blocks: Blocks;
  readonly #slots: Slots;
  readonly #size: number;
  readonly #fifo: boolean;
  readonly #handles: Handles;
  /** By handle. */
  readonly #slotOf: Int32Array;
  /** Slots that are free; a ring, of which a stack uses the end. */
  readonly #free: number[];

  /** @throws `ERR_OUT_OF_MEMORY`. */
  constructor(title: string, blocks: Blocks, slots: Slots, size: number, fifo: boolean) {
    this.#title = title;
    this.#blocks = blocks;
    this.#slots = slots;
    this.#size = size;
    this.#fifo = fifo;
    this.#handles = new Handles(slots.iovas.length);
    this.#slotOf = new Int32Array(this.#handles.room);
    const count = slots.iovas.length;
    this.#free = Array.from({ length: count }, (_, i) => (fifo ? i : count - 1 - i));
    for (const va of slots.vas) fill(blocks.segments.shown, va, rounded(size) + GUARD, PATTERN);
  }

  get free(): number {
    return this.#free.length;
  }

  slotOf(handle: number): number {
    return this.#slotOf[this.#handles.indexOf(handle)] ?? -1;
  }

  statusOf(handle: number): number {
    return this.#handles.statusOf(handle);
  }

  /** A handle, or -1. @throws `ERR_GUARD` where a slot that was free was written to; the slot stays free. */
  take(): number {
    const slot = this.#fifo ? this.#free[0] : this.#free.at(-1);
    if (slot === undefined) return -1;
    const damage = this.#damageOfFree(slot);
    if (damage) {
      fill(this.#blocks.segments.shown, this.#va(slot), rounded(this.#size) + GUARD, PATTERN);
      throw damaged(this.#title, damage);
    }
    const handle = this.#handles.take();
    if (handle <= 0) return -1;
    if (this.#fifo) this.#free.shift();
    else this.#free.pop();
    this.#slotOf[this.#handles.indexOf(handle)] = slot;
    return handle;
  }

  /** Takes back a handle that is live. @throws `ERR_GUARD`: it is free all the same. */
  put(handle: number): void {
    const slot = this.slotOf(handle);
    const damage = this.#damageOf(handle);
    this.#handles.end(handle);
    this.#free.push(slot);
    fill(this.#blocks.segments.shown, this.#va(slot), rounded(this.#size) + GUARD, PATTERN);
    if (damage?.where === "before") fill(this.#blocks.segments.shown, this.#va(slot) - 64n, GRANULE, PATTERN);
    if (damage) throw damaged(this.#title, damage);
  }

  /** The next live handle; 0 begins, and ends. */
  next(handle: number): number {
    return this.#handles.next(handle);
  }

  check(): HeapDamage[] {
    const found: HeapDamage[] = [];
    for (let handle = this.next(0); handle !== 0; handle = this.next(handle)) {
      const damage = this.#damageOf(handle);
      if (damage) found.push(damage);
    }
    for (const slot of this.#free) {
      const damage = this.#damageOfFree(slot);
      if (damage) found.push(damage);
    }
    return found;
  }

  close(): void {
    this.#handles.close();
  }

  #va(slot: number): bigint {
    return this.#slots.vas[slot] as bigint;
  }

  #damageOf(handle: number): HeapDamage | undefined {
    const slot = this.slotOf(handle);
    const { segments } = this.#blocks;
    const behind = rounded(this.#size) + GUARD - this.#size;
    const good = intact(segments.shown, this.#va(slot) + BigInt(this.#size), behind);
    if (good < behind) return this.#at("behind", slot, BigInt(this.#size + good), handle);
    if (segments.begins(this.#va(slot))) return undefined;
    const before = intact(segments.shown, this.#va(slot) - 64n, GRANULE);
    return before < GRANULE ? this.#at("before", slot, BigInt(before) - 64n, handle) : undefined;
  }

  #damageOfFree(slot: number): HeapDamage | undefined {
    const length = rounded(this.#size) + GUARD;
    const good = intact(this.#blocks.segments.shown, this.#va(slot), length);
    return good < length ? this.#at("freed", slot, BigInt(good)) : undefined;
  }

  #at(where: HeapDamage["where"], slot: number, offset: bigint, handle?: number): HeapDamage {
    const iova = (this.#slots.iovas[slot] as bigint) + offset;
    const about = handle === undefined ? {} : { handle, bytes: this.#size };
    return { where, va: this.#va(slot) + offset, iova, ...about };
  }
}
