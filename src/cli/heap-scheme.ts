/** The library's heap, behind the face of the other schemes. */
import { DmaHeap } from "../heap/heap.ts";
import { Ground, type GroundOptions } from "./ground.ts";
import type { Machine } from "./machine.ts";
import type { Scheme, Step } from "./storm.ts";

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
