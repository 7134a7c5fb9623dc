/**
 * The headers of an addon say for which machine it was made, and how long its file has to be. ELF, of either byte order; the
 * offsets behind 20 are those of the 64-bit class (<linux/elf.h>: Elf64_Ehdr, Elf64_Phdr):
 *
 *     0         4       5       16     18        20    32      40      54                 64
 *     | 7f ELF  | class | order | ...  | machine | ... | phoff | shoff | sizes and counts |
 *
 *     phoff: one for each segment     | type | flags | offset | ... | bytes in the file | ...
 *     shoff: one for each section, at the end of the file
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import process from "node:process";

const MAGIC = 0x7f454c46; // "\x7fELF"

/** `e_machine` of <linux/elf-em.h>, by what Node calls it. */
const machines: ReadonlyMap<number, string> = new Map([
  [3, "ia32"],
  [8, "mips"],
  [21, "ppc64"],
  [22, "s390x"],
  [40, "arm"],
  [62, "x64"],
  [183, "arm64"],
  [243, "riscv64"],
  [258, "loong64"],
]);

const HEADER_BYTES = 20;
const FULL_HEADER_BYTES = 64;

/** Where the fields of the headers lie, by class; an offset is as wide as an address. */
const layouts = [
  { bits: 32, header: 52, tables: [28, 32], segment: { size: 42, count: 44, bytes: 32, offset: 4, length: 16 } },
  { bits: 64, header: 64, tables: [32, 40], segment: { size: 54, count: 56, bytes: 56, offset: 8, length: 32 } },
] as const;

/**
 * Whether the file ends before what its headers say, and where. Asked before it is loaded: the loader maps segments without
 * looking at the file's length, and the first touch of what lies behind the end is a SIGBUS, which ends the process. `undefined`
 * for a file that is whole, is no ELF file, or cannot be read: the loader says so itself.
 */
export function cutOff(path: string): string | undefined {
  try {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      const end = endOf(file, size);
      return end > size ? `it has ${size} bytes, and its headers speak of ${end} at least` : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** Where the last thing ends that the headers of a file of `size` bytes speak of; 0 where they are no headers of ELF. */
function endOf(file: number, size: number): bigint {
  const header = Buffer.alloc(FULL_HEADER_BYTES);
  const bytes = readSync(file, header, 0, FULL_HEADER_BYTES, 0);
  if (bytes < 6 || header.readUInt32BE(0) !== MAGIC) return 0n;
  const layout = layouts[(header[4] as number) - 1];
  if (layout === undefined || (header[5] !== 1 && header[5] !== 2)) return 0n;
  if (bytes < layout.header) return BigInt(layout.header);
  const isLittle = header[5] === 1;
  const half = (at: number): bigint => BigInt(isLittle ? header.readUInt16LE(at) : header.readUInt16BE(at));
  const offset = (from: Buffer, at: number): bigint => {
    if (layout.bits === 32) return BigInt(isLittle ? from.readUInt32LE(at) : from.readUInt32BE(at));
    return isLittle ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at);
  };
  const { segment } = layout;
  const [segments, sections] = layout.tables.map((at) => offset(header, at)) as [bigint, bigint];
  const count = half(segment.count);
  // The fields of the sections' table follow those of the segments'.
  let end = sections + half(segment.size + 4) * half(segment.count + 4);
  const tableEnd = segments + count * half(segment.size);
  if (tableEnd > end) end = tableEnd;
  if (end > size || half(segment.size) !== BigInt(segment.bytes)) return end;
  const table = Buffer.alloc(Number(count) * segment.bytes); // 65,535 segments at most
  readSync(file, table, 0, table.length, Number(segments)); // exact: it is below the file's size
  for (let at = 0; at < table.length; at += segment.bytes) {
    const segmentEnd = offset(table, at + segment.offset) + offset(table, at + segment.length);
    if (segmentEnd > end) end = segmentEnd;
  }
  return end;
}

/** What is wrong with the file by its first bytes; `undefined` where they are as they should be, or cannot be read. */
export function wrongFile(
  path: string,
): { readonly reason: "damaged" | "wrong-machine"; readonly why: string } | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  let bytes = 0;
  try {
    const file = openSync(path, "r");
    try {
      bytes = readSync(file, header, 0, HEADER_BYTES, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  if (bytes === 0 && statSync(path).isFile()) return { reason: "damaged", why: "the file is empty" };
  const magic = header.readUInt32BE(0);
  if (magic === 0xcffaedfe || magic === 0xcafebabe || magic === 0xfeedfacf)
    return { reason: "wrong-machine", why: "the file was built for macOS" };
  if (magic >>> 16 === 0x4d5a) return { reason: "wrong-machine", why: "the file was built for Windows" };
  if (magic !== MAGIC) return { reason: "damaged", why: "the file is no ELF file, as every addon of Linux is" };
  if (bytes < HEADER_BYTES) return { reason: "damaged", why: "the file ends in the middle of its header" };
  const isLittle = header[5] === 1;
  const number = isLittle ? header.readUInt16LE(18) : header.readUInt16BE(18);
  const machine = machines.get(number) ?? `machine ${number}`;
  if (machine !== process.arch)
    return { reason: "wrong-machine", why: `it was built for ${machine}, and this Node is ${process.arch}` };
  // ppc64 is one number with two byte orders; only the little one is Node's.
  return isLittle ? undefined : { reason: "wrong-machine", why: "it was built for the other byte order" };
}
