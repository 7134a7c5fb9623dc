/** The library's devices, and the NVMe driver of examples/nvme, on this machine's controller and disk. */
import { eduInterrupts, twoDevices } from "./edu-interrupts.ts";
import { commandLine } from "./nvme-command.ts";
import { data, resetUnderLoad, vectors } from "./nvme-data.ts";
import { nvmeEnds } from "./nvme-ends.ts";
import { nvmeFlight } from "./nvme-flight.ts";
import { handOver } from "./nvme-handover.ts";
import { registers } from "./nvme-registers.ts";
import { say } from "./say.ts";
import { Site } from "./site.ts";

export async function nvme(): Promise<void> {
  const site = new Site();
  for (const chapter of [
    vectors,
    registers,
    data,
    resetUnderLoad,
    eduInterrupts,
    twoDevices,
    commandLine,
    nvmeFlight,
    nvmeEnds,
    handOver,
  ]) {
    const began = Date.now();
    await chapter(site);
    say(`${chapter.name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  site.reportLeaks();
}
