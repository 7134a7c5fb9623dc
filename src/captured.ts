/**
 * Parts of the language as they were when this package was loaded. A program, or a library of it, can replace any built-in
 * (`Map.prototype.values`, the iterator of arrays, a getter of typed arrays) or put others before it (a property of a view). Where
 * memory is given back that must not decide whether a view of it is alive: there nothing is asked that somebody can replace.
 *
 * What is safe besides: own fields and indexes of objects that no program has, operators on bigints and numbers, loops by index.
 * What is not: `for ... of`, spreading, taking arrays apart, methods of arrays, `call` of a function, writing a new index of an array
 * (a setter on its prototype).
 */
export const { apply } = Reflect;
export const { freeze } = Object;
const { setPrototypeOf } = Object;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const arraySort = Array.prototype.sort;

/** What kind of typed array a value is; `undefined` for what is none. Of a value's own properties nothing is asked. */
export const kindOf = getter<unknown>(typedArray, Symbol.toStringTag);
/** Of a typed array, in bytes. @throws TypeError for what is none. */
export const lengthOf = getter<number>(typedArray, "byteLength");
export const startOf = getter<number>(typedArray, "byteOffset");
export const bufferOf = getter<ArrayBufferLike>(typedArray, "buffer");
/** Of an ArrayBuffer, in bytes. @throws TypeError for what is none. */
export const bufferLengthOf = getter<number>(ArrayBuffer.prototype, "byteLength");

/** One for all calls, which makes them no garbage. */
const NO_ARGUMENTS = freeze([]);

function getter<R>(of: object, name: string | symbol): (value: unknown) => R {
  const get = Object.getOwnPropertyDescriptor(of, name)?.get as (this: unknown) => R;
  return (value) => apply(get, value, NO_ARGUMENTS);
}

/** To be visited by `forEach`: the iterators of these are those of everybody. The constructors pass nothing on, also no iterator. */
export class OwnMap<K, V> extends Map<K, V> {
  // biome-ignore lint/complexity/noUselessConstructor: the one that is made otherwise may pass arguments on by an iterator
  constructor() {
    super();
  }
}

/** As {@link OwnMap}. */
export class OwnSet<T> extends Set<T> {
  // biome-ignore lint/complexity/noUselessConstructor: as above
  constructor() {
    super();
  }
}

/** As {@link OwnMap}. */
export class OwnWeakMap<K extends WeakKey, V> extends WeakMap<K, V> {
  // biome-ignore lint/complexity/noUselessConstructor: as above
  constructor() {
    super();
  }
}

for (const [own, everybodys] of [
  [OwnMap.prototype, Map.prototype],
  [OwnSet.prototype, Set.prototype],
  [OwnWeakMap.prototype, WeakMap.prototype],
]) {
  const { constructor: _, ...members } = Object.getOwnPropertyDescriptors(everybodys) as PropertyDescriptorMap;
  Object.freeze(Object.setPrototypeOf(Object.defineProperties(own, members), null));
}

/** An array that inherits nothing, so that a new index is its own: for loops by index, and {@link sort}. */
export function bareArray<T>(): T[] {
  return setPrototypeOf([], null) as T[];
}

export function sort<T>(array: T[], order: (a: T, b: T) => number): void {
  apply(arraySort, array, [order]);
}
