/** Values that no argument should let through. Each with a name for messages. */
const everything: readonly (readonly [string, unknown])[] = [
  ["undefined", undefined],
  ["null", null],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-1", -1],
  ["1.5", 1.5],
  ["-1n", -1n],
  ["2^64", 1n << 64n],
  ["2^64 + 4096", (1n << 64n) + 4096n],
  ["2^53", 2 ** 53],
  ["a string", "4096"],
  ["an object", {}],
  ["an array", [4096n]],
  ["true", true],
  ["a symbol", Symbol("4096")],
];

/** Everything but the kinds that the argument may be: `undefined` for one that may be left out. */
export function badValues(...allowed: readonly string[]): readonly (readonly [string, unknown])[] {
  return everything.filter(([name]) => !allowed.includes(name));
}
