/**
 * The scheme that static windows replaced, to compare with; not for use. The window is as large as the memory that is
 * mapped, and when memory comes that does not fit, it is replaced:
 *
 *     |####|            |########|            all of it is unmapped, the window removed, a larger one made, and all
 *     2^n        ->       2^(n+1)             mapped again: whatever a device was doing meanwhile met no memory
 */
import type { Container } from "../container/container.ts";
import type { Window } from "../container/window.ts";
import { type PlanRequest, planWindow } from "../plan/index.ts";

/** Memory, and its place behind the window's start. */
export interface Piece {
  readonly va: bigint;
  readonly offset: bigint;
  readonly length: bigint;
}

export class DynamicWindow {
  readonly #container: Container;
  readonly #request: PlanRequest;
  readonly #pieces = new Set<Piece>();
  #window: Window | undefined;

  /** `request` is what a static window would be planned from; only its size is left to the growth. */
  constructor(container: Container, request: PlanRequest) {
    this.#container = container;
    this.#request = request;
  }

  /** The window of the moment; `undefined` before anything was mapped. */
  get window(): Window | undefined {
    return this.#window;
  }

  map(piece: Piece): void {
    const window = this.#fitting(piece.offset + piece.length);
    window.map({ va: piece.va, iova: window.start + piece.offset, length: piece.length });
    this.#pieces.add(piece);
  }

  unmap(piece: Piece): void {
    const window = this.#fitting(0n);
    window.unmap({ va: piece.va, iova: window.start + piece.offset, length: piece.length });
    this.#pieces.delete(piece);
  }

  /** The IOVA that a mapped piece has in the window of the moment. */
  iovaOf(piece: Piece): bigint {
    return this.#fitting(0n).start + piece.offset;
  }

  /** A window that reaches to `end`: the one that is there, or a new one with everything mapped again. */
  #fitting(end: bigint): Window {
    const old = this.#window;
    if (old && end <= old.size) return old;
    if (old) {
      old.unmapMany([...this.#pieces].map(({ offset, length }) => ({ iova: old.start + offset, length })));
      old.close();
    }
    // Lists state how far memory may ever reach; this scheme looks at what is there.
    const plan = planWindow({ ...this.#request, memory: { lists: [] }, iovaMode: "rebased", growTo: end });
    const window = this.#container.createWindow(plan);
    window.mapMany([...this.#pieces].map(({ va, offset, length }) => ({ va, iova: window.start + offset, length })));
    this.#window = window;
    return window;
  }
}
