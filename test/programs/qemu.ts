/** QEMU's vfio-pci: a guest of a boot sector (boot.S) whose BIOS drives the software NVMe, with QEMU between the two. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Judge, Ran } from "./judged.ts";

const source = fileURLToPath(new URL("boot.S", import.meta.url));
const packages = ["qemu-system-x86", "binutils"];
const PROGRAM = "qemu-system-x86_64";
const BLOCK = 512;
const TEXT = "from block 1 of the disk\n";

/** isa-debug-exit: what the guest writes, twice, and 1. */
const WELL = 3;

function run(command: string, ...words: string[]): void {
  const { status, stderr } = spawnSync(command, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`boot.S was not made: ${stderr}`);
}

const machine = "-M q35 -m 64 -nodefaults -display none -serial stdio -no-reboot".split(" ");
const devices = "-device isa-debug-exit,iobase=0xf4,iosize=1 -device vfio-pci,host=0000:00:1a.0,bootindex=0".split(" ");

export const qemu: Judge = {
  name: "QEMU",
  packages,
  version() {
    const { stdout } = spawnSync(PROGRAM, ["--version"], { encoding: "utf8" });
    const version = /version (\S+)/.exec(stdout ?? "")?.[1];
    if (process.arch !== "x64") return { absent: "its guest is assembled on x86-64" };
    const hasTools = ["as", "ld"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
    return version === undefined || !hasTools ? { absent: `apt-get install ${packages.join(" ")}` } : { version };
  },
  build(folder) {
    const [object, sector] = [join(folder, "boot.o"), join(folder, "boot.bin")];
    run("as", "--32", "-o", object, source);
    run("ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", sector, object);
    const disk = Buffer.alloc(4 << 20);
    readFileSync(sector).copy(disk);
    disk.write(TEXT, BLOCK, "latin1");
    writeFileSync(join(folder, "disk.img"), disk);
    const nvme = { kind: "nvme", group: 26, address: "0000:00:1a.0", disk: join(folder, "disk.img") };
    writeFileSync(join(folder, "nvme.json"), JSON.stringify([nvme]));
    return PROGRAM;
  },
  cases: [
    {
      name: "a guest boots from an NVMe disk, reads it and writes it",
      platform: "type1",
      options: (folder) => ["--devices", join(folder, "nvme.json")],
      words: [...machine, ...devices],
      known: ["never-unmapped"],
      fault: faultOf,
    },
  ],
  explanations: [
    {
      kind: "never-unmapped",
      why: "a guest that ends by isa-debug-exit ends QEMU at once: hw/misc/debugexit.c: debug_exit_write calls exit",
    },
  ],
};

/** What of the guest did not come about. */
function faultOf({ status, stdout }: Ran, folder: string): string | undefined {
  if (stdout !== `${TEXT}written\n` || status !== WELL) {
    return `the guest said ${JSON.stringify(stdout)}, and QEMU ended with ${status}`;
  }
  const disk = readFileSync(join(folder, "disk.img"));
  const expected = Buffer.alloc(disk.length);
  readFileSync(join(folder, "boot.bin")).copy(expected);
  for (const block of [1, 2]) expected.write(TEXT, block * BLOCK, "latin1");
  return disk.equals(expected) ? undefined : "the disk is not what the guest wrote";
}
