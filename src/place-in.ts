/** A part of a block or a slot, as `read` and `write` are given it. */
import { kindOf, lengthOf } from "./captured.ts";
import { argumentRangeError, argumentTypeError } from "./errors.ts";
import { count } from "./validate.ts";

/** An offset from which all of `bytes` lies within `size`. @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function placeIn(size: number, offset: number, bytes: Uint8Array): number {
  if (kindOf(bytes) !== "Uint8Array") throw argumentTypeError("bytes", "a Uint8Array", bytes);
  const start = count("offset", offset);
  const length = lengthOf(bytes); // whatever a property of it says
  if (start + length <= size) return start;
  throw argumentRangeError("offset", `such that ${length} bytes from there lie within ${size}`, offset);
}
