/**
 * An NVMe controller in software: what a driver is tested on where there is no hardware.
 *
 *     registers.ts controller.ts    CAP to ACQ and the doorbells; enable, shutdown, reset, fatal status; when commands are carried out
 *     submission-queue.ts completion-queue.ts queues.ts interrupts.ts    rings in the host's memory, turns, phase bits, vectors
 *     command.ts status.ts host-memory.ts    an entry, what becomes of it, and its PRPs
 *     admin-commands.ts: identify.ts queue-commands.ts feature-commands.ts log-pages.ts events.ts
 *     io-commands.ts disk.ts
 *
 * Rules are those of the NVM Express Base Specification 1.4 (2019). Where it leaves something open, the answer is that of QEMU's
 * `nvme` as it was observed (7.2); where QEMU does otherwise than the specification, docs/model.md has a table.
 */
import { taken } from "../../../known.ts";
import type { ModelPciDevice } from "../plug.ts";
import { NvmeController } from "./controller.ts";
import { type NvmeOptions, nvmeSettings } from "./options.ts";

/**
 * A disk to plug into a model: an NVMe 1.4 controller that reads and writes the program's memory through the model's IOMMU, and
 * interrupts it.
 *
 *     const disk = new Uint8Array(16 << 20);
 *     const kernel = modelKernel({ platform: "type1", devices: [softwareNvme({ disk })] });
 *
 * It has Identify, I/O queues, features, log pages, Abort and asynchronous events; Read, Write, Flush, Compare, Write Zeroes and
 * Dataset Management; PRPs and lists of them. It has no SGLs, no metadata, no controller memory buffer and one format.
 *
 * - A DMA that the IOMMU stops, or that bus mastering being off stops, fails the command with status 0x4 (Data Transfer Error) where it is data's,
 *   and the controller (CSTS.CFS) where it is a queue's.
 * - A doorbell value that cannot be (outside of the queue, past what was completed, over entries that were not consumed) is fatal too.
 * - A device never writes outside of what a command's PRPs name, nor reads more of a list than it needs.
 *
 * Cost of a command: two or three transfers besides its data's. No object but the bigints of its addresses is made for a transfer of
 * whole pages of 4 KiB.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE`, TypeError `ERR_INVALID_ARG_TYPE`: with the option, and what would pass.
 */
export function softwareNvme(options: NvmeOptions = {}): ModelPciDevice {
  const settings = nvmeSettings(options);
  const place = taken(options, PLACE);
  return { ...place, facts: settings.facts, plug: (bus) => new NvmeController(settings, bus) };
}

const PLACE = ["group", "address", "driver"];
