// @ts-check
/**
 * The registers of an NVMe controller, at the beginning of BAR 0 (NVMe 1.4, section 3.1). All are little-endian.
 *
 *     0x00 CAP   what it can       0x14 CC   what we want        0x24 AQA  sizes of the admin queues
 *     0x08 VS    its version       0x1c CSTS how it is           0x28 ASQ  where the admin submission queue is
 *     0x0c INTMS, 0x10 INTMC: masks of interrupts, not with MSI-X          0x30 ACQ  where the admin completion queue is
 *     0x1000 and behind: doorbells, two for each pair of queues, 4 << CAP.DSTRD bytes apart; only written, never read
 */
import { NvmeError } from "./errors.mjs";

/** @typedef {import("./types.d.ts").Registers32} Registers32 */

export const REGISTERS = /** @type {const} */ ({
  CAP: { offset: 0x00, bytes: 8, access: "read" },
  VS: { offset: 0x08, bytes: 4, access: "read" },
  INTMS: { offset: 0x0c, bytes: 4, access: "both" },
  INTMC: { offset: 0x10, bytes: 4, access: "both" },
  CC: { offset: 0x14, bytes: 4, access: "both" },
  CSTS: { offset: 0x1c, bytes: 4, access: "both" },
  NSSR: { offset: 0x20, bytes: 4, access: "both" },
  AQA: { offset: 0x24, bytes: 4, access: "both" },
  ASQ: { offset: 0x28, bytes: 8, access: "both" },
  ACQ: { offset: 0x30, bytes: 8, access: "both" },
});

const DOORBELLS = 0x1000;

/** @typedef {typeof REGISTERS} Table */
/** @typedef {{ [Name in keyof Table]: Table[Name]["bytes"] extends 4 ? Name : never }[keyof Table]} Narrow */
/** @typedef {{ [Name in Narrow]: Table[Name]["access"] extends "both" ? Name : never }[Narrow]} Writable */
/** @typedef {"ASQ" | "ACQ"} WritableWide */

/** Bits of CC. */
export const CC = /** @type {const} */ ({
  ENABLE: 1,
  MPS_SHIFT: 7,
  SHUTDOWN_MASK: 3 << 14,
  SHUTDOWN_NORMAL: 1 << 14,
  /** Entries of 2^6 and 2^4 bytes: the only sizes of the NVM command set. */
  ENTRY_SIZES: (6 << 16) | (4 << 20),
});

/** Bits of CSTS. */
export const CSTS = /** @type {const} */ ({ READY: 1, FATAL: 2, SHUTDOWN_MASK: 3 << 2, SHUTDOWN_DONE: 2 << 2 });

/** What a register reads as where no device answers. */
const NOBODY = 0xffff_ffff;

/**
 * What CAP says.
 *
 * @typedef {object} Capabilities
 * @property {number} entriesMax Entries of an I/O queue (MQES, which is one less).
 * @property {number} timeoutMs How long it may take to become ready, or not ready (TO, in units of 500 ms).
 * @property {number} doorbellStride Bytes from one doorbell to the next (4 << DSTRD).
 * @property {boolean} hasNvm It has the NVM command set: reads and writes of blocks (CSS).
 * @property {number} pageShiftMin log2 of the smallest page that it can be told to use (12 + MPSMIN).
 * @property {number} pageShiftMax log2 of the largest.
 */

/** The registers by name, each access checked by its type: one that is 8 bytes wide, or is not to be written, does not compile. */
export class ControllerRegisters {
  #bar;

  /** @param {Registers32} bar */
  constructor(bar) {
    this.#bar = bar;
  }

  /** @param {Narrow} name @returns {number} */
  read(name) {
    return this.#bar.read32(REGISTERS[name].offset);
  }

  /** @param {Writable} name @param {number} value */
  write(name, value) {
    this.#bar.write32(REGISTERS[name].offset, value >>> 0);
  }

  /**
   * Two accesses of 32 bits, the low half first: every controller takes those, some no others (NVMe 1.4, 3.1: "dwords").
   *
   * @param {WritableWide} name @param {bigint} value
   */
  writeWide(name, value) {
    this.#bar.write32(REGISTERS[name].offset, Number(value & 0xffff_ffffn));
    this.#bar.write32(REGISTERS[name].offset + 4, Number(value >> 32n));
  }

  /** CSTS. @throws `ERR_NVME_GONE` where nobody answers. */
  status() {
    const status = this.read("CSTS");
    if (status !== NOBODY) return status;
    throw new NvmeError(
      "ERR_NVME_GONE",
      "the controller does not answer: CSTS reads 0xffffffff. It was unplugged, or has no power",
    );
  }

  /** @returns {Capabilities} */
  capabilities() {
    const low = this.#bar.read32(REGISTERS.CAP.offset);
    const high = this.#bar.read32(REGISTERS.CAP.offset + 4);
    if (low === NOBODY && high === NOBODY) this.status();
    return {
      entriesMax: (low & 0xffff) + 1,
      timeoutMs: Math.max(low >>> 24, 1) * 500,
      doorbellStride: 4 << (high & 0xf),
      hasNvm: ((high >>> 5) & 1) === 1,
      pageShiftMin: 12 + ((high >>> 16) & 0xf),
      pageShiftMax: 12 + ((high >>> 20) & 0xf),
    };
  }
}

/** How many pairs of I/O queues have their doorbells in a BAR of `bytes` bytes; -1: not even the admin queues. @param {number} bytes @param {number} stride */
export const queuesIn = (bytes, stride) => Math.max(Math.floor((bytes - DOORBELLS) / (2 * stride)), 0) - 1;

/**
 * What a controller says of itself may be nonsense, of one that is half dead or not what it seems.
 *
 * @param {Capabilities} can @param {number} queuesMost Of {@link queuesIn}. @throws `ERR_NVME_UNSUPPORTED`
 */
export function checkSupported({ hasNvm, entriesMax, pageShiftMin, pageShiftMax, doorbellStride }, queuesMost) {
  const refuse = (/** @type {string} */ why) => {
    throw new NvmeError("ERR_NVME_UNSUPPORTED", `the controller ${why}`);
  };
  if (!hasNvm) refuse("has no NVM command set: it has no blocks to read");
  if (entriesMax < 2) refuse("has queues of one entry (CAP.MQES is 0), which hold no command");
  if (pageShiftMax < pageShiftMin) {
    refuse(`has pages of 2^${pageShiftMin} bytes at least (CAP.MPSMIN), and of 2^${pageShiftMax} at most (CAP.MPSMAX)`);
  }
  if (queuesMost < 1) {
    refuse(`has doorbells ${doorbellStride} bytes apart (CAP.DSTRD): BAR 0 ends before those of a queue for I/O`);
  }
}

/** Where the tail of submission queue `id` is written to. @param {number} id @param {number} stride */
export const submissionDoorbell = (id, stride) => DOORBELLS + 2 * id * stride;

/** Where the head of completion queue `id` is written to. @param {number} id @param {number} stride */
export const completionDoorbell = (id, stride) => DOORBELLS + (2 * id + 1) * stride;
