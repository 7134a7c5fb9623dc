import type { ReadMemory } from "./cursor.ts";
import { Unreadable } from "./cursor.ts";
import type { Section } from "./elf.ts";
import { type ElfFile, openMapped } from "./elf-file.ts";
import { SourceLines } from "./lines.ts";
import type { MappedElf } from "./mapped-elf.ts";
import { functionsAt, type NamedFunction } from "./names.ts";

/** An address of code: `at` lies in the instruction, `pc` is where it goes on. */
export interface CodePlace {
  readonly pc: bigint;
  readonly at: bigint;
}

const KEPT_MAX = 4096;

/** Names places in programs and libraries. What was named once is kept: the same code is seen again and again. */
export class Symbols {
  readonly #lines = new SourceLines();
  readonly #known = new Map<string, readonly string[]>();

  /**
   * What each place is in: `main+0x1f at /src/a.c:12`, and in front of it what was inlined there. Empty where the file names nothing.
   * Cost: the file's symbols are read once for all places that are new, and addr2line run where the file has lines.
   */
  of(process: number, elf: MappedElf, read: ReadMemory, places: readonly CodePlace[]): readonly (readonly string[])[] {
    const keyOf = ({ pc, at }: CodePlace) => `${elf.area.file ?? elf.area.name} ${pc - elf.distance} ${pc - at}`;
    const fresh = places.filter((place) => !this.#known.has(keyOf(place)));
    if (fresh.length > 0) {
      if (this.#known.size > KEPT_MAX) this.#known.clear();
      const names = this.#name(process, elf, read, fresh);
      for (const [index, place] of fresh.entries()) this.#known.set(keyOf(place), names[index] ?? []);
    }
    return places.map((place) => this.#known.get(keyOf(place)) ?? []);
  }

  #name(
    process: number,
    elf: MappedElf,
    read: ReadMemory,
    places: readonly CodePlace[],
  ): readonly (readonly string[])[] {
    let file: ElfFile | undefined;
    try {
      file = openMapped(process, elf.area, read);
      const own = places.map(({ at }) => BigInt.asUintN(64, at - elf.distance));
      const functions = functionsAt(file.read, file.sections, own);
      const lines = mayHaveLines(file.sections) ? this.#lines.at(file.path, own) : [];
      return places.map(({ pc }, index) => {
        const inFile = BigInt.asUintN(64, pc - elf.distance);
        return named(inFile, functions[index], lines[index] ?? []);
      });
    } catch (error) {
      if (error instanceof Unreadable) return [];
      throw error;
    } finally {
      file?.close();
    }
  }
}

function named(
  pc: bigint,
  found: NamedFunction | undefined,
  lines: readonly { readonly name: string; readonly place: string }[],
): readonly string[] {
  const inlined = lines.slice(0, -1).map(({ name, place }) => `${name} at ${place}, inlined`);
  const outermost = lines.at(-1);
  const hasLine = outermost !== undefined && !/^\?\?|:\?$/.test(outermost.place);
  // What the linker knows is mangled in C++ and Rust. Without a line, addr2line says the next name before, whosever it is.
  const isMangled = found !== undefined && /^_[ZR]/.test(found.name);
  const isKnown = outermost !== undefined && outermost.name !== "??";
  const name = isKnown && (isMangled || (found === undefined && hasLine)) ? outermost.name : found?.name;
  if (name === undefined) return inlined;
  const offset = found === undefined ? "" : `+0x${(pc - found.start).toString(16)}`;
  const line = hasLine ? ` at ${outermost.place}` : "";
  return [...inlined, `${name}${offset}${line}`];
}

/** Of its own, or in a file beside it. */
function mayHaveLines(sections: readonly Section[]): boolean {
  return sections.some(({ name }) => /^\.z?debug_line$|^\.gnu_debuglink$/.test(name));
}
