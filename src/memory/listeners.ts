import { leftBy, withResidue } from "../errors.ts";
import type { MemoryListener } from "./types.ts";

/** Those that learn of a table's changes: all of them, or, where one refuses, none. */
export class Listeners {
  readonly #listeners = new Set<MemoryListener>();

  get size(): number {
    return this.#listeners.size;
  }

  some(holds: (listener: MemoryListener) => boolean): boolean {
    for (const listener of this.#listeners) if (holds(listener)) return true;
    return false;
  }

  add(listener: MemoryListener): void {
    this.#listeners.add(listener);
  }

  remove(listener: MemoryListener): void {
    this.#listeners.delete(listener);
  }

  /**
   * Tells every listener; when one throws, takes it back from those that were told, latest first. `what` is the sentence
   * for an undo that fails.
   */
  tell<R>(
    action: (listener: MemoryListener) => R,
    undo: (listener: MemoryListener) => unknown,
    what: () => string,
  ): R[] {
    const told: MemoryListener[] = [];
    const answers: R[] = [];
    for (const listener of this.#listeners) {
      try {
        answers.push(action(listener));
        told.push(listener);
      } catch (error) {
        const left: string[] = [];
        for (const one of told.reverse()) left.push(...leftBy(() => undo(one), what()));
        throw withResidue(error, left);
      }
    }
    return answers;
  }
}
