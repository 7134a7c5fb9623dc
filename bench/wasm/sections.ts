/**
 * What is in a wasm module: its sections, and the size of each function.
 *
 *     module      | "\0asm" : 4 | version : 4 | sections ... |
 *     section     | id : 1 | length : LEB128 | content |                  id 0: a name first, then anything
 *     code        | count | of each function: length, body |              the imported ones come before them in the numbering
 *     imports     | count | of each: module, name, kind : 1, type |       kind 0: a function; the type's length depends on the kind
 *     exports     | count | of each: name, kind : 1, index |              kind 0: a function
 *     "name"      | subsections: id : 1, length, content | 1: count, of each function: index, name |
 */

export interface Section {
  readonly name: string;
  /** Of its content, without id and length. */
  readonly bytes: number;
}

export interface FunctionSize {
  /** As the module's names say, else as it is exported, else its number. */
  readonly name: string;
  readonly bytes: number;
}

export interface ModuleSizes {
  readonly bytes: number;
  readonly sections: readonly Section[];
  readonly functions: readonly FunctionSize[];
}

const SECTIONS = [
  ...["custom", "types", "imports", "functions", "tables", "memories", "globals", "exports", "start", "elements"],
  ...["code", "data", "data count", "tags"],
];

class Reader {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new RangeError(`the module ends in the midst of something, at byte ${this.at - 1}`);
    return value;
  }

  /** An unsigned LEB128 below 2^32. */
  number(): number {
    let value = 0;
    for (let place = 1; place <= 2 ** 28; place *= 128) {
      const byte = this.byte();
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
    throw new RangeError(`a number that does not end, before byte ${this.at}`);
  }

  /** The next bytes, as a part of its own. */
  part(): Uint8Array {
    const length = this.number();
    const end = this.at + length;
    if (end > this.#bytes.length)
      throw new RangeError(`${length} bytes from byte ${this.at} on are more than there are`);
    const part = this.#bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }

  text(): string {
    return new TextDecoder().decode(this.part());
  }
}

/** Of a table or a memory. */
function skipLimits(reader: Reader): void {
  const flags = reader.byte(); // 1: with a maximum, 2: shared
  reader.number();
  if ((flags & 1) !== 0) reader.number();
}

/** By kind, what stands behind it: of a function, a table, a memory, a global. */
const skipType: readonly ((reader: Reader) => void)[] = [
  (reader) => reader.number(),
  (reader) => {
    reader.byte();
    skipLimits(reader);
  },
  skipLimits,
  (reader) => {
    reader.byte();
    reader.byte();
  },
];

/** How many functions an import section has. */
function importedFunctions(section: Uint8Array): number {
  const reader = new Reader(section);
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    const skip = skipType[kind];
    if (skip === undefined) throw new RangeError(`an import of kind ${kind}, which is not known here`);
    skip(reader);
    if (kind === 0) functions++;
  }
  return functions;
}

/** Functions by index, of an export section. */
function exportedFunctions(section: Uint8Array): Map<number, string> {
  const reader = new Reader(section);
  const names = new Map<number, string>();
  for (let left = reader.number(); left > 0; left--) {
    const name = reader.text();
    const kind = reader.byte();
    const index = reader.number();
    if (kind === 0) names.set(index, name);
  }
  return names;
}

/** Functions by index, of a name section behind its name. */
function namedFunctions(reader: Reader): Map<number, string> {
  const names = new Map<number, string>();
  while (!reader.done) {
    const id = reader.byte();
    const part = new Reader(reader.part());
    if (id !== 1) continue;
    for (let left = part.number(); left > 0; left--) names.set(part.number(), part.text());
  }
  return names;
}

/** @throws RangeError for what is no wasm module, or ends too early. */
export function moduleSizes(bytes: Uint8Array): ModuleSizes {
  const reader = new Reader(bytes);
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  if (!head.every((byte) => reader.byte() === byte)) throw new RangeError("these bytes are no wasm module");
  const sections: Section[] = [];
  const sizes: number[] = [];
  let imported = 0;
  let exported = new Map<number, string>();
  let named = new Map<number, string>();
  while (!reader.done) {
    const id = reader.byte();
    const content = reader.part();
    const inside = new Reader(content);
    let name = SECTIONS[id] ?? `section ${id}`;
    if (id === 0) {
      name = inside.text();
      if (name === "name") named = namedFunctions(inside);
    } else if (id === 2) {
      imported = importedFunctions(content);
    } else if (id === 7) {
      exported = exportedFunctions(content);
    } else if (id === 10) {
      for (let left = inside.number(); left > 0; left--) sizes.push(inside.part().length);
    }
    sections.push({ name, bytes: content.length });
  }
  const functions = sizes.map((size, i) => {
    const index = imported + i;
    return { name: named.get(index) ?? exported.get(index) ?? `function ${index}`, bytes: size };
  });
  return { bytes: bytes.length, sections, functions };
}
