/**
 * Arguments, before they cross into wasm: there undefined, NaN, -1 and 2^64 + 5 would all become numbers without a word.
 * Throws TypeError (`ERR_INVALID_ARG_TYPE`) and RangeError (`ERR_OUT_OF_RANGE`).
 */
import { argumentRangeError, argumentTypeError } from "./errors.ts";
import type { Syscalls } from "./syscalls.ts";

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** An address: a bigint from 0 to 2^64 - 1. Numbers are not taken: they are not exact where addresses are. */
export function address(name: string, value: unknown): bigint {
  if (typeof value !== "bigint") throw argumentTypeError(name, "a bigint", value);
  if (value < 0n || value > U64_MAX) throw argumentRangeError(name, "from 0 to 2^64 - 1", value);
  return value;
}

/** A size in bytes: a bigint from 0 to 2^64 - 1, or a number that is an exact integer from 0 on. */
export function size(name: string, value: unknown): bigint {
  if (typeof value === "bigint") return address(name, value);
  if (typeof value !== "number") throw argumentTypeError(name, "a bigint or a number", value);
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw argumentRangeError(name, "an integer from 0 to 2^53 - 1, or a bigint from 0 to 2^64 - 1", value);
}

/** A count: an integer from 0 to 2^53 - 1. */
export function count(name: string, value: unknown): number {
  if (typeof value !== "number") throw argumentTypeError(name, "a number", value);
  if (!Number.isSafeInteger(value) || value < 0) throw argumentRangeError(name, "an integer from 0 to 2^53 - 1", value);
  return value;
}

/** A page size: a power of two from 4 KiB to 1 TiB. Gives its shift. */
export function pageShift(name: string, value: unknown): number {
  const bytes = size(name, value);
  if (bytes < 4096n || bytes > 1n << 40n || (bytes & (bytes - 1n)) !== 0n) {
    throw argumentRangeError(name, "a power of two from 4 KiB to 1 TiB", value);
  }
  return bytes.toString(2).length - 1;
}

export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  const list = choices.map((choice) => JSON.stringify(choice)).join(", ");
  if (typeof value !== "string") throw argumentTypeError(name, `one of ${list}`, value);
  throw argumentRangeError(name, `one of ${list}`, value);
}

export function object(name: string, value: unknown): object {
  if (typeof value !== "object" || value === null) throw argumentTypeError(name, "an object", value);
  return value;
}

/** A path, and not a number: `readFileSync` would take that for a file descriptor of the program's own. */
export function checkPath(name: string, path: unknown): void {
  if (typeof path !== "string") throw argumentTypeError(name, "a path (a string)", path);
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw argumentTypeError(name, "true or false", value);
  return value;
}

/** A kernel: `linuxKernel()`, `modelKernel()`, or something in front of one. */
export function syscalls(name: string, value: unknown): Syscalls {
  const { ioctlBatch, mmap } = object(name, value) as Partial<Syscalls>;
  if (typeof ioctlBatch !== "function" || typeof mmap !== "function") {
    throw argumentTypeError(name, "a kernel: linuxKernel() or modelKernel()", value);
  }
  pageShift(`${name}.pageSize`, (value as Syscalls).pageSize);
  return value as Syscalls;
}
