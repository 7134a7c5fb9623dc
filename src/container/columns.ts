/** The request columns of the core, as arrays: what a batch is about, one row for each request. */
import { core } from "../core.ts";
import { DmaWindowError } from "../errors.ts";

/** The request columns: one row for each request. Valid until the next call of the core. */
export interface RequestColumns {
  readonly vas: BigUint64Array;
  /** All ones lets the core choose. */
  readonly iovas: BigUint64Array;
  readonly lengths: BigUint64Array;
  /** Maps only: 1 the device may read, 2 it may write, 3 both. */
  readonly permissions: Uint32Array;
}

/** Columns of `count` rows to fill in. @throws `ERR_OUT_OF_MEMORY`. */
export function requestColumns(count: number): RequestColumns {
  if (core.reserveRequests(count) === 0) {
    throw outOfMemory(`${count} requests`);
  }
  return {
    vas: core.u64(core.vaColumn(), count),
    iovas: core.u64(core.iovaColumn(), count),
    lengths: core.u64(core.lengthColumn(), count),
    permissions: core.u32(core.permissionColumn(), count),
  };
}

export function outOfMemory(what: string): DmaWindowError {
  return new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for ${what} in the core's memory`);
}

/** The first rows of the columns, as they are now. */
export function rows(count: number): RequestColumns {
  return requestColumns(count); // no more rows than there are: nothing is lost
}
