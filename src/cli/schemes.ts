/** The ways of giving a device memory that grows, behind one face, so that one storm can go through all. */
import { DynamicWindow, type Piece } from "../baseline/dynamic.ts";
import type { Window } from "../container/window.ts";
import { DmaHeap } from "../heap/heap.ts";
import type { Segment } from "../memory/segment.ts";
import type { WindowPlan } from "../plan/index.ts";
import { Ground, type GroundOptions } from "./ground.ts";
import type { Machine } from "./machine.ts";
import type { Scheme, Step } from "./storm.ts";

/** The window of this library: planned once, made once. */
export class StaticScheme implements Scheme<Segment> {
  readonly ground: Ground;
  readonly plan: WindowPlan;
  readonly window: Window;

  /** `initial`: the pages of the segments that are there before the window is planned. */
  constructor(machine: Machine, options: GroundOptions, initial: readonly number[]) {
    this.ground = new Ground(machine, options);
    const { memory, list, container } = this.ground;
    try {
      for (const pages of initial) memory.allocate(list, pages);
      this.plan = this.ground.plan();
      this.window = container.createWindow(this.plan);
      container.attach(memory);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  allocate(pages: number): Segment {
    return this.ground.memory.allocate(this.ground.list, pages);
  }

  free(segment: Segment): void {
    const { memory, witness } = this.ground;
    for (const { va, length } of memory.memsegs(segment.va, segment.length)) {
      witness.lettingGo(this.window.iovaOf(va), length);
    }
    memory.free(segment);
  }

  close(): void {
    this.ground.close();
  }
}

/** Buffers of a heap in a window of this library: the kernel is asked when the heap grows, and at no other time. */
export class HeapScheme implements Scheme<number> {
  readonly ground: Ground;
  readonly #heap: DmaHeap;
  /** Bytes that stand for a page of a step. */
  readonly #unit: number;

  /**
   * Bytes that stand for a page of a step: half of one, since blocks as large as those of a storm leave room between them. Of
   * physical addresses fewer, since no buffer there reaches from one page into the next; undefined where pages are too small.
   */
  static unitOf(machine: Machine, { iovaMode }: GroundOptions, steps: readonly Step[]): number | undefined {
    const page = Number(machine.pool.pageSize); // of a hugepage at most
    if (iovaMode !== "pa") return page / 2;
    const largest = steps.reduce((most, step) => Math.max(most, "allocate" in step ? step.allocate : 0), 1);
    const unit = Math.floor(page / largest);
    return unit < 1 ? undefined : unit;
  }

  constructor(machine: Machine, { iovaMode, growTo }: GroundOptions, unit: number) {
    this.#unit = unit;
    this.ground = new Ground(machine, { iovaMode, ...(growTo === undefined ? {} : { growTo }) });
    const { memory, list, container } = this.ground;
    try {
      const window = container.createWindow(this.ground.plan());
      container.attach(memory);
      const max = list.pageSize * BigInt(machine.pool.pages);
      this.#heap = new DmaHeap({ memory, list, window, name: "storm", grow: { max } });
    } catch (error) {
      this.ground.close();
      throw error;
    }
  }

  allocate(pages: number): number {
    return this.#heap.alloc(pages * this.#unit);
  }

  free(handle: number): void {
    this.#heap.free(handle);
  }

  close(): void {
    this.ground.witness.lettingGoOfAll();
    this.#heap.close({ force: true });
    this.ground.close();
  }
}

/** A segment, and where the dynamic scheme has it. */
export interface Placed {
  readonly segment: Segment;
  readonly piece: Piece;
}

/** The same memory under the scheme that grows its window. */
export class DynamicScheme implements Scheme<Placed> {
  readonly ground: Ground;
  readonly #window: DynamicWindow;

  constructor(machine: Machine, initial: readonly number[], inFront?: GroundOptions["inFront"]) {
    this.ground = new Ground(machine, { iovaMode: "rebased", ...(inFront === undefined ? {} : { inFront }) });
    try {
      this.#window = new DynamicWindow(this.ground.container, this.ground.planRequest());
      for (const pages of initial) this.allocate(pages);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  allocate(pages: number): Placed {
    const { memory, list } = this.ground;
    const segment = memory.allocate(list, pages);
    const piece = { va: segment.va, offset: segment.va - list.base, length: segment.length };
    try {
      this.#window.map(piece);
    } catch (error) {
      memory.free(segment);
      throw error;
    }
    return { segment, piece };
  }

  free({ segment, piece }: Placed): void {
    const { memory, witness } = this.ground;
    witness.lettingGo(this.#window.iovaOf(piece), piece.length);
    this.#window.unmap(piece);
    memory.free(segment);
  }

  close(): void {
    this.ground.close();
  }
}
