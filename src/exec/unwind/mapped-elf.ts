import type { MemoryArea } from "../areas.ts";
import { type ReadMemory, Unreadable, wrapped } from "./cursor.ts";
import { type Fde, type FrameTable, fdeByTable, frameTable, tableOf } from "./eh-frame.ts";
import { type Elf, EXECUTABLE, readElf, type Segment, SegmentType } from "./elf.ts";
import { type ElfFile, openMapped } from "./elf-file.ts";

const PAGE = 4096n;
const FRAMES_BYTES = 1 << 26;

/**
 * A program or a library in a process's memory. All that unwinding needs is mapped, and read from there: also of files that are gone, and
 * of what the kernel itself puts there. The file is asked where a linker left no table of functions, as in static programs.
 */
export class MappedElf {
  /** What it begins in. */
  readonly area: MemoryArea;
  /** What is added to the file's addresses. */
  readonly distance: bigint;
  readonly #elf: Elf;
  #table: FrameTable | undefined;

  /** @throws Unreadable where no ELF begins there. */
  constructor(area: MemoryArea, read: ReadMemory) {
    this.area = area;
    this.#elf = readElf((offset, length) => read(wrapped(area.start + offset), length));
    const first = this.#elf.segments.find(({ type, offset }) => type === SegmentType.LOAD && offset < PAGE);
    if (first === undefined) throw new Unreadable("an ELF whose beginning is not loaded");
    this.distance = wrapped(area.start - (first.address - (first.address % PAGE)));
  }

  /** Whether an address is one of its code. */
  hasCode(address: bigint): boolean {
    const own = wrapped(address - this.distance);
    const isAt = ({ type, flags, address: start, bytes }: Segment) =>
      type === SegmentType.LOAD && (flags & EXECUTABLE) !== 0 && start <= own && own < start + bytes;
    return this.#elf.segments.some(isAt);
  }

  /** What `.eh_frame` says of the function at an address. @throws Unreadable */
  fdeAt(process: number, read: ReadMemory, address: bigint): Fde | undefined {
    this.#table ??= this.#findTable(process, read);
    return fdeByTable(read, this.#table, address);
  }

  #findTable(process: number, read: ReadMemory): FrameTable {
    const header = this.#elf.segments.find(({ type }) => type === SegmentType.EH_FRAME_TABLE);
    if (header === undefined) return this.#tableOfFile(process, read);
    const table = frameTable(read, wrapped(this.distance + header.address));
    if (table.entries.byteLength > 0) return table;
    const own = wrapped(table.frames - this.distance);
    const segment = this.#elf.segments.find(
      ({ type, address, fileBytes }) => type === SegmentType.LOAD && address <= own && own < address + fileBytes,
    );
    if (segment === undefined) throw new Unreadable(".eh_frame that is not loaded");
    return this.#tableOfFrames(read, own, segment.address + segment.fileBytes - own);
  }

  #tableOfFile(process: number, read: ReadMemory): FrameTable {
    let file: ElfFile | undefined;
    try {
      file = openMapped(process, this.area, read);
      const frames = file.sections.find(({ name }) => name === ".eh_frame");
      if (frames === undefined) throw new Unreadable("there is no .eh_frame");
      return this.#tableOfFrames(read, frames.address, frames.bytes);
    } finally {
      file?.close();
    }
  }

  #tableOfFrames(read: ReadMemory, own: bigint, bytes: bigint): FrameTable {
    if (bytes > BigInt(FRAMES_BYTES)) throw new Unreadable(`.eh_frame of ${bytes} bytes`);
    const start = wrapped(this.distance + own);
    return tableOf(read(start, Number(bytes)), start);
  }
}
