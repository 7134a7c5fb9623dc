/**
 * Cuts columns into batches of every awkward length and place, hands them to a kernel, and compares column by column.
 *
 * A fast kernel takes several rows at a time, aligned or not, and the rest one by one; so the counts go from 0 to 17 and
 * beyond, and each column begins on a multiple of 16 bytes or between two:
 *
 *     apart      ... | seal | input 0 | seal | ... | seal | input 1 | seal | ... | seal | output | seal | ...
 *     in a row   | seal | output | input 0 | input 1 | seal |   a row too many spoils an input
 *     in place   the output is one of the inputs
 */

/** A kernel over columns of u64: reads `inputs`, writes `output`, both as indexes of the memory's words. How many it found. */
export type ColumnKernel = (inputs: readonly number[], output: number, count: number) => number;

/** Rows, with the answers of the twin. */
export interface Rows {
  readonly inputs: readonly BigUint64Array[];
  readonly expected: BigUint64Array;
}

const NONE = 0xffff_ffff_ffff_ffffn;
/** Stands where nothing may be written. No answer of any kernel. */
const SEAL = 0x5ea1_5ea1_5ea1_5ea1n;

/**
 * Every length up to four groups of four and one more, and some that leave 1, 3 and 7 over behind many. With BATCH_MAX they
 * are as many as share no factor with the layouts, so that in time each meets each.
 */
export const COUNTS: readonly number[] = [...Array.from({ length: 18 }, (_, count) => count), 31, 33, 67, 255];

/** The most rows of one batch, and the words that it may take: three columns, their seals, and a word to shift each. */
export const BATCH_MAX = 4096;
export const WORDS = 3 * (BATCH_MAX + 4);

type Layout = (count: number, inputs: number) => { inputs: readonly number[]; output: number };

const columns = (count: number): readonly number[] => Array.from({ length: count }, (_, column) => column);

/** Each column begins on an even word or, where its bit of `odd` is set, on an odd one. */
const apart =
  (odd: number): Layout =>
  (_count, inputs) => {
    const at = (column: number): number => 2 + column * (BATCH_MAX + 4) + ((odd >> column) & 1);
    return { inputs: columns(inputs).map(at), output: at(inputs) };
  };

const inRow =
  (odd: number): Layout =>
  (count, inputs) => ({ inputs: columns(inputs).map((column) => 2 + odd + count * (column + 1)), output: 2 + odd });

const inPlace =
  (odd: number): Layout =>
  (count, total) => {
    const { inputs } = apart(odd)(count, total);
    return { inputs, output: inputs[odd % total] as number };
  };

const LAYOUTS: readonly Layout[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(apart),
  ...[0, 1].map(inRow),
  ...[0, 1, 2, 3].map(inPlace),
];

function bytesOf(column: BigUint64Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

function sameColumn(actual: BigUint64Array, expected: BigUint64Array): boolean {
  return bytesOf(actual).equals(bytesOf(expected));
}

/** Deals out counts and layouts, and goes on with the next pair from one set of rows to the next. */
export class Batches {
  #batch = 0;
  /** Rows that were answered rightly. */
  cases = 0;

  /** Fails unless the kernel answers each row as expected, and writes nothing else. `memory`: WORDS words. */
  cross(memory: BigUint64Array, kernel: ColumnKernel, { inputs, expected }: Rows, where: () => string): void {
    for (let from = 0; from < expected.length; this.#batch++) {
      const turn = this.#batch % (COUNTS.length + 1);
      const count = Math.min(COUNTS[turn] ?? BATCH_MAX, expected.length - from);
      const layout = (LAYOUTS[this.#batch % LAYOUTS.length] as Layout)(count, inputs.length);
      const rows = {
        inputs: inputs.map((column) => column.subarray(from, from + count)),
        expected: expected.subarray(from, from + count),
      };
      one(memory, kernel, rows, layout, () => `${where()}, ${count} rows from ${from}`);
      from += count;
      this.cases += count;
    }
  }
}

function one(
  memory: BigUint64Array,
  kernel: ColumnKernel,
  { inputs, expected }: Rows,
  at: { inputs: readonly number[]; output: number },
  where: () => string,
): void {
  const count = expected.length;
  const starts = [...at.inputs, at.output];
  memory.fill(SEAL, at.output, at.output + count);
  for (const start of starts) {
    memory[start - 1] = SEAL;
    memory[start + count] = SEAL;
  }
  for (const [column, input] of inputs.entries()) memory.set(input, at.inputs[column]);
  const found = kernel(at.inputs, at.output, count);
  const output = memory.subarray(at.output, at.output + count);
  if (!sameColumn(output, expected)) throw new Error(`${where()}: ${firstWrong(output, inputs, expected)}`);
  let there = 0;
  for (let row = 0; row < count; row++) if (expected[row] !== NONE) there++;
  if (found !== there) throw new Error(`${where()}: ${found} were found, and not ${there}`);
  for (const [column, input] of inputs.entries()) {
    const start = at.inputs[column] as number;
    if (start !== at.output && !sameColumn(memory.subarray(start, start + count), input))
      throw new Error(`${where()}: column ${column} was written to`);
  }
  // Of columns in a row the words around each belong to its neighbour, which was looked at.
  const outside = starts.flatMap((start) => [start - 1, start + count]).filter((word) => !within(word, starts, count));
  if (outside.some((word) => memory[word] !== SEAL)) throw new Error(`${where()}: written outside of the column`);
}

function within(word: number, starts: readonly number[], count: number): boolean {
  return starts.some((start) => word >= start && word < start + count);
}

function firstWrong(output: BigUint64Array, inputs: readonly BigUint64Array[], expected: BigUint64Array): string {
  const hex = (value: bigint | undefined): string => `0x${(value ?? 0n).toString(16)}`;
  const row = expected.findIndex((each, index) => each !== output[index]);
  const asked = inputs.map((column) => hex(column[row])).join(", ");
  return `row ${row} (${asked}) is ${hex(output[row])}, not ${hex(expected[row])}`;
}
