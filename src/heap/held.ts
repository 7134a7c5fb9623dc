/** The segments that a heap has, by address. */
import { DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { Piece, Run } from "./ground.ts";
import { counted } from "./leaks.ts";

/** A segment, whether the allocator has it or not. */
export interface Held {
  readonly segment: Piece;
  readonly runs: readonly Run[];
  readonly end: bigint;
  /** Arrays over it, 4 GiB each, made when they are asked for. */
  readonly views: Uint8Array[];
  /** Whether another thread had it, and may have it again. */
  wasLent: boolean;
}

export class HeldSegments {
  #all: Held[] = [];

  get count(): number {
    return this.#all.length;
  }

  /** By address. What comes and goes meanwhile is not in it. */
  get all(): readonly Held[] {
    return this.#all;
  }

  insert(held: Held): void {
    const at = this.#all.findIndex(({ segment }) => segment.va > held.segment.va);
    const place = at < 0 ? this.#all.length : at;
    this.#all = [...this.#all.slice(0, place), held, ...this.#all.slice(place)];
  }

  drop(segment: Piece): void {
    this.#all = this.#all.filter((held) => held.segment !== segment);
  }

  /** Takes all of them. */
  dropAll(): readonly Held[] {
    const all = this.#all;
    this.#all = [];
    return all;
  }

  /** Those that a range touches. */
  touching(va: bigint, end: bigint): Held[] {
    return this.#all.filter((held) => held.segment.va < end && va < held.end);
  }

  /** The one in which an address lies. */
  of(va: bigint): Held | undefined {
    let low = 0;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all[middle] as Held).end <= va) low = middle + 1;
      else high = middle;
    }
    const held = this.#all[low];
    return held !== undefined && held.segment.va <= va ? held : undefined;
  }
}

/** What the columns say is checked, since a program can write to them. */
export function outside(va: bigint, length: number): DmaWindowError {
  return new DmaWindowError(
    "ERR_NOT_FOUND",
    `${counted(length, "byte")} at ${hex(va)} in no segment of the heap: were the columns of addresses written to?`,
    { facts: { va, length } },
  );
}
