/** What can be asked of a heap: bytes, alignment, boundary. Here they become what the allocator takes, exactly or not at all. */
import { GRANULE } from "../alloc.ts";
import { argumentRangeError, argumentTypeError } from "../errors.ts";

export { GRANULE };

/** The longest block. */
export const BLOCK_MAX = 2 ** 32 - GRANULE;

/** Shifts of an alignment that are asked for: up to 64 GiB. */
const ALIGN_SHIFT_MAX = 36;

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function blockBytes(name: string, bytes: unknown): number {
  if (typeof bytes !== "number") throw argumentTypeError(name, "a number", bytes);
  if (Number.isInteger(bytes) && bytes > 0 && bytes <= BLOCK_MAX) return bytes;
  throw argumentRangeError(name, `a whole number of bytes, from 1 to 2^32 - 64`, bytes);
}

/** Of an alignment, at least 6. @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function alignShift(align: unknown): number {
  if (align === undefined) return 6;
  const shift = shiftOf(align, "align");
  if (shift > ALIGN_SHIFT_MAX) throw argumentRangeError("align", "a power of two up to 64 GiB", align);
  return Math.max(shift, 6);
}

/** Of a boundary that `bytes` must not cross; 0: there is none. @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`. */
export function boundaryShift(boundary: unknown, bytes: number): number {
  if (boundary === undefined) return 0;
  const shift = shiftOf(boundary, "boundary");
  if (bytes > (boundary as number)) {
    throw argumentRangeError("boundary", `at least the ${bytes} bytes, which could not lie between two`, boundary);
  }
  return shift;
}

function shiftOf(value: unknown, name: string): number {
  if (typeof value !== "number") throw argumentTypeError(name, "a number", value);
  const shift = Math.log2(value);
  if (Number.isInteger(shift) && shift >= 0 && shift < 53 && 2 ** shift === value) return shift;
  throw argumentRangeError(name, "a power of two", value);
}

/** Whole granules. */
export function rounded(bytes: number): number {
  return Math.ceil(bytes / GRANULE) * GRANULE;
}

/** Bytes in a row in which a block fits wherever they begin. `align` and `boundary` are shifts. */
export function roomAnywhere(bytes: number, align: number, boundary: number): bigint {
  const length = BigInt(rounded(bytes));
  return length + (1n << BigInt(align)) - BigInt(GRANULE) + (boundary === 0 ? 0n : length);
}

/** Bytes of new memory in which a block fits: it begins with a page, and so at a multiple of what is not larger. Likewise shifts. */
export function roomInPages(bytes: number, align: number, boundary: number, pageSize: bigint): bigint {
  const unit = 1n << BigInt(Math.max(align, boundary));
  return BigInt(rounded(bytes)) + (unit > pageSize ? unit - pageSize : 0n);
}

/** The shift of a power of two below 2^31; -1 of anything else, which is looked at again. */
export function quickShift(value: number): number {
  return typeof value === "number" && (value | 0) === value && value > 0 && (value & (value - 1)) === 0
    ? 31 - Math.clz32(value)
    : -1;
}
