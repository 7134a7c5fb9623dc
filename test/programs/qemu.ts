/** QEMU's `-device vfio-pci`: a guest whose disk is the software NVMe. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpio, file, program } from "../kernels/cpio.ts";
import { kernelOf } from "../kernels/kernels.ts";
import type { Judge, Ran, Verdict } from "./judged.ts";
import { shopNeeds, shopOf } from "./shop.ts";

const init = fileURLToPath(new URL("qemu-guest.sh", import.meta.url));
const BLOCKS = 32768;

/** A megabyte that is the same each time, of which no two blocks are. */
const pattern = Buffer.concat(
  Array.from({ length: 32768 }, (_, number) => createHash("sha256").update(`${number}`).digest()),
);
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

/** What the guest has to say. */
const expected: Readonly<Record<string, string>> = {
  edu: "0x010000ED",
  "5!": "0x00000078",
  blocks: String(BLOCKS),
  read: `${md5(pattern)}  -`,
  before: `${md5(Buffer.alloc(3 << 16))}  -`,
  interrupts: "2",
};

function judged({ status, stdout, stderr }: Ran): Verdict {
  const faults = Object.entries(expected).flatMap(([name, words]) => {
    const said = stdout.split(/\r?\n/).find((line) => line.startsWith(`${name}: `));
    return said === `${name}: ${words}` ? [] : [`${said ?? `${name}: nothing`}, and not ${words}`];
  });
  if (status !== 0 || faults.length > 0) faults.push(`exit ${status}: ${stderr}${stdout.slice(-4096)}`);
  const cases = Object.keys(expected).length;
  return { cases, words: faults.length === 0 ? `${cases} passed` : "failed", known: [], faults };
}

export const qemu: Judge = {
  name: "QEMU",
  needs: shopNeeds,
  async build(folder, say) {
    const kernel = await kernelOf(shopOf(say), "amd64", { fresh: false });
    const own = cpio([program("init", readFileSync(init)), file("pattern", pattern)]);
    symlinkSync(kernel.path, join(folder, "kernel"));
    writeFileSync(join(folder, "initrd"), Buffer.concat([readFileSync(kernel.layer), own]));
    const { stdout } = spawnSync("qemu-system-x86_64", ["--version"], { encoding: "utf8" });
    const version = /version (.*)/.exec(stdout)?.[1] ?? stdout.trim();
    return `${version}, with ${kernel.origin.package} ${kernel.origin.version}`;
  },
  cases: [
    {
      name: "a guest's disk, and registers",
      platform: "type1",
      words: [
        ...["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256"],
        ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"],
        ...["-kernel", "kernel", "-initrd", "initrd"],
        ...["-append", "console=ttyS0 panic=-1 quiet no_timer_check nowatchdog iomem=relaxed"],
        ...["-device", "vfio-pci,host=0000:00:1a.0", "-device", "vfio-pci,host=0000:00:1b.0"],
      ],
      devices: [
        { kind: "nvme", group: 26, address: "0000:00:1a.0", blocks: BLOCKS },
        { kind: "edu", group: 27, address: "0000:00:1b.0" },
      ],
      known: [],
      judge: judged,
    },
  ],
  explanations: [
    {
      kind: "never-unmapped",
      why: "QEMU ends with its guest's memory mapped, whichever way it ends (seen of 7.2.22: a guest that turns itself off, and isa-debug-exit)",
    },
  ],
};
