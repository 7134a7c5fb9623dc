// @ts-check
import { Nvm } from "./commands.mjs";
import { NvmeError } from "./errors.mjs";

/** @typedef {import("./controller.mjs").Controller} Controller */

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

  /** @param {Controller} controller @param {import("./identify.mjs").NamespaceFacts} facts */
  constructor(controller, { id, blocks, blockBytes, problem }) {
    this.#controller = controller;
    this.id = id;
    this.blocks = blocks;
    this.blockBytes = blockBytes;
    this.problem = problem;
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
    this.#check(lba, into);
    await this.#controller.transfer(this, Nvm.READ, lba, into, fill);
  }

  /**
   * Writes blocks. Fulfilled when the controller has them, which may keep them in a cache: {@link flush} makes them last.
   * `from` must stay as it is until then.
   *
   * @param {number} lba @param {Uint8Array} from Whole blocks.
   * @returns {Promise<void>}
   */
  async write(lba, from) {
    this.#check(lba, from);
    await this.#controller.transfer(this, Nvm.WRITE, lba, from);
  }

  /** Fulfilled when all that was written before, and answered, outlives a loss of power. */
  async flush() {
    this.#checkUsable();
    await this.#controller.transfer(this, Nvm.FLUSH, 0, new Uint8Array(0));
  }

  #checkUsable() {
    if (this.problem === undefined) return;
    throw new NvmeError("ERR_NVME_NAMESPACE", `namespace ${this.id} cannot be read and written: ${this.problem}`);
  }

  /** @param {number} lba @param {Uint8Array} data */
  #check(lba, data) {
    this.#checkUsable();
    if (!Number.isSafeInteger(lba) || lba < 0) {
      throw new NvmeError(
        "ERR_NVME_RANGE",
        `lba must be a whole number from 0 to ${this.blocks - 1}; got ${String(lba)}`,
      );
    }
    if (!(data instanceof Uint8Array) || data.length === 0 || data.length % this.blockBytes !== 0) {
      const got = data instanceof Uint8Array ? `${data.length} bytes` : String(data);
      throw new NvmeError(
        "ERR_NVME_RANGE",
        `data must be a Uint8Array of whole blocks of ${this.blockBytes} bytes; got ${got}`,
      );
    }
    const blocks = data.length / this.blockBytes;
    if (blocks <= this.blocks - lba) return;
    throw new NvmeError(
      "ERR_NVME_RANGE",
      `${blocks} blocks from LBA ${lba} on reach behind the namespace's end: it has ${this.blocks} blocks`,
      { facts: { lba, blocks, has: this.blocks } },
    );
  }
}
