/** A kernel that does not always say where memory lies, as `/proc/self/pagemap` does to a process that lost its privileges. */
import { NO_ADDRESS } from "../../src/core.ts";
import { type Passing, Through } from "../../src/through.ts";

export class Pagemap extends Through {
  /** How many more times it says; `undefined`: always. */
  timesLeft: number | undefined;

  protected pass<R extends number | bigint>(_: Passing, make: () => R): R {
    return make();
  }

  override physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    const addresses = this.inner.physicalAddresses(va, pages, pageSize);
    if (this.timesLeft === undefined || this.timesLeft-- > 0) return addresses;
    return addresses.fill(NO_ADDRESS);
  }
}
