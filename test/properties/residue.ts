/** What `error.residue` says, read back: every sentence the library has for things that are left behind. */

export type Left =
  /** IOVAs that a device still reaches. */
  | { readonly what: "mapped"; readonly iova: bigint; readonly length: bigint }
  /** IOVAs that should be mapped, and are not. */
  | { readonly what: "not mapped again"; readonly iova: bigint; readonly length: bigint }
  /** Memory that is still mapped somewhere; `length` undefined stands for all of a table's. */
  | { readonly what: "memory mapped"; readonly va: bigint; readonly length?: bigint }
  | { readonly what: "memory not mapped again"; readonly va: bigint; readonly length?: bigint }
  | { readonly what: "registered"; readonly va: bigint; readonly length: bigint }
  | { readonly what: "no default window" }
  /** What the kernel counts as locked for a window that it did not make. */
  | { readonly what: "charged"; readonly length: bigint }
  | { readonly what: "window"; readonly start: bigint }
  /** Address space that is still mmapped, or pages that are still in it. */
  | { readonly what: "space"; readonly va: bigint; readonly length: bigint }
  /** IOVAs that are set aside for a list, or should be and are not. */
  | { readonly what: "set aside"; readonly base: bigint };

const SIZE = "(\\d+(?:\\.\\d+)? (?:bytes?|[KMGTPE]iB))";
const AT = "(0x[0-9a-f]+)";

type Make = (length: bigint, at: bigint) => Left;

/** The groups of each pattern are a size and an address; an empty one stands where there is none. */
const patterns: readonly (readonly [string, Make])[] = [
  [`${SIZE} at IOVA ${AT} (?:is|may) still (?:be )?mapped`, (length, iova) => ({ what: "mapped", iova, length })],
  [`${SIZE} at IOVA ${AT} is not mapped again`, (length, iova) => ({ what: "not mapped again", iova, length })],
  [
    `${SIZE} of memory at ${AT} (?:are|may) still (?:be )?registered`,
    (length, va) => ({ what: "registered", va, length }),
  ],
  [`${SIZE} of memory at ${AT} are still mapped`, (length, va) => ({ what: "memory mapped", va, length })],
  [
    `${SIZE} of memory at ${AT} are not mapped again`,
    (length, va) => ({ what: "memory not mapped again", va, length }),
  ],
  [`()\\d+ ranges of memory from ${AT} on are still mapped`, (_, va) => ({ what: "memory mapped", va })],
  [`()\\d+ ranges of memory from ${AT} on are not mapped again`, (_, va) => ({ what: "memory not mapped again", va })],
  [`${SIZE} still count as locked memory`, (length) => ({ what: "charged", length })],
  ["()()the default window is not put back", () => ({ what: "no default window" })],
  [`()the window at ${AT}`, (_, start) => ({ what: "window", start })],
  [`(?:munmap|mmap) of ${SIZE}(?: of address space)? at ${AT}: `, (length, va) => ({ what: "space", va, length })],
  [`${SIZE} of (?:address space|memory) at ${AT} are not given back`, (length, va) => ({ what: "space", va, length })],
  [`()(?:no )?IOVAs (?:stay|are) set aside for the list at ${AT}`, (_, base) => ({ what: "set aside", base })],
];

const sentences = patterns.map(([pattern, make]) => [new RegExp(`^${pattern}`), make] as const);

/** Fails for a sentence that nobody here understands: who reads it would not either. */
export function readResidue(left: readonly string[]): Left[] {
  return left.map((sentence) => {
    for (const [pattern, make] of sentences) {
      const found = pattern.exec(sentence);
      if (found !== null) return make(sizeOf(found[1] ?? ""), BigInt(found[2] || 0));
    }
    throw new Error(`a residue that says nothing exact: ${sentence}`);
  });
}

const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes of `256.125 MiB`: the library writes a size this way only where it is exact. */
export function sizeOf(text: string): bigint {
  if (text === "") return 0n;
  const [number = "", unit = ""] = text.split(" ");
  const [whole = "0", fraction = ""] = number.split(".");
  const shift = BigInt(10 * units.indexOf(unit.replace(/^byte$/, "bytes")));
  return (BigInt(whole) << shift) + (BigInt(fraction.padEnd(3, "0")) << shift) / 1000n;
}
