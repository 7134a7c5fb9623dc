import { Disposing, disposing } from "../closable.ts";
import { argumentRangeError, DmaWindowError } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import { count } from "../validate.ts";
import type { Vector } from "./vector.ts";

/** What a device does for vectors that are on. */
export interface VectorsKeeper {
  grow(count: number): void;
  disable(): void;
}

/** The interrupts of a device that are on: a list of {@link Vector}. Made by `device.irqs`. */
export class Vectors extends Disposing implements Iterable<Vector> {
  /** Of which kind they are. */
  readonly mode: "intx" | "msi" | "msix";
  readonly #vectors: readonly Vector[];
  readonly #keeper: VectorsKeeper;

  /** @internal `vectors` is the device's own list, which grows. */
  constructor(mode: Vectors["mode"], vectors: readonly Vector[], keeper: VectorsKeeper) {
    super();
    this.mode = mode;
    this.#vectors = vectors;
    this.#keeper = keeper;
  }

  /** How many are on; 0 once they are off. */
  get count(): number {
    return this.#vectors.length;
  }

  /** @throws RangeError `ERR_OUT_OF_RANGE`; `ERR_CLOSED` once they are off. */
  vector(index: number): Vector {
    const found = this.#vectors[count("index", index)];
    if (found !== undefined) return found;
    if (this.count === 0) throw switchedOff(this.mode);
    throw argumentRangeError("index", `from 0 to ${this.count - 1}, as ${this.count} are on`, index);
  }

  /** All of them, in order. */
  [Symbol.iterator](): Iterator<Vector> {
    return this.#vectors[Symbol.iterator]();
  }

  /**
   * Switches on more of them, `count` in all; those that are on stay as they are. Where the kernel cannot add to them (NORESIZE: POWER,
   * and MSI everywhere) all are off for a moment; what came in it is lost, so each vector that was on before is signalled once
   * afterwards, and its driver looks.
   *
   * @throws `ERR_TOO_MANY_VECTORS`, `ERR_KERNEL` with those on that were on before, or `residue` says that none is.
   */
  grow(count: number): void {
    this.#keeper.grow(count);
  }

  /** Switches all of them off, as `using` does. Once more does nothing. @throws `ERR_KERNEL`, `ERR_INTERFACE`. */
  disable(): void {
    this.#keeper.disable();
  }

  /** @internal */
  override [disposing](): void {
    this.disable();
  }
}

inspectable(Vectors, "Vectors", ({ mode, count }) => ({ state: count === 0 ? "off" : undefined, mode, count }));

export function switchedOff(mode: Vectors["mode"]): DmaWindowError {
  const again = `device.irqs.${mode}(${mode === "intx" ? "" : "count"})`;
  return new DmaWindowError("ERR_CLOSED", `these interrupts were switched off: ${again} switches some on anew`);
}
