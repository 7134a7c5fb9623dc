/**
 * Arrays of the caller as columns for the core. One that lies in the core's memory (container/rows.ts) is used where it lies;
 * any other goes there and back through the request columns, a part at a time:
 *
 *     caller's array   [ ........ | ........ | ... ]        4096 at a time
 *                           | copied
 *     request column   [ ........ ]  --core-->  [ ........ ]
 *                                                    | copied
 *     caller's array   [ ........ | ........ | ... ]
 */

import { kindOf } from "../captured.ts";
import { core } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { begin, end } from "../exclusive.ts";

/** How many elements go into the core's memory at a time: with their answers they stay in the processor's caches. */
const LANES = 4096;

export type Column = BigUint64Array | Uint32Array;

/**
 * Holds an array against what is asked of it.
 *
 * @throws `ERR_INVALID_ARG_TYPE`; `ERR_OUT_OF_RANGE` where it has less than `least` elements, and, whatever is asked, where
 * its memory is gone, as that of an array over the core's memory when that has grown.
 */
export function checkColumn(name: string, array: unknown, kind: typeof BigUint64Array, least?: number): void;
export function checkColumn(name: string, array: unknown, kind: typeof Uint32Array, least?: number): void;
export function checkColumn(
  name: string,
  array: unknown,
  kind: typeof BigUint64Array | typeof Uint32Array,
  least = 0,
): void {
  if (!isOf(kind, array)) throw argumentTypeError(name, `a ${kind.name}`, array);
  if (array.length === 0 && isDetached(array)) {
    throw argumentRangeError(
      name,
      "an array that is there: the core's memory has grown, take it from its rows again",
      array,
    );
  }
  if (array.length < least) throw argumentRangeError(`${name}.length`, `at least ${least}`, array.length);
}

/** Of this realm, which is quick to tell, or of another one. */
function isOf(kind: typeof BigUint64Array | typeof Uint32Array, array: unknown): array is Column {
  return array instanceof kind || kindOf(array) === kind.name;
}

/** A number of elements, where an argument may leave it to the first array. @throws as checkColumn does. */
export function checkCount(value: unknown, all: number): number {
  if (value === undefined) return all;
  if (typeof value !== "number") throw argumentTypeError("count", "a number", value);
  if (Number.isInteger(value) && value >= 0 && value <= all) return value;
  throw argumentRangeError("count", `an integer from 0 to ${all}, the length of the first array`, value);
}

function isDetached(array: Column): boolean {
  try {
    new Uint8Array(array.buffer);
    return false;
  } catch {
    return true; // a TypeError: no view can be made of a buffer that is gone
  }
}

/** Where an array lies in the core's memory; -1: elsewhere. To be asked before anything that lets the memory grow. */
export function pointerOf(array: Column): number {
  return array.buffer === core.bytes().buffer ? array.byteOffset : -1;
}

/** Refuses two arrays that share some of their memory and do not begin together: one would be written before it is read. */
export function checkApart(name: string, output: Column, input: Column, count: number): void {
  if (output.buffer !== input.buffer || count === 0) return;
  const distance = Math.abs(output.byteOffset - input.byteOffset);
  if (distance !== 0 && distance < count * output.BYTES_PER_ELEMENT) {
    throw argumentRangeError(
      name,
      "an array of its own or one of the others, and not overlap one of them in part",
      output,
    );
  }
}

/** Copies `count` elements to a column of the core. `from` is what pointerOf said before the memory could grow. */
export function copyIn(column: number, array: Column, from: number, at: number, count: number): void {
  const size = array.BYTES_PER_ELEMENT;
  if (from >= 0) {
    core.bytes().copyWithin(column, from + at * size, from + (at + count) * size);
  } else if (size === 8) {
    core.u64(column, count).set(part(array as BigUint64Array, at, count));
  } else {
    core.u32(column, count).set(part(array as Uint32Array, at, count));
  }
}

