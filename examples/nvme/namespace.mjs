// @ts-check
import { Nvm } from "./commands.mjs";
import { NvmeError } from "./errors.mjs";
import { Copied } from "./movements.mjs";

/** @typedef {import("./controller.mjs").Controller} Controller */
/** @typedef {import("./movements.mjs").DeviceMemory} DeviceMemory */

/**
 * A disk: blocks, numbered from 0. Made by a {@link Controller}, in its `namespaces`.
 *
 *     await namespace.read(0, bytes); // as many blocks as `bytes` has room for
 */
export class Namespace {
  id;
  blocks;
  blockBytes;
  /** Why it cannot be read and written; undefined where it can. */
  problem;
  #controller;

  /** @param {Controller} controller @param {import("./identify.mjs").NamespaceFacts} facts @param {number} most Bytes of a command. */
  constructor(controller, { id, blocks, blockBytes, problem }, most) {
    this.#controller = controller;
    this.id = id;
    this.blocks = blocks;
    this.blockBytes = blockBytes;
    const isTooLarge = blockBytes > most;
    this.problem =
      problem ?? (isTooLarge ? `its blocks have ${blockBytes} bytes, more than the ${most} of one command` : undefined);
  }

  /**
   * Reads blocks, copied into `into`, of any number. The promise is fulfilled when all of them are there, and rejected when every command for
   * them has ended and one has failed; what `into` holds then is not known.
   *
   * A controller may answer a read with status 0 and have moved nothing: some do when the IOMMU refused the address. `fill` makes that seen:
   * each buffer is filled with this byte before the device gets it, so of two reads with different bytes the answers differ
   * where it wrote nothing.
   *
   * @param {number} lba @param {Uint8Array} into Whole blocks. @param {{ fill?: number }} [options]
   * @returns {Promise<void>}
   */
  async read(lba, into, { fill } = {}) {
    this.#check(lba, bytesIn(into));
    await this.#run(Nvm.READ, lba, new Copied(this.#controller.buffers, into, false, fill));
  }

  /**
   * Writes blocks. Fulfilled when the controller has them, which may keep them in a cache: {@link flush} makes them last.
   * `from` must stay as it is until then.
   *
   * @param {number} lba @param {Uint8Array} from Whole blocks.
   * @returns {Promise<void>}
   */
  async write(lba, from) {
    this.#check(lba, bytesIn(from));
    await this.#run(Nvm.WRITE, lba, new Copied(this.#controller.buffers, from, true));
  }

  /**
   * Reads blocks into memory that the controller reaches, without a copy: a DmaBuffer, or any piece of IOVAs. It must stay until the promise is
   * settled.
   *
   * @param {number} lba @param {DeviceMemory} memory At a multiple of 4; whole blocks.
   * @returns {Promise<void>}
   */
  async readDirect(lba, memory) {
    this.#check(lba, lengthOf(memory));
    await this.#run(Nvm.READ, lba, this.#controller.direct(memory));
  }

  /** Writes blocks out of such memory. @param {number} lba @param {DeviceMemory} memory @returns {Promise<void>} */
  async writeDirect(lba, memory) {
    this.#check(lba, lengthOf(memory));
    await this.#run(Nvm.WRITE, lba, this.#controller.direct(memory));
  }

  /** Fulfilled when all that was written before, and answered, outlives a loss of power. */
  async flush() {
    this.#checkUsable();
    await this.#run(Nvm.FLUSH, 0, undefined);
  }

  /** @param {number} opcode @param {number} lba @param {import("./movements.mjs").Movement | undefined} movement */
  #run(opcode, lba, movement) {
    return this.#controller.transfer({ target: this, opcode, lba, movement });
  }

  #checkUsable() {
    if (this.problem === undefined) return;
    throw new NvmeError("ERR_NVME_NAMESPACE", `namespace ${this.id} cannot be read and written: ${this.problem}`);
  }

  /** @param {number} lba @param {number} bytes */
  #check(lba, bytes) {
    this.#checkUsable();
    if (!Number.isSafeInteger(lba) || lba < 0) {
      throw refused(`lba must be a whole number from 0 to ${this.blocks - 1}; got ${String(lba)}`);
    }
    if (bytes === 0 || bytes % this.blockBytes !== 0) {
      throw refused(`data must be whole blocks of ${this.blockBytes} bytes, one at least; it has ${bytes} bytes`);
    }
    const blocks = bytes / this.blockBytes;
    if (blocks <= this.blocks - lba) return;
    const what = blocks === 1 ? `a block at LBA ${lba} is` : `${blocks} blocks from LBA ${lba} on are`;
    throw refused(`${what} behind the namespace's end: it has ${this.blocks} blocks`, {
      lba,
      blocks,
      has: this.blocks,
    });
  }
}

/** @param {string} message @param {Record<string, unknown>} [facts] */
const refused = (message, facts = {}) => new NvmeError("ERR_NVME_RANGE", message, { facts });

/** @param {Uint8Array} data */
function bytesIn(data) {
  if (data instanceof Uint8Array) return data.length;
  throw refused(`data must be a Uint8Array; got ${String(data)}`);
}

/** @param {DeviceMemory} memory */
function lengthOf({ iova, length }) {
  if (typeof iova !== "bigint" || !Number.isSafeInteger(length) || length < 0) {
    throw refused(`memory must have an iova (a bigint) and a length in bytes; got ${String(iova)}, ${String(length)}`);
  }
  if (iova % 4n === 0n && iova >= 0n && iova + BigInt(length) <= 1n << 64n) return length;
  throw refused(
    `${length} bytes at IOVA 0x${iova.toString(16)}: they must begin at a multiple of 4, and end within 64 bits`,
  );
}
