import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { type MemoryArea, pathOf } from "../areas.ts";
import { type ReadMemory, Unreadable } from "./cursor.ts";
import { readElf, type Section, sectionsOf } from "./elf.ts";

/** How much of what is mapped has to be in the file, for it to be the one that is: its headers, and the number of its build. */
const COMPARED = 4096;

/** The file that memory was mapped from. */
export interface ElfFile {
  /** Where it is found by others too. */
  readonly path: string;
  /** By the place in the file. */
  readonly read: ReadMemory;
  readonly sections: readonly Section[];
  readonly close: () => void;
}

/**
 * Opens the file that begins in an area of a process's memory: by its path, where what lies there now begins as the memory does, else by
 * the kernel's own link to what is mapped, which needs CAP_CHECKPOINT_RESTORE. What the kernel itself puts there is in memory whole.
 *
 * @param memory Reads the process's memory. @throws Unreadable where there is no such file, or it is not what it should be.
 */
export function openMapped(process: number, area: MemoryArea, memory: ReadMemory): ElfFile {
  if (area.name === "[vdso]") {
    const read: ReadMemory = (offset, length) => memory(area.start + offset, length);
    return { path: area.name, read, sections: sectionsOf(read, readElf(read)), close: () => {} };
  }
  const link = `/proc/${process}/map_files/${area.start.toString(16)}-${area.end.toString(16)}`;
  for (const path of [pathOf(area), link]) {
    const file = openOrdinary(path);
    if (file === undefined) continue;
    try {
      if (path !== link) requireSame(file.read, memory, area);
      return { path, ...file, sections: sectionsOf(file.read, readElf(file.read)) };
    } catch (error) {
      file.close();
      if (!(error instanceof Unreadable)) throw error;
    }
  }
  throw new Unreadable(`${area.name} is not there any more, or is another file`);
}

function requireSame(read: ReadMemory, memory: ReadMemory, area: MemoryArea): void {
  const length = Math.min(COMPARED, Number(area.end - area.start));
  if (Buffer.compare(read(0n, length), memory(area.start, length)) !== 0) throw new Unreadable("another file");
}

/** `undefined`: there is none, or nobody may read it. A pipe or a device is not opened. */
function openOrdinary(path: string): Pick<ElfFile, "read" | "close"> | undefined {
  try {
    if (!statSync(path).isFile()) return undefined;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = fstatSync(fd);
    return { read: (offset, length) => readFile(fd, BigInt(size), offset, length), close: () => closeSync(fd) };
  } catch {
    return undefined;
  }
}

/** A file that is shorter than a page is followed by zeroes, as in memory. */
function readFile(fd: number, size: bigint, offset: bigint, length: number): Uint8Array {
  if (offset > size || (offset + BigInt(length) > size && offset > 0n))
    throw new Unreadable("a file that ends too early");
  const bytes = new Uint8Array(length);
  const expected = Math.min(length, Number(size - offset));
  try {
    if (readSync(fd, bytes, 0, length, offset) >= expected) return bytes;
  } catch (error) {
    throw new Unreadable((error as Error).message);
  }
  throw new Unreadable("a file that ends too early");
}
