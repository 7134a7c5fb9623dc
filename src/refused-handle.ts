/** Why a handle is refused, in words. */
import { AllocStatus } from "./alloc.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "./errors.ts";

/** What gave the handle, as errors call it, and what it calls a part of its memory. */
export interface Giver {
  readonly title: string;
  readonly part: "block" | "slot";
}

/** For a handle that was refused with `status`; for what is no handle at all, whatever the status is. */
export function refusedHandle(handle: unknown, status: number, { title, part }: Giver): Error {
  if (typeof handle !== "number") return argumentTypeError("handle", "a number that alloc or get gave", handle);
  if ((handle | 0) !== handle) return argumentRangeError("handle", "a whole number that alloc or get gave", handle);
  const facts = { handle, heap: title };
  const name = `handle ${handle}`;
  if (status === AllocStatus.NOT_LIVE) {
    const said = `${name} of ${title} is not live: its ${part} has been freed. Free once, and forget the handle then`;
    return new DmaWindowError("ERR_NOT_LIVE", said, { facts });
  }
  if (status === AllocStatus.STALE_HANDLE) {
    const said = `${name} of ${title} is stale: its ${part} was freed, and is another owner's now. Forget a handle when it is freed`;
    return new DmaWindowError("ERR_STALE_HANDLE", said, { facts });
  }
  const said = `${name} was not given by ${title}: give it back where it came from`;
  return new DmaWindowError("ERR_FOREIGN_HANDLE", said, { facts });
}
