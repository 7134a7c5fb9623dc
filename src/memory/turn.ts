import { DmaWindowError } from "../errors.ts";

/**
 * One change at a time. A change calls outside: kernels, resolvers of physical addresses, attached containers, getters of options.
 * What they call of the table meanwhile would find it half done.
 */
export class Turn {
  #taken = false;

  /** @throws `ERR_BUSY` within another change; what `change` throws. */
  take<T>(change: () => T): T {
    if (this.#taken) {
      throw new DmaWindowError("ERR_BUSY", "the table is being changed: what it calls meanwhile must not change it");
    }
    this.#taken = true;
    try {
      return change();
    } finally {
      this.#taken = false;
    }
  }
}
