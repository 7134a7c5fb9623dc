/** What a shared object asks of the process that loads it: libraries, versions and symbols. 64-bit ELF, little-endian (<linux/elf.h>). */
import { readFileSync } from "node:fs";

export interface Wants {
  /** DT_NEEDED. */
  readonly libraries: readonly string[];
  /** Of symbols that are wanted in a version: `GLIBC_2.17`. */
  readonly versions: readonly string[];
  /** Symbols that somebody else must have. */
  readonly symbols: readonly string[];
  /** Those without which it loads too. */
  readonly weak: readonly string[];
  /** Symbols that it shows. */
  readonly shown: readonly string[];
  /** Whether any of its segments is both writable and executable, or its stack is. */
  readonly isExecutableWhereWritable: boolean;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

const SHT = { dynamic: 6, dynsym: 11, verdef: 0x6ffffffd, verneed: 0x6ffffffe, versym: 0x6fffffff } as const;
const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;

class Elf {
  readonly bytes: Buffer;
  readonly sections: readonly Section[];

  constructor(path: string) {
    this.bytes = readFileSync(path);
    if (this.bytes.readUInt32BE(0) !== 0x7f454c46 || this.bytes[4] !== 2 || this.bytes[5] !== 1) {
      throw new Error(`${path} is no 64-bit little-endian ELF file`);
    }
    const at = Number(this.bytes.readBigUInt64LE(40));
    this.sections = Array.from({ length: this.bytes.readUInt16LE(60) }, (_, i) =>
      this.#section(at + i * SECTION_BYTES),
    );
  }

  #section(at: number): Section {
    const [word, long] = [(by: number) => this.bytes.readUInt32LE(at + by), (by: number) => this.long(at + by)];
    return { type: word(4), offset: long(24), size: long(32), link: word(40), info: word(44) };
  }

  long(at: number): number {
    return Number(this.bytes.readBigUInt64LE(at));
  }

  of(type: number): Section | undefined {
    return this.sections.find((section) => section.type === type);
  }

  /** A name in the string table that a section is linked to. */
  name({ link }: Section, offset: number): string {
    const at = (this.sections[link] as Section).offset + offset;
    return this.bytes.toString("latin1", at, this.bytes.indexOf(0, at));
  }

  /** Of the dynamic symbols, but for the first, which is none: name, binding (1 global, 2 weak), and the section that has it, or 0. */
  symbols(): { name: string; binding: number; section: number; index: number }[] {
    const table = this.of(SHT.dynsym);
    if (table === undefined) return [];
    return Array.from({ length: table.size / 24 - 1 }, (_, i) => {
      const at = table.offset + (i + 1) * 24;
      const binding = (this.bytes[at + 4] as number) >> 4;
      const name = this.name(table, this.bytes.readUInt32LE(at));
      return { name, binding, section: this.bytes.readUInt16LE(at + 6), index: i + 1 };
    });
  }

  /** Names of versions by their index. `entry` and `first`: where an entry has its names, and a name its index. */
  versions(type: number): Map<number, string> {
    const table = this.of(type);
    const found = new Map<number, string>();
    if (table === undefined) return found;
    const isDefinition = type === SHT.verdef;
    for (let at = table.offset, left = table.info; left > 0; left--) {
      const half = (by: number): number => this.bytes.readUInt16LE(at + by);
      const word = (from: number): number => this.bytes.readUInt32LE(from);
      const count = isDefinition ? 1 : half(2);
      for (let aux = at + word(at + (isDefinition ? 12 : 8)), i = 0; i < count; i++) {
        const index = isDefinition ? half(4) : this.bytes.readUInt16LE(aux + 6);
        found.set(index & 0x7fff, this.name(table, word(aux + (isDefinition ? 0 : 8))));
        aux += word(aux + (isDefinition ? 4 : 12));
      }
      at += word(at + (isDefinition ? 16 : 12));
    }
    return found;
  }
}

export function wantsOf(path: string): Wants {
  const elf = new Elf(path);
  const dynamic = elf.of(SHT.dynamic);
  const libraries: string[] = [];
  if (dynamic !== undefined) {
    for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
      if (elf.long(at) === 1) libraries.push(elf.name(dynamic, elf.long(at + 8)));
    }
  }
  const all = elf.symbols();
  const foreign = all.filter(({ section }) => section === 0);
  const named = (symbols: typeof all) => symbols.map(({ name }) => name).sort();
  const segments = Array.from({ length: elf.bytes.readUInt16LE(56) }, (_, i) => elf.long(32) + i * SEGMENT_BYTES);
  return {
    libraries,
    versions: [...elf.versions(SHT.verneed).values()],
    symbols: named(foreign.filter(({ binding }) => binding !== 2)),
    weak: named(foreign.filter(({ binding }) => binding === 2)),
    // Those of sections have no name.
    shown: named(all.filter(({ name, section }) => section !== 0 && name !== "")),
    isExecutableWhereWritable: segments.some((at) => (elf.bytes.readUInt32LE(at + 4) & 3) === 3),
  };
}

/** The version in which a library first had each of its symbols: `2.17` of `GLIBC_2.17`. Others have none. */
export function firstVersions(path: string): Map<string, string> {
  const elf = new Elf(path);
  const names = elf.versions(SHT.verdef);
  const numbers = elf.of(SHT.versym);
  const found = new Map<string, string>();
  for (const { name, section, index } of elf.symbols()) {
    if (section === 0 || numbers === undefined) continue;
    const version = names.get(elf.bytes.readUInt16LE(numbers.offset + 2 * index) & 0x7fff) ?? "";
    const [, number] = /^GLIBC_(\d+\.\d+)/.exec(version) ?? [];
    const before = found.get(name);
    if (number !== undefined && (before === undefined || isEarlier(number, before))) found.set(name, number);
  }
  return found;
}

export function isEarlier(one: string, other: string): boolean {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number)) as [number[], number[]];
  return (a[0] as number) - (b[0] as number) < 0 || (a[0] === b[0] && (a[1] as number) < (b[1] as number));
}
