/** QEMU's `-device vfio-pci`: guests whose disk is the software NVMe. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpio, file, program } from "../kernels/cpio.ts";
import { type Architecture, power, x86 } from "../kernels/guests.ts";
import { type KernelOrigin, kernelOf } from "../kernels/kernels.ts";
import { bootSector, makeBootDisk } from "./boot-sector.ts";
import type { Judge, Ran, Verdict } from "./judged.ts";
import { shopNeeds, shopOf } from "./shop.ts";

const init = fileURLToPath(new URL("qemu-guest.sh", import.meta.url));
const DISK_BYTES = 16 << 20;
/** Where the guest writes. */
const PLACE = 3 << 16;

/** A megabyte that is the same each time, of which no two blocks are. */
const pattern = Buffer.concat(
  Array.from({ length: 32768 }, (_, number) => createHash("sha256").update(`${number}`).digest()),
);
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

type Words = Readonly<Record<string, string>>;

/** What a guest has to say of its disk. */
const ofDisk: Words = {
  blocks: String(DISK_BYTES / 512),
  read: `${md5(pattern)}  -`,
  before: `${md5(Buffer.alloc(PLACE))}  -`,
  interrupts: "2",
};
const ofEdu: Words = { edu: "0x010000ED", "5!": "0x00000078" };

/** What the guest says, and what the disk's file holds afterwards. */
function judged(expected: Words, disk: string, { status, stdout, stderr }: Ran): Verdict {
  const faults = Object.entries(expected).flatMap(([name, words]) => {
    const said = stdout.split(/\r?\n/).find((line) => line.startsWith(`${name}: `));
    return said === `${name}: ${words}` ? [] : [`${said ?? `${name}: nothing`}, and not ${words}`];
  });
  const written = Buffer.alloc(DISK_BYTES);
  pattern.copy(written, PLACE);
  if (!readFileSync(disk).equals(written)) faults.push("the disk's file is not what the guest wrote");
  if (status !== 0 || faults.length > 0) faults.push(`exit ${status}: ${stderr}${stdout.slice(-4096)}`);
  const cases = Object.keys(expected).length + 1;
  return { cases, words: faults.length === 0 ? `${cases} passed` : "failed", known: [], faults };
}

/** Linux's driver for NVMe is a module of POWER's kernel too, which the other guests do not want. */
const powerWithDisk: Architecture = { ...power, diskModules: x86.diskModules };

const quiet = "panic=-1 quiet no_timer_check nowatchdog";
const bare = [
  ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"],
  ...["-accel", "tcg"],
];
const nvme = (address: string, disk: string) => ({ kind: "nvme", group: 26, address, disk });

export const qemu: Judge = {
  name: "QEMU",
  needs() {
    const shop = shopNeeds([x86, power]);
    if ("never" in shop) return shop;
    const assembles = ["as", "ld"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
    return assembles ? shop : [...shop, "binutils"];
  },
  async build(folder, say) {
    makeBootDisk(folder);
    const own = cpio([program("init", readFileSync(init)), file("pattern", pattern)]);
    const prepare = async (architecture: Architecture, flavour: string): Promise<KernelOrigin> => {
      const shop = shopOf(architecture, say);
      // What has other modules in it has a place of its own.
      const cache = architecture === powerWithDisk ? join(shop.cache, "with-disk") : shop.cache;
      const { path, layer, origin } = await kernelOf({ ...shop, cache }, flavour, { fresh: false });
      symlinkSync(path, join(folder, `${architecture.debian}-kernel`));
      writeFileSync(join(folder, `${architecture.debian}-initrd`), Buffer.concat([readFileSync(layer), own]));
      writeFileSync(join(folder, `${architecture.debian}-disk`), Buffer.alloc(DISK_BYTES));
      return origin;
    };
    const kernels = [await prepare(x86, "amd64"), await prepare(powerWithDisk, "powerpc64le")];
    const { stdout } = spawnSync(x86.qemu, ["--version"], { encoding: "utf8" });
    const version = /version (.*)/.exec(stdout)?.[1] ?? stdout.trim();
    return `${version}, with ${kernels.map((kernel) => `${kernel.package} ${kernel.version}`).join(" and ")}`;
  },
  cases: [
    bootSector,
    {
      name: "a guest's disk, and registers",
      platform: "type1",
      words: [
        ...[x86.qemu, "-M", "q35", "-cpu", "max", "-m", "256", ...bare],
        ...["-kernel", "amd64-kernel", "-initrd", "amd64-initrd", "-append", `console=ttyS0 ${quiet}`],
        ...["-device", "vfio-pci,host=0000:00:1a.0", "-device", "vfio-pci,host=0000:00:1b.0"],
      ],
      devices: [nvme("0000:00:1a.0", "amd64-disk"), { kind: "edu", group: 27, address: "0000:00:1b.0" }],
      known: ["never-unmapped"],
      judge: (ran, folder) => judged({ ...ofDisk, ...ofEdu }, join(folder, "amd64-disk"), ran),
    },
    {
      name: "a guest's disk",
      platform: "powernv",
      words: [
        ...[power.qemu, "-M", "pseries", "-cpu", "POWER9", "-m", "512", "-vga", "none", ...bare],
        ...["-kernel", "ppc64el-kernel", "-initrd", "ppc64el-initrd", "-append", `console=hvc0 ${quiet}`],
        ...["-device", "vfio-pci,host=0000:01:00.0"],
      ],
      devices: [nvme("0000:01:00.0", "ppc64el-disk")],
      known: ["never-unmapped"],
      judge: (ran, folder) => judged(ofDisk, join(folder, "ppc64el-disk"), ran),
    },
  ],
  explanations: [
    {
      kind: "never-unmapped",
      why: "however it ends, QEMU leaves to the kernel what is mapped: softmmu/runstate.c: qemu_cleanup takes no device away",
    },
  ],
};
