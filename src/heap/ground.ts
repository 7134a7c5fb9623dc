/**
 * What a heap stands on: where its memory comes from, and goes back to. Of a {@link DmaHeap} that is a list (list-ground.ts), of a heap
 * in a worker what another thread has lent (lent.ts).
 */
import type { DmaWindowError } from "../errors.ts";
import type { JointView } from "../memory/segment.ts";
import type { GrowPlan } from "./options.ts";

/** A part of a piece that is contiguous for the device too. */
export interface Run {
  readonly va: bigint;
  readonly iova: bigint;
  readonly size: bigint;
}

/** Memory that comes and goes as a whole, contiguous in addresses: as a `Segment`. */
export interface Piece {
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint;
  readonly freed: boolean;
  view(offset: bigint, length: bigint | number): Uint8Array;
  read(offset: bigint, into: Uint8Array): void;
  write(offset: bigint, from: Uint8Array): void;
}

/** What was asked for. */
export interface Asked {
  readonly bytes: number;
  readonly align?: number | undefined;
  readonly boundary?: number | undefined;
}

/** Whether its heap grows by itself, and how far. */
export interface GrowthState {
  readonly plan: GrowPlan | undefined;
  /** Why it could not last; `undefined` when it could, or did not try. */
  readonly error: unknown;
}

/** Whom it was asked of. */
export interface Place {
  readonly title: string;
  /** The allocator's. */
  readonly heap: number;
  readonly growth: GrowthState;
  /** Bytes that were freed and wait out their time. */
  readonly quarantined: bigint;
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
  /** @throws what would be in the way of {@link free} on a device's part. */
  checkFree(piece: Piece): void;
  /** Gives a piece back. @throws what `memory.free` throws. */
  free(piece: Piece): void;
  /** One array over neighbours. @throws `ERR_TOO_LARGE`, `ERR_NO_EXTERNAL_BUFFERS`. */
  together(pieces: readonly Piece[]): JointView;
  /** Why nothing fits, and what would help. */
  exhausted(asked: Asked, place: Place): DmaWindowError;
}
