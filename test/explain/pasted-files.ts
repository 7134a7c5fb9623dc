/** The files that commands in docs/explain.md read. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { modelKernel } from "../../src/model/index.ts";
import { Tape } from "../trace/tape.ts";

const GiB = 1n << 30n;

const log = [
  "EAL: Detected 16 lcore(s)",
  "EAL:   cannot set up DMA remapping, error 12 (Cannot allocate memory)",
  "EAL: 0000:44:00.3 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound",
  "EAL: 0000:44:00.2 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound",
];

/** A small program that maps too much, in `folder`. */
export function writeFiles(folder: string): void {
  const tape = new Tape(modelKernel({ platform: "powernv" })).start(["/dev/vfio/26"]);
  const va = tape.mmap(2);
  tape.register(va, 8192n);
  tape.create(12, GiB);
  tape.create(40, GiB);
  tape.register(va + 1n, 8192n);
  writeFileSync(join(folder, "run.jsonl"), tape.lines.map((line) => `${line}\n`).join(""));
  writeFileSync(join(folder, "app.log"), log.map((line) => `${line}\n`).join(""));
}
