/** Ways to break the driver of examples/nvme. */
import type { Mutant } from "./mutants.ts";

const queue = "test/nvme/queue.test.ts";
const driver = "test/nvme/driver.test.ts";
const reset = "test/nvme/reset.test.ts";

export const nvmeMutants: readonly Mutant[] = [
  {
    broken: "an NVMe controller is switched on without bus mastering",
    file: "examples/nvme/power.mjs",
    from: "  device.busMaster = true;\n",
    to: "",
    noticedBy: driver,
  },
  {
    broken: "bus mastering is on before the controller knows its queues",
    file: "examples/nvme/power.mjs",
    from: '  registers.write("AQA"',
    to: '  device.busMaster = true;\n  registers.write("AQA"',
    noticedBy: reset,
  },
  {
    broken: "the doorbell is rung before the entry is written",
    file: "examples/nvme/queue.mjs",
    from: "    ring[at] = opcode | (this.#take(owner, tag) << 16);\n    ring[at + 1] = nsid;\n    ring[at + 2] = 0;",
    to: "    this.#bar.write32(this.#submissionDoorbell, (this.#tail + 1) % this.entries);\n    ring[at] = opcode | (this.#take(owner, tag) << 16);\n    ring[at + 1] = nsid;\n    ring[at + 2] = 0;",
    noticedBy: driver,
  },
  {
    broken: "the phase bit of a completion is ignored",
    file: "examples/nvme/queue.mjs",
    from: "if (((last >>> 16) & 1) !== this.#phase) break;",
    to: "if (last === 0) break;",
    noticedBy: queue,
  },
  {
    broken: "a completion of a command that was given up is taken for another's",
    file: "examples/nvme/queue.mjs",
    from: "this.#busy[place] !== 1 || this.#identifiers[place] !== identifier",
    to: "this.#busy[place] !== 1",
    noticedBy: queue,
  },
  {
    broken: "an entry that the controller has not fetched is written over",
    file: "examples/nvme/queue.mjs",
    from: "if (fetched < this.entries) this.#fetched = fetched;",
    to: "this.#fetched = this.#tail;",
    noticedBy: queue,
  },
  {
    broken: "one PRP page too few is described",
    file: "examples/nvme/prp.mjs",
    from: "Math.ceil((offset + bytes) / pageBytes);",
    to: "Math.max(Math.ceil((offset + bytes) / pageBytes) - 1, 1);",
    noticedBy: driver,
  },
  {
    broken: "a list of pages that goes on in another page does not lead there",
    file: "examples/nvme/prp.mjs",
    from: "if (isLastOfPage && entry < pages - 1) {",
    to: "if (isLastOfPage && entry < 0) {",
    noticedBy: driver,
  },
  {
    broken: "a read of which only some parts are there is taken for a whole one",
    file: "examples/nvme/transfers.mjs",
    from: "if (this.#underWay > 0 || !(",
    to: "if (!(",
    noticedBy: driver,
  },
  {
    broken: "the upper half of a queue's IOVA is dropped",
    file: "examples/nvme/registers.mjs",
    from: "Number(value >> 32n)",
    to: "0",
    noticedBy: driver,
  },
  {
    broken: "buffers of commands under way are used again before the controller has stopped",
    file: "examples/nvme/controller.mjs",
    from: "      await halt(this.#registers, this.#can, this.#device);\n    } finally {",
    to: "      await undefined;\n    } finally {",
    noticedBy: reset,
  },
  {
    broken: "a controller that does not stop keeps its bus mastering",
    file: "examples/nvme/power.mjs",
    from: "      device.busMaster = false;\n",
    to: "",
    noticedBy: reset,
  },
  {
    broken: "a ring may lie at IOVA 0",
    file: "examples/nvme/controller.mjs",
    from: "if (memory.iova !== 0n) return memory;",
    to: "if (memory.iova >= 0n) return memory;",
    noticedBy: reset,
  },
  {
    broken: "a status of 0 is believed where no data came",
    file: "examples/nvme/guards.mjs",
    from: "await namespace.read(lba, again, { fill: FILLS[1] });",
    to: "await namespace.read(lba, again, { fill: FILLS[0] });",
    noticedBy: "test/nvme/guards.test.ts",
  },
  {
    broken: "a file that ends early is taken for all blocks",
    file: "examples/nvme/cli.mjs",
    from: "if (bytes.length < wanted)",
    to: "if (bytes.length < 0)",
    noticedBy: "test/nvme/cli.test.ts",
  },
  {
    broken: "a command moves more than the controller takes where its page is larger",
    file: "examples/nvme/prp.mjs",
    from: "    this.bytes = Math.min(size, most);\n",
    to: "    this.bytes = size;\n",
    noticedBy: "test/nvme/lies.test.ts",
  },
  {
    broken: "a queue whose head is never reported is full for ever",
    file: "examples/nvme/queue.mjs",
    from: "    if (this.#freeCount === this.depth) return this.depth; // all was answered, so it was fetched, whatever sqhd says\n",
    to: "",
    noticedBy: "test/nvme/lies.test.ts",
  },
];
