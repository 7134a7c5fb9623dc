import { readFileSync } from "node:fs";
import { DmaWindowError } from "../errors.ts";

/** `AT_NULL` and `AT_PAGESZ` of <elf.h>. */
const AT_NULL = 0n;
const AT_PAGESZ = 6n;

/**
 * The CPU's page size in bytes from an auxiliary vector, the table that the kernel hands to every program: pairs of
 * 64-bit words in host byte order (little-endian: the shim is for no other machine), ended by `AT_NULL`.
 *
 *     0       8       16
 *     | type  | value | type  | value | ...
 *
 * Returns `undefined` when it does not say, or says what is not a power of two of at least 4096.
 */
export function pageSizeIn(auxv: Uint8Array): number | undefined {
  const words = new DataView(auxv.buffer, auxv.byteOffset, auxv.byteLength);
  for (let at = 0; at + 16 <= auxv.byteLength; at += 16) {
    const type = words.getBigUint64(at, true);
    if (type === AT_NULL) return undefined;
    if (type !== AT_PAGESZ) continue;
    const value = words.getBigUint64(at + 8, true);
    // Exact as a number: below 2^32.
    return value >= 4096n && value < 1n << 32n && (value & (value - 1n)) === 0n ? Number(value) : undefined;
  }
  return undefined;
}

/** An entry of `AT_PAGESZ` with 4, 16 or 64 KiB. No byte of it is above 0x7f, so it is found in text too. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is a table in binary
const PAGE_SIZE_ENTRY = /\x06\0{7}\0([\x10\x40\0])([\0\x01])\0{5}/;

/** The same of a table that was read as text, and whose other entries may have suffered by that. */
export function pageSizeInText(auxv: string): number | undefined {
  const [, second, third] = PAGE_SIZE_ENTRY.exec(auxv) ?? [];
  if (second === undefined || third === undefined) return undefined;
  const value = (second.charCodeAt(0) << 8) | (third.charCodeAt(0) << 16);
  return [4096, 16384, 65536].includes(value) ? value : undefined;
}

/**
 * The CPU's page size in bytes, from `/proc/self/auxv`: known without the shim. Throws a {@link DmaWindowError} with
 * code `ERR_PROC_UNREADABLE` where there is no such file.
 */
export function pageSize(): number {
  const path = "/proc/self/auxv";
  let auxv: Uint8Array;
  try {
    auxv = readFileSync(path);
  } catch (cause) {
    throw new DmaWindowError("ERR_PROC_UNREADABLE", `The page size is read from ${path}, which cannot be read.`, {
      cause,
    });
  }
  const size = pageSizeIn(auxv);
  if (size === undefined) throw new DmaWindowError("ERR_PROC_UNREADABLE", `${path} names no page size.`);
  return size;
}
