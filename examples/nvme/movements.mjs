// @ts-check
/**
 * Where the data of a transfer is: in the program's own memory, and copied through buffers that the controller reaches; or in memory that it
 * reaches itself.
 *
 * @typedef {object} Movement
 * @property {number} length Bytes in all.
 * @property {(blockBytes: number) => number} most Bytes of one command at most: whole blocks.
 * @property {(offset: number, length: number) => Piece | undefined} take Memory for a part; undefined where there is none just now.
 */

/**
 * A part's memory.
 *
 * @typedef {object} Piece
 * @property {(queue: QueuePair, owner: CommandOwner, opcode: number, nsid: number, lba: number, blocks: number) => void} put There is room.
 * @property {(isRead: boolean) => void} end The controller is done with it; `isRead`: and has filled it.
 */
import { describe, listBytes, pagesOf } from "./prp.mjs";

/** @typedef {import("./queue.mjs").QueuePair} QueuePair */
/** @typedef {import("./types.d.ts").CommandOwner} CommandOwner */
/** @typedef {import("./prp.mjs").IoBuffers} IoBuffers */
/** @typedef {import("dma-window").DmaHeap} DmaHeap */
/** @typedef {{ readonly iova: bigint, readonly length: number }} DeviceMemory What a DmaBuffer has. */

/** A command has room for 16 bits of blocks, less one. */
const BLOCKS_MAX = 65536;

/** @implements {Movement} */
export class Copied {
  #buffers;
  #data;
  #isWrite;
  #fill;

  /** @param {IoBuffers} buffers @param {Uint8Array} data @param {boolean} isWrite @param {number} [fill] What is in a buffer before a read. */
  constructor(buffers, data, isWrite, fill) {
    this.#buffers = buffers;
    this.#data = data;
    this.#isWrite = isWrite;
    this.#fill = fill;
  }

  get length() {
    return this.#data.length;
  }

  /** @param {number} blockBytes */
  most(blockBytes) {
    return wholeBlocks(this.#buffers.bytes, blockBytes);
  }

  /** @param {number} offset @param {number} length @returns {Piece | undefined} */
  take(offset, length) {
    const { pool, prps, pageShift } = this.#buffers;
    const handle = pool.tryGet();
    if (handle < 0) return undefined;
    const data = this.#data.subarray(offset, offset + length);
    try {
      if (this.#isWrite) pool.write(handle, 0, data);
      else if (this.#fill !== undefined) pool.bytes(handle).fill(this.#fill, 0, length);
    } catch (error) {
      pool.put(handle);
      throw error;
    }
    const pages = pagesOf(0, length, 2 ** pageShift);
    return {
      put(queue, owner, opcode, nsid, lba, blocks) {
        queue.putBlocks(owner, 0, opcode, nsid, lba, blocks, prps, pool.slot(handle), pages);
      },
      end(isRead) {
        try {
          if (isRead) pool.read(handle, 0, data);
        } finally {
          pool.put(handle);
        }
      },
    };
  }
}

/**
 * Memory that the controller reaches, at any multiple of 4, and as one piece of IOVAs: a DmaBuffer, a part of one, or what a program
 * has mapped itself. Nothing is copied; a list of pages is written for each command.
 *
 * @implements {Movement}
 */
export class Direct {
  #heap;
  #memory;
  #pageBytes;
  #most;

  /** @param {DmaHeap} heap For lists. @param {DeviceMemory} memory @param {number} pageBytes @param {number} most Bytes of a command. */
  constructor(heap, memory, pageBytes, most) {
    this.#heap = heap;
    this.#memory = memory;
    this.#pageBytes = pageBytes;
    this.#most = most;
  }

  get length() {
    return this.#memory.length;
  }

  /** @param {number} blockBytes */
  most(blockBytes) {
    return wholeBlocks(this.#most, blockBytes);
  }

  /** @param {number} offset @param {number} length @returns {Piece} */
  take(offset, length) {
    const iova = this.#memory.iova + BigInt(offset);
    const list = this.#listFor(pagesOf(Number(iova % BigInt(this.#pageBytes)), length, this.#pageBytes));
    const { prp1, prp2 } = describe(iova, length, this.#pageBytes, list);
    return {
      put(queue, owner, opcode, nsid, lba, blocks) {
        const words = [lba % 2 ** 32, Math.floor(lba / 2 ** 32), blocks - 1];
        queue.put(owner, 0, { opcode, nsid, prp1, prp2, words });
      },
      end() {
        list?.close();
      },
    };
  }

  /** @param {number} pages */
  #listFor(pages) {
    const bytes = listBytes(pages, this.#pageBytes);
    if (bytes === 0) return undefined;
    const isLong = bytes > this.#pageBytes;
    const place = isLong ? { align: this.#pageBytes } : { boundary: this.#pageBytes };
    const buffer = this.#heap.buffer(bytes, place);
    const words = new BigUint64Array(buffer.bytes.buffer, buffer.bytes.byteOffset, bytes / 8);
    return { words, iova: buffer.iova, close: () => buffer.close() };
  }
}

/** @param {number} bytes @param {number} blockBytes */
function wholeBlocks(bytes, blockBytes) {
  return Math.min(bytes - (bytes % blockBytes), BLOCKS_MAX * blockBytes);
}