/** Copies `count` elements of a column of the core to where `to`, as pointerOf said, or the array has them. */
export function copyOut(column: number, array: BigUint64Array, to: number, at: number, count: number): void {
  if (to >= 0) core.bytes().copyWithin(to + at * 8, column, column + count * 8);
  else array.set(core.u64(column, count), at);
}

function part<A extends Column>(array: A, at: number, count: number): A {
  return (at === 0 && count === array.length ? array : array.subarray(at, at + count)) as A;
}

/** Room in the request columns, whose content is lost. @throws `ERR_OUT_OF_MEMORY`. */
export function reserveColumns(count: number): void {
  if (core.reserveRequests(count) === 0) {
    throw new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for ${count} requests in the core's memory`);
  }
}

type Translate = (handle: number, vas: number, iovas: number, count: number) => number;

/**
 * Has the core translate arrays: the first argument is one of its `...TranslateMany`.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_OUT_OF_MEMORY`; `ERR_BUSY` in the middle of an operation, which has
 * the columns.
 */
export function translateColumns(
  translate: Translate,
  handle: number,
  vas: BigUint64Array,
  iovas: BigUint64Array,
  wanted: number | undefined,
): number {
  begin("translateInto");
  try {
    return translateParts(translate, handle, vas, iovas, wanted);
  } finally {
    end();
  }
}

function translateParts(
  translate: Translate,
  handle: number,
  vas: BigUint64Array,
  iovas: BigUint64Array,
  wanted: number | undefined,
): number {
  checkColumn("vas", vas, BigUint64Array);
  const count = checkCount(wanted, vas.length);
  checkColumn("iovas", iovas, BigUint64Array, count);
  checkApart("iovas", iovas, vas, count);
  const [from, to] = [pointerOf(vas), pointerOf(iovas)];
  if (from >= 0 && to >= 0) return translate(handle, from, to, count);
  const lanes = Math.min(LANES, count);
  reserveColumns(lanes);
  let found = 0;
  for (let at = 0; at < count; at += lanes) {
    const some = Math.min(lanes, count - at);
    const input = from >= 0 ? from + at * 8 : core.vaColumn();
    const output = to >= 0 ? to + at * 8 : core.iovaColumn();
    if (from < 0) copyIn(input, vas, from, at, some);
    found += translate(handle, input, output, some);
    if (to < 0) copyOut(output, iovas, to, at, some);
  }
  return found;
}

/** Has the core hold ranges against a window, likewise: see `core.windowCheckMany`. */
export function checkColumns(
  window: number,
  iovas: BigUint64Array,
  lengths: BigUint64Array,
  indexes: BigUint64Array,
  wanted: number | undefined,
): number {
  begin("checkInto");
  try {
    return checkParts(window, iovas, lengths, indexes, wanted);
  } finally {
    end();
  }
}

function checkParts(
  window: number,
  iovas: BigUint64Array,
  lengths: BigUint64Array,
  indexes: BigUint64Array,
  wanted: number | undefined,
): number {
  checkColumn("iovas", iovas, BigUint64Array);
  const count = checkCount(wanted, iovas.length);
  checkColumn("lengths", lengths, BigUint64Array, count);
  checkColumn("indexes", indexes, BigUint64Array, count);
  checkApart("indexes", indexes, iovas, count);
  checkApart("indexes", indexes, lengths, count);
  const [iovasAt, lengthsAt, to] = [pointerOf(iovas), pointerOf(lengths), pointerOf(indexes)];
  if (iovasAt >= 0 && lengthsAt >= 0 && to >= 0) return core.windowCheckMany(window, iovasAt, lengthsAt, to, count);
  const lanes = Math.min(LANES, count);
  reserveColumns(lanes);
  let found = 0;
  for (let at = 0; at < count; at += lanes) {
    const some = Math.min(lanes, count - at);
    const output = core.vaColumn();
    copyIn(core.iovaColumn(), iovas, iovasAt, at, some);
    copyIn(core.lengthColumn(), lengths, lengthsAt, at, some);
    found += core.windowCheckMany(window, core.iovaColumn(), core.lengthColumn(), output, some);
    copyOut(output, indexes, to, at, some);
  }
  return found;
}
