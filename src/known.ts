/**
 * Options and requests are objects, and a misspelt key of one would be an option left out: `growto`, and the window stays
 * small for ever. So a key that nobody reads is refused, with the one that was likely meant.
 */
import { unknownKeyError } from "./errors.ts";

/** The keys of an object, as {@link keysOf} makes them: those first that are used most. */
export type Keys = readonly string[];

/** All keys of an interface. That none is missing, and none is too many, is the compiler's to check. */
export function keysOf<T>(keys: { readonly [K in keyof Required<T>]: true }): Keys {
  return Object.keys(keys);
}

/**
 * Refuses a key that is not one of `keys`; what stands under the others is not looked at. `name` says whose keys they are.
 *
 * Looks at what a program would see with `for in`: keys that are inherited, as from an object of defaults, count like its own.
 * Symbols, what is not enumerable (the methods of a class) and what all objects were given do not. A key without a value is
 * misspelt all the same.
 *
 * Costs about 8 ns for each key, and no garbage: a walk over a few names, which are compared as pointers, is faster than a set.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`: it names the key, the nearest of `keys` if one is near, and all of them.
 */
export function known(name: string, value: object, keys: Keys): void {
  for (const key in value) if (!isOneOf(keys, key) && !(key in Object.prototype)) refuse(name, key, keys);
}

/**
 * The same of facts, that may say more than is asked for: only a key that is near one of `keys` is refused, likely a misspelt one.
 * `others` are known to be no such thing.
 */
export function notMisspelt(name: string, value: object, keys: Keys, others: Keys = []): void {
  for (const key in value) {
    if (isOneOf(keys, key) || isOneOf(others, key) || key in Object.prototype) continue;
    const meant = nearest(key, keys);
    if (meant !== undefined) throw unknownKeyError(name, key, keys, meant);
  }
}

function isOneOf(keys: Keys, key: string): boolean {
  for (let i = 0; i < keys.length; i++) if (keys[i] === key) return true;
  return false;
}

/**
 * A plain copy of an object of options: what stands under each of `keys`, read once, wherever it is inherited from. A key
 * without a value is left out.
 */
export function taken<T extends object>(value: T, keys: Keys): T {
  const entries = keys.map((key) => [key, value[key as keyof T]] as const);
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined)) as T;
}

/** Apart, so that the loop stays small enough to be compiled into its caller. */
function refuse(name: string, key: string, keys: Keys): never {
  throw unknownKeyError(name, key, keys, nearest(key, keys));
}

/**
 * The word that `key` was likely meant to be: another case or other separators, the beginning of it, or up to two in five
 * characters wrong. `undefined` when none is near.
 */
export function nearest(key: string, words: Iterable<string>): string | undefined {
  const wanted = plain(key);
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const word of words) {
    const candidate = plain(word);
    const most = Math.floor(Math.max(wanted.length, candidate.length) * 0.4);
    const begins = Math.min(wanted.length, candidate.length) > 1 && begin(wanted, candidate);
    const far = begins ? Math.min(1, distance(wanted, candidate)) : distance(wanted, candidate);
    if (far >= least || (far > most && !begins)) continue;
    best = word;
    least = far;
  }
  return best;
}

function plain(word: string): string {
  return word.slice(0, 64).toLowerCase().replace(/[-_ ]/g, "");
}

function begin(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

/** How many characters must be put in, left out, exchanged, or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(exchanged, (previous[j] as number) + 1, (row[j - 1] as number) + 1);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, (before[j - 2] ?? 64) + 1);
      row.push(least);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
