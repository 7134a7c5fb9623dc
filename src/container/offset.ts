/**
 * What is added to an address of a list for its IOVA: one number for all of the list, where the list has a region of its own
 * in the window.
 *
 *     list    base ............................ base + length          virtual addresses
 *                \                              \
 *                 + offset, modulo 2^64          + offset
 *                  \                              \
 *     window        region ........................                    IOVAs
 */
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { MemsegList } from "../memory/types.ts";
import type { IovaMode } from "../plan/index.ts";
import { object } from "../validate.ts";

/** A memory that is attached, as far as it is known where its lists lie. */
export interface Placing {
  /** iova - va modulo 2^64 of all memory of the list; `undefined` where no one number holds. */
  offsetOf(list: MemsegList): bigint | undefined;
  /** Whether the list is one of the memory's. */
  has(list: MemsegList): boolean;
}

/** The offset of a list in a window of that mode, to which these memories are attached. @throws see `window.iovaOffset`. */
export function offsetAmong(attached: readonly Placing[], iovaMode: IovaMode, list: MemsegList): bigint {
  for (const placing of attached) {
    const offset = placing.offsetOf(list);
    if (offset !== undefined) return offset;
  }
  throw noOffset(attached, iovaMode, list);
}

function noOffset(attached: readonly Placing[], iovaMode: IovaMode, list: MemsegList): Error {
  const { base, length, pageSize } = object("list", list) as MemsegList;
  if (typeof base !== "bigint") return argumentTypeError("list", "a list, as memory.addList gives it", list);
  const facts = { list: { base, length, pageSize } };
  const no = (code: string, why: string) =>
    new DmaWindowError(code, `the list at ${hex(base)} has no offset in this window: ${why}`, { facts });
  if (iovaMode === "pa") {
    return no(
      "ERR_NO_OFFSET",
      "in IOVA mode pa each page is where its physical address is, so no one number holds; use translate or translateInto, " +
        "or plan with IOVA mode rebased",
    );
  }
  if (!attached.some((placing) => placing.has(list))) {
    return no(
      "ERR_NOT_ATTACHED",
      "no memory that is attached to it has this list; attach the list's memory to it, or use translate for what window.map has mapped",
    );
  }
  return no(
    "ERR_NOT_SERVED",
    "it is external memory that is no heap, which its owner maps piece by piece with window.map; use translate or translateInto",
  );
}
