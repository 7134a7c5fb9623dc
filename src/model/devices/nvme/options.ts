import { argumentRangeError, argumentTypeError } from "../../../errors.ts";
import { keysOf, known } from "../../../known.ts";
import { isPowerOfTwo } from "../../../power-of-two.ts";
import { isBytes } from "../../../typed-arrays.ts";
import { count, object } from "../../../validate.ts";
import type { ModelPciDevice, PluggedFacts } from "../plug.ts";
import { Disk } from "./disk.ts";
import { Namespace } from "./namespace.ts";
import { LEAST_PAGE, Register } from "./registers.ts";

/** What a namespace keeps. */
export interface NvmeNamespaceOptions {
  /**
   * Its bytes: a Uint8Array, which the device reads and writes from then on, so that a test sees what is on the disk; or how many
   * there are, all zeros, which exist once they are written. By default 32768 blocks.
   */
  readonly disk?: Uint8Array | { readonly blocks: number; readonly blockBytes?: 512 | 4096 };
  /** The same as `disk: { blocks }`. Up to 2^53 bytes in all. */
  readonly blocks?: number;
  /** Bytes of a block: 512 by default. */
  readonly blockBytes?: 512 | 4096;
}

/** A command, for whoever lets it fail. */
export interface NvmeCommand {
  /** The submission queue: 0 is the admin queue. */
  readonly queue: number;
  /** As the submission queue's entry has them; `dwords` are its words 10 to 13. */
  readonly opcode: number;
  readonly id: number;
  readonly namespace: number;
  readonly dwords: readonly [number, number, number, number];
}

/**
 * What becomes of a command instead:
 *
 * - a number: it completes with that status, without the phase bit (0x4080: LBA out of range, do not retry), and does nothing;
 * - `"lost"`: it never completes, until it is aborted, its queue is deleted, or the controller is reset;
 * - `"fatal"`: the controller stops, with CSTS.CFS.
 */
export type NvmeFault = number | "lost" | "fatal";

/** What {@link softwareNvme} can be asked for. */
export interface NvmeOptions extends NvmeNamespaceOptions {
  /**
   * How many namespaces, each of its own bytes, and of the kind that `blocks` and `blockBytes` say; or one for each NSID from 1 on, with
   * `undefined` for those that are not there. One by default, at most 1024.
   */
  readonly namespaces?: number | readonly (NvmeNamespaceOptions | undefined)[];
  /** ASCII, up to 20 characters: "1" by default. Ids of namespaces are made of it. */
  readonly serial?: string;
  /** ASCII, up to 40 characters: "dma-window model" by default. */
  readonly model?: string;
  /** The most I/O queues of each kind: 1 to 65535, 64 by default. */
  readonly queues?: number;
  /** MSI-X vectors: 1 to 2048, 65 by default. */
  readonly vectors?: number;
  /** Bytes from one doorbell to the next: a power of two from 4 (the default) to 4096. CAP.DSTRD is made of it. */
  readonly doorbellStride?: number;
  /** The most that one command moves: 2^mdts pages of 4 KiB. 7 (512 KiB) by default; 0: no limit. */
  readonly mdts?: number;
  /** Entries of the largest queue: 2 to 65536, 2048 by default. */
  readonly maxQueueEntries?: number;
  /**
   * When commands are carried out, and registers follow:
   *
   * - `"now"` (the default): in the very write of the doorbell, so that a program that polls needs no event loop;
   * - `"later"`: in a later turn of the event loop, in the order in which they are fetched;
   * - `{ seed }`: some in each turn, in an order that the seed decides, and data before its completion. What a device may do.
   */
  readonly completions?: "now" | "later" | { readonly seed: number };
  /** Asked for each command that is fetched; `undefined`: it is carried out. */
  readonly faults?: (command: NvmeCommand) => NvmeFault | undefined;
  /** Where it is plugged in, and who has it when the machine has booted: as {@link ModelPciDevice} has them. */
  readonly group?: number;
  readonly address?: string;
  readonly driver?: string;
}

