import { hex } from "../hex.ts";
import type { Supervision } from "../supervision.ts";
import { areasIn, indexOfArea, type MemoryArea, pathOf } from "./areas.ts";
import { procText } from "./proc.ts";
import { type ReadMemory, Unreadable } from "./unwind/cursor.ts";
import type { Frame } from "./unwind/frame.ts";
import { MappedElf } from "./unwind/mapped-elf.ts";
import { readThrough } from "./unwind/memory.ts";
import { Symbols } from "./unwind/symbols.ts";
import { unwind } from "./unwind/unwind.ts";

const FRAMES_MAX = 32;
const ELVES_MAX = 256;
/** Code of the kernel's own in every process, which is a library without a file. */
const VDSO = "[vdso]";

/** Where threads of the program are, in words. Taken while they wait: nothing is kept of a thread, and no call costs more for it. */
export class Stacks {
  readonly #native: Supervision;
  readonly #symbols = new Symbols();
  /** By file and place. What is wrong with one is found anew. */
  readonly #elves = new Map<string, MappedElf>();

  constructor(native: Supervision) {
    this.#native = native;
  }

  /**
   * The frames of a thread that waits in a system call, innermost first: `function+0x1f at FILE:LINE (FILE + 0x1234)`, as much of it as
   * there is. What was not unwound exactly says `(by the stack)`; why there are no more frames stands in brackets at the end.
   */
  of(thread: number, instruction: bigint): readonly string[] {
    if (instruction === 0n) return [];
    const look = new Look(this.#native, thread, this.#elves);
    if (process.arch !== "x64") {
      const frame = { pc: instruction, at: instruction - 1n, registers: new Map(), isGuess: false };
      return [
        ...this.#words(look, [frame]),
        `(stacks are not unwound on ${process.arch}: that is the instruction alone)`,
      ];
    }
    const { frames, why } = unwind(look, instruction, look.stackPointer, FRAMES_MAX);
    return [...this.#words(look, frames), ...(why === undefined ? [] : [`(not unwound further: ${why})`])];
  }

  #words(look: Look, frames: readonly Frame[]): string[] {
    const byElf = new Map<MappedElf | undefined, Frame[]>();
    for (const frame of frames) {
      const elf = look.elfAt(frame.at);
      byElf.set(elf, [...(byElf.get(elf) ?? []), frame]);
    }
    const names = new Map<Frame, readonly string[]>();
    for (const [elf, group] of byElf) {
      const found = elf === undefined ? [] : this.#symbols.of(look.thread, elf, look.read, group);
      for (const [index, frame] of group.entries()) names.set(frame, found[index] ?? []);
    }
    return frames.flatMap((frame) => {
      const place = look.placeOf(frame);
      const mark = frame.isGuess ? " (by the stack)" : "";
      const found = names.get(frame) ?? [];
      return (found.length === 0 ? [place] : found.map((name) => `${name} (${place})`)).map(
        (text) => plain(text) + mark,
      );
    });
  }
}

/** What a thread's world is while it waits. */
class Look {
  readonly thread: number;
  readonly read: ReadMemory;
  readonly #areas: readonly MemoryArea[];
  readonly #elves: Map<string, MappedElf>;

  constructor(native: Supervision, thread: number, elves: Map<string, MappedElf>) {
    this.thread = thread;
    this.read = readThrough((address, into) => native.execRead(thread, address, into));
    this.#areas = areasIn(procText(`/proc/${thread}/maps`));
    this.#elves = elves;
  }

  /** `/proc/TID/syscall` of a thread that waits in a call: its number, six arguments, stack pointer and instruction. */
  get stackPointer(): bigint {
    return BigInt(procText(`/proc/${this.thread}/syscall`).trim().split(" ").at(-2) ?? 0);
  }

  isCode(address: bigint): boolean {
    return this.#areas[indexOfArea(this.#areas, address)]?.execute === true;
  }

  fdeAt(address: bigint) {
    return this.elfAt(address)?.fdeAt(this.thread, this.read, address);
  }

  /** What an address of code was loaded with. */
  elfAt(address: bigint): MappedElf | undefined {
    const index = indexOfArea(this.#areas, address);
    const code = this.#areas[index];
    if (code === undefined || (code.file === undefined && code.name !== VDSO)) return undefined;
    // A file may be mapped more than once, and as data too: its beginning nearest to the code is likely what belongs to it.
    for (let at = index; at >= 0; at--) {
      const area = this.#areas[at];
      if (area?.file !== code.file || area?.name !== code.name || area.offset !== 0n) continue;
      const elf = this.#elfIn(area);
      if (elf?.hasCode(address)) return elf;
    }
    return undefined;
  }

  /** `libc.so.6 + 0xfdd6b`: the place by the file's own addresses, as addr2line and objdump count. */
  placeOf({ pc, at }: Frame): string {
    const area = this.#areas[indexOfArea(this.#areas, at)];
    if (area === undefined) return hex(pc);
    const elf = this.elfAt(at);
    const place = BigInt.asUintN(64, elf === undefined ? pc - area.start + area.offset : pc - elf.distance);
    return `${pathOf(area) || "memory without a file"} + ${hex(place)}`;
  }

  #elfIn(area: MemoryArea): MappedElf | undefined {
    const key = `${area.file ?? area.name} ${area.start}`;
    const known = this.#elves.get(key);
    if (known !== undefined) return known;
    try {
      const elf = new MappedElf(area, this.read);
      if (this.#elves.size === ELVES_MAX) this.#elves.clear();
      this.#elves.set(key, elf);
      return elf;
    } catch (error) {
      if (error instanceof Unreadable) return undefined;
      throw error;
    }
  }
}

/** Names are the program's, and go to a terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
