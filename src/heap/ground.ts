/**
 * What a heap stands on: where its memory comes from, and goes back to. Of a {@link DmaHeap} that is a list, whose pages it takes;
 * of a heap in a worker what another thread has lent.
 */
import type { Window } from "../container/window.ts";
import { DmaWindowError } from "../errors.ts";
import { type JointView, type Segment, showTogether } from "../memory/segment.ts";
import type { MemsegTable } from "../memory/table.ts";
import type { OwnList } from "../memory/types.ts";
import { type Asked, exhausted, type Place } from "./exhausted.ts";

/** A part of a piece that is contiguous for the device too. */
export interface Run {
  readonly va: bigint;
  readonly iova: bigint;
  readonly size: bigint;
}

/** Memory that comes and goes as a whole, contiguous in addresses: as a {@link Segment}. */
export interface Piece {
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;
  readonly freed: boolean;
  view(offset: bigint, length: bigint | number): Uint8Array;
  read(offset: bigint, into: Uint8Array): void;
  write(offset: bigint, from: Uint8Array): void;
}

export interface Ground {
  /** Memory comes in whole pages of this. */
  readonly pageSize: bigint;
  /** The most that there can be. */
  readonly length: bigint;
  /** Gets pages. @throws what `memory.allocate` throws. */
  take(length: bigint): Piece;
  /** Where the device finds a piece. @throws `ERR_NOT_ATTACHED`. */
  runsOf(piece: Piece): Run[];
  /** Gives a piece back. @throws what `memory.free` throws. */
  free(piece: Piece): void;
  /** One array over neighbours. @throws `ERR_TOO_LARGE`, `ERR_NO_EXTERNAL_BUFFERS`. */
  together(pieces: readonly Piece[]): JointView;
  /** Why nothing fits, and what would help. */
  exhausted(asked: Asked, place: Place): DmaWindowError;
}

/** Pages of a list, by the IOVAs that a window has for them. */
export class ListGround implements Ground {
  readonly pageSize: bigint;
  readonly length: bigint;
  readonly #memory: MemsegTable;
  readonly #list: OwnList;
  readonly #window: Window;

  constructor(memory: MemsegTable, list: OwnList, window: Window) {
    this.pageSize = list.pageSize;
    this.length = list.length;
    this.#memory = memory;
    this.#list = list;
    this.#window = window;
  }

  take(length: bigint): Segment {
    return this.#memory.allocate(this.#list, Number(length / this.#list.pageSize)); // up to 2^36: exact
  }

  runsOf(piece: Piece): Run[] {
    const runs: { va: bigint; iova: bigint; size: bigint }[] = [];
    for (const { va, length } of this.#memory.memsegs(piece.va, piece.length)) {
      const iova = this.#window.translate(va);
      if (iova === undefined) {
        throw new DmaWindowError(
          "ERR_NOT_ATTACHED",
          "the memory is not attached to the heap's window any more, so no device can reach what comes to it: attach it again",
        );
      }
      const last = runs.at(-1);
      if (last && last.va + last.size === va && last.iova + last.size === iova) last.size += length;
      else runs.push({ va, iova, size: length });
    }
    return runs;
  }

  /** One of those that it gave. */
  free(piece: Piece): void {
    this.#memory.free(piece as Segment);
  }

  together(pieces: readonly Piece[]): JointView {
    return showTogether(pieces as readonly Segment[]);
  }

  exhausted(asked: Asked, place: Place): DmaWindowError {
    return exhausted(asked, place, { memory: this.#memory, list: this.#list, window: this.#window });
  }
}