/** The options, checked and complete. */
export interface NvmeSettings {
  readonly facts: PluggedFacts;
  readonly vendor: number;
  readonly subsystemVendor: number;
  /** By NSID. */
  readonly namespaces: readonly (Namespace | undefined)[];
  readonly serial: string;
  readonly model: string;
  readonly firmware: string;
  readonly queues: number;
  readonly vectors: number;
  /** CAP.DSTRD: doorbells are 4 << strideShift bytes apart. */
  readonly strideShift: number;
  readonly mdts: number;
  readonly maxQueueEntries: number;
  readonly completions: "now" | "later" | { readonly seed: number };
  readonly faults: ((command: NvmeCommand) => NvmeFault | undefined) | undefined;
}

const NAMESPACE = { disk: true, blocks: true, blockBytes: true } as const;
const NAMESPACE_KEYS = keysOf<NvmeNamespaceOptions>(NAMESPACE);
const DISK_KEYS = keysOf<{ blocks: number; blockBytes?: number }>({ blocks: true, blockBytes: true });
const SEED_KEYS = keysOf<{ seed: number }>({ seed: true });
const KEYS = keysOf<NvmeOptions>({
  ...NAMESPACE,
  namespaces: true,
  serial: true,
  model: true,
  queues: true,
  vectors: true,
  doorbellStride: true,
  mdts: true,
  maxQueueEntries: true,
  completions: true,
  faults: true,
  group: true,
  address: true,
  driver: true,
});

/** QEMU's own: what its `nvme` is found by. */
const VENDOR = 0x1b36;
const DEVICE = 0x0010;
const SUBSYSTEM_VENDOR = 0x1af4;
const SUBSYSTEM_DEVICE = 0x1100;
const NVME_CLASS = 0x010802;
const REVISION = 2;

const USUAL_BLOCKS = 32768;
const NAMESPACES_MAX = 1024;
const MSIX_ENTRY_BYTES = 16;

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function nvmeSettings(options: NvmeOptions): NvmeSettings {
  known("options", object("options", options), KEYS);
  const { serial = "1", model = "dma-window model", completions = "now", faults } = options;
  const queues = within("queues", options.queues ?? 64, 1, 65535);
  const vectors = within("vectors", options.vectors ?? 65, 1, 2048);
  const maxQueueEntries = within("maxQueueEntries", options.maxQueueEntries ?? 2048, 2, 65536);
  const mdts = within("mdts", options.mdts ?? 7, 0, 31);
  const stride = within("doorbellStride", options.doorbellStride ?? 4, 4, 4096);
  if (!isPowerOfTwo(stride)) {
    throw argumentRangeError("doorbellStride", "a power of two from 4 to 4096 bytes", stride);
  }
  if (faults !== undefined && typeof faults !== "function") throw argumentTypeError("faults", "a function", faults);
  return {
    facts: factsFor(queues, vectors, stride),
    vendor: VENDOR,
    subsystemVendor: SUBSYSTEM_VENDOR,
    namespaces: namespacesFrom(options),
    serial: ascii("serial", serial, 20),
    model: ascii("model", model, 40),
    firmware: "1.0",
    queues,
    vectors,
    strideShift: Math.log2(stride / 4),
    mdts,
    maxQueueEntries,
    completions: completionsFrom(completions),
    faults,
  };
}

/** Doorbells, the MSI-X table and its pending bits, each from a page of 4 KiB on. With the usual numbers: 0x2000, 0x3000, 16 KiB. */
function factsFor(queues: number, vectors: number, stride: number): PluggedFacts {
  const pages = (bytes: number) => Math.ceil(bytes / LEAST_PAGE) * LEAST_PAGE;
  const table = pages(Register.DOORBELLS + 2 * (queues + 1) * stride);
  const pending = table + pages(vectors * MSIX_ENTRY_BYTES);
  const bytes = 2 ** Math.ceil(Math.log2(pending + pages(Math.ceil(vectors / 64) * 8)));
  return {
    vendor: VENDOR,
    device: DEVICE,
    class: NVME_CLASS,
    revision: REVISION,
    subsystemVendor: SUBSYSTEM_VENDOR,
    subsystemDevice: SUBSYSTEM_DEVICE,
    bars: [{ index: 0, bytes, bits: 64 }],
    msix: { vectors, bar: 0, table, pending },
    intx: true,
    flr: true,
  };
}

