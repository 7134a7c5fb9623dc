/** Columns in a core's memory: what a batch reads, and what it writes and is then looked at. */
import type { Core } from "../../src/core.ts";

export class Column {
  readonly pointer: number;
  readonly #core: Core;
  readonly #rows: number;

  /** Room for `rows` u64. */
  constructor(core: Core, rows: number) {
    this.#core = core;
    this.#rows = rows;
    this.pointer = core.acquireBytes(rows * 8);
    if (this.pointer === 0) throw new Error("the core has no memory for a column");
  }

  /** The column as it is now: not to be kept, because the memory may grow. */
  get values(): BigUint64Array {
    return this.#core.u64(this.pointer, this.#rows);
  }
}

/** Writes nonsense over an output, so that nothing of an earlier timing can pass for an answer. */
export function spoil(output: BigUint64Array): void {
  output.fill(0x5a5a_5a5a_5a5a_5a5an);
}

function bytes(column: BigUint64Array | Float64Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

/** Throws unless the two are the same, bit by bit. */
export function mustEqual<T extends BigUint64Array | Float64Array>(what: string, actual: T, expected: T): void {
  if (bytes(actual).equals(bytes(expected))) return;
  const at = actual.findIndex((value: bigint | number, i: number) => value !== expected[i]);
  throw new Error(`${what}: row ${at} is ${actual[at]}, not ${expected[at]}`);
}
