import type { Window } from "../container/window.ts";
import { DmaWindowError } from "../errors.ts";
import { type JointView, type Segment, showTogether } from "../memory/segment.ts";
import type { MemsegTable } from "../memory/table.ts";
import type { OwnList } from "../memory/types.ts";
import { exhausted } from "./exhausted.ts";
import type { Asked, Ground, Piece, Place, Run } from "./ground.ts";

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
    for (const { va, length } of this.#memory.recorded.within(piece.va, piece.va + piece.length - 1n)) {
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

  checkFree(piece: Piece): void {
    this.#memory.holds.checkReach(piece as Segment);
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