function within(name: string, value: number, least: number, most: number): number {
  if (count(name, value) < least || value > most) throw argumentRangeError(name, `from ${least} to ${most}`, value);
  return value;
}

function ascii(name: string, value: string, length: number): string {
  if (typeof value !== "string") throw argumentTypeError(name, "a string", value);
  if (value.length > length || !/^[\x20-\x7e]*$/.test(value)) {
    throw argumentRangeError(name, `up to ${length} characters of ASCII`, value);
  }
  return value;
}

function completionsFrom(completions: NonNullable<NvmeOptions["completions"]>): NvmeSettings["completions"] {
  if (completions === "now" || completions === "later") return completions;
  if (typeof completions !== "object" || completions === null) {
    throw argumentRangeError("completions", '"now", "later" or { seed }', completions);
  }
  known("completions", completions, SEED_KEYS);
  return { seed: count("completions.seed", completions.seed) };
}

function namespacesFrom(options: NvmeOptions): (Namespace | undefined)[] {
  const { namespaces = 1, disk, blocks, blockBytes } = options;
  const given = disk !== undefined || blocks !== undefined || blockBytes !== undefined;
  if (typeof namespaces === "number") {
    within("namespaces", namespaces, 0, NAMESPACES_MAX);
    if (namespaces > 1 && isBytes(disk)) {
      throw argumentRangeError(
        "namespaces",
        "1, or an array, with a disk of bytes: each has bytes of its own",
        namespaces,
      );
    }
    return [undefined, ...Array.from({ length: namespaces }, (_, at) => namespaceFrom("options", at + 1, options))];
  }
  if (!Array.isArray(namespaces)) throw argumentTypeError("namespaces", "a number or an array", namespaces);
  if (namespaces.length > NAMESPACES_MAX) {
    throw argumentRangeError("namespaces", `up to ${NAMESPACES_MAX}`, `${namespaces.length}`);
  }
  if (given) throw argumentRangeError("namespaces", "a number with disk, blocks or blockBytes", "an array");
  return [
    undefined,
    ...Array.from(namespaces as (NvmeNamespaceOptions | undefined)[], (one, at) => {
      if (one === undefined) return undefined;
      const name = `namespaces[${at}]`;
      known(name, object(name, one), NAMESPACE_KEYS);
      return namespaceFrom(name, at + 1, one);
    }),
  ];
}

function namespaceFrom(name: string, id: number, options: NvmeNamespaceOptions): Namespace {
  const { disk } = options;
  if (disk !== undefined && options.blocks !== undefined) {
    throw argumentRangeError(`${name}.blocks`, "left out with disk, which says it", options.blocks);
  }
  if (isBytes(disk)) {
    const blockBytes = blockBytesFrom(`${name}.blockBytes`, options.blockBytes);
    if (disk.length === 0 || disk.length % blockBytes !== 0) {
      throw argumentRangeError(
        `${name}.disk`,
        `whole blocks of ${blockBytes} bytes, one or more`,
        `${disk.length} bytes`,
      );
    }
    return new Namespace(id, new Disk(disk), blockBytes);
  }
  if (disk !== undefined) known(`${name}.disk`, object(`${name}.disk`, disk), DISK_KEYS);
  if (disk?.blockBytes !== undefined && options.blockBytes !== undefined && disk.blockBytes !== options.blockBytes) {
    throw argumentRangeError(`${name}.blockBytes`, `left out, or ${disk.blockBytes} as disk says`, options.blockBytes);
  }
  const blockBytes = blockBytesFrom(`${name}.blockBytes`, disk?.blockBytes ?? options.blockBytes);
  const blocks = disk === undefined ? (options.blocks ?? USUAL_BLOCKS) : disk.blocks;
  within(`${name}.blocks`, blocks, 1, 2 ** 53 / blockBytes - 1);
  return new Namespace(id, new Disk(blocks * blockBytes), blockBytes);
}

function blockBytesFrom(name: string, value: number | undefined): number {
  if (value === undefined) return 512;
  if (value !== 512 && value !== 4096) throw argumentRangeError(name, "512 or 4096", value);
  return value;
}
