/**
 * The first bytes of an addon say for which machine it was made. ELF, of either byte order:
 *
 *     0         4       5       16     18        20
 *     | 7f ELF  | class | order | ...  | machine | ...
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import process from "node:process";

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
  if (magic !== 0x7f454c46) return { reason: "damaged", why: "the file is no ELF file, as every addon of Linux is" };
  if (bytes < HEADER_BYTES) return { reason: "damaged", why: "the file ends in the middle of its header" };
  const isLittle = header[5] === 1;
  const number = isLittle ? header.readUInt16LE(18) : header.readUInt16BE(18);
  const machine = machines.get(number) ?? `machine ${number}`;
  if (machine !== process.arch)
    return { reason: "wrong-machine", why: `it was built for ${machine}, and this Node is ${process.arch}` };
  // ppc64 is one number with two byte orders; only the little one is Node's.
  return isLittle ? undefined : { reason: "wrong-machine", why: "it was built for the other byte order" };
}
