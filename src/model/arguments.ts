/** Arguments of system calls that are of the wrong kind: refused as the native shim refuses them. */

import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { MapFlag, Protection } from "../syscalls.ts";
import { isBytes } from "../typed-arrays.ts";

const all = (bits: Readonly<Record<string, number>>) => Object.values(bits).reduce((sum, bit) => sum | bit, 0);
const ALL_PROTECTION = all(Protection);
const ALL_FLAGS = all(MapFlag);
const INT_MAX = 2 ** 31 - 1;
const U32_MAX = 2 ** 32 - 1;

/** A path as the kernel takes one: text without a 0, which would end it. */
export function checkPath(path: unknown): void {
  if (typeof path !== "string") throw argumentTypeError("path", "a string", path);
  if (path.includes("\0")) throw argumentRangeError("path", "without a 0 in it", path);
}

/** A negative one too, which is what a call that failed gave: the kernel answers EBADF. */
export function checkFd(fd: unknown): void {
  integer("fd", typeof fd === "number" && fd < 0 ? -fd : fd, INT_MAX);
}

/** Of a call that takes a number, and of one that takes a struct. */
export function checkCall(fd: unknown, call: unknown, argument: unknown): void {
  checkFd(fd);
  integer("call", call, U32_MAX);
  integer("argument", argument, U32_MAX);
}

/** Where a struct, or a batch, begins. */
export function checkPlace(memory: unknown, name: string, offset: unknown): void {
  checkBytes("memory", memory);
  integer(name, offset, U32_MAX);
}

export function checkBytes(name: string, memory: unknown): void {
  if (!isBytes(memory)) throw argumentTypeError(name, "a Uint8Array", memory);
}

export function integer(name: string, value: unknown, last: number): void {
  if (typeof value !== "number") throw argumentTypeError(name, "a number", value);
  if (Number.isInteger(value) && value >= 0 && value <= last) return;
  throw argumentRangeError(name, `an integer from 0 to ${last}`, value);
}

/** Of memory. Whether they are 64 bits is for the memory to say, which may be another kernel's. */
export function checkExtent(va: unknown, length: unknown): void {
  bigint("address", va);
  bigint("length", length);
}

function bigint(name: string, value: unknown): void {
  if (typeof value !== "bigint") throw argumentTypeError(name, "a bigint", value);
}

/** How mmap is to map. */
export function checkMap(protection: unknown, flags: unknown, hugePageShift: unknown): void {
  integer("protection", protection, ALL_PROTECTION);
  integer("flags", flags, ALL_FLAGS);
  integer("hugePageShift", hugePageShift, U32_MAX);
}

export function checkCopy(va: unknown, name: string, memory: unknown): void {
  bigint("address", va);
  checkBytes(name, memory);
}

const OFFSET_MAX = (1n << 63n) - 1n;

/** pread and pwrite. */
export function checkTransfer(fd: unknown, name: string, memory: unknown, offset: unknown): void {
  checkFd(fd);
  checkBytes(name, memory);
  checkOffset(offset);
}

export function checkRegisters(fd: unknown, offset: unknown, length: unknown): void {
  checkFd(fd);
  checkOffset(offset);
  integer("length", length, Number.MAX_SAFE_INTEGER);
}

function checkOffset(offset: unknown): void {
  bigint("offset", offset);
  if ((offset as bigint) < 0n || (offset as bigint) > OFFSET_MAX) {
    throw argumentRangeError("offset", "from 0 to 2^63 - 1", offset);
  }
}
