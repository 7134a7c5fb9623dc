/** A guest of a boot sector (boot.S), whose BIOS drives the software NVMe. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { output } from "../kernels/unpack.ts";
import type { Case, Ran, Verdict } from "./judged.ts";

const source = fileURLToPath(new URL("boot.S", import.meta.url));
const BLOCK = 512;
const TEXT = "from block 1 of the disk\n";
/** isa-debug-exit: what the guest writes, twice, and 1. */
const WELL = 3;

/** Assembles it, and makes its disk. @throws Error with what the assembler said */
export function makeBootDisk(folder: string): void {
  const [object, sector] = [join(folder, "boot.o"), join(folder, "boot.bin")];
  output("as", ["--32", "-o", object, source]);
  output("ld", ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", sector, object]);
  writeFileSync(join(folder, "boot.img"), diskWith(folder, [1]));
}

/** The boot sector, and the text in these blocks. */
function diskWith(folder: string, blocks: readonly number[]): Buffer {
  const disk = Buffer.alloc(4 << 20);
  readFileSync(join(folder, "boot.bin")).copy(disk);
  for (const block of blocks) disk.write(TEXT, block * BLOCK, "latin1");
  return disk;
}

export const bootSector: Case = {
  name: "a guest boots from an NVMe disk, reads it and writes it",
  platform: "type1",
  words: [
    ...["qemu-system-x86_64", "-M", "q35", "-m", "64", "-nodefaults", "-display", "none", "-serial", "stdio"],
    ...["-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
    ...["-device", "vfio-pci,host=0000:00:1a.0,bootindex=0"],
  ],
  devices: [{ kind: "nvme", group: 26, address: "0000:00:1a.0", disk: "boot.img" }],
  known: ["never-unmapped"],
  judge: judged,
};

function judged({ status, stdout, stderr }: Ran, folder: string): Verdict {
  const faults: string[] = [];
  if (stdout !== `${TEXT}written\n` || status !== WELL)
    faults.push(`the guest said ${JSON.stringify(stdout)}, and QEMU ended with ${status}: ${stderr}`);
  if (!readFileSync(join(folder, "boot.img")).equals(diskWith(folder, [1, 2])))
    faults.push("the disk is not what the guest wrote");
  return { cases: 1, words: faults.length === 0 ? "1 passed" : "failed", known: [], faults };
}
