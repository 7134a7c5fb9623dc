/** The ways of giving a device memory that grows, behind one face, so that one storm can go through all; heap-scheme.ts is another. */
import { DynamicWindow, type Piece } from "../baseline/dynamic.ts";
import type { Window } from "../container/window.ts";
import type { Segment } from "../memory/segment.ts";
import type { WindowPlan } from "../plan/index.ts";
import { Ground, type GroundOptions } from "./ground.ts";
import type { Machine } from "./machine.ts";
import type { Scheme } from "./storm.ts";

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

/** A segment, and where the dynamic scheme has it. */
export interface Placed {
  readonly segment: Segment;
  readonly piece: Piece;
}

/** The same memory under the scheme that grows its window. */
export class DynamicScheme implements Scheme<Placed> {
  readonly ground: Ground;
  readonly #window: DynamicWindow;

  /** The window of the moment; `undefined` before there is memory. */
  get window(): Window | undefined {
    return this.#window.window;
  }

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
