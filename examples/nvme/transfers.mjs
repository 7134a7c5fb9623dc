// @ts-check
/**
 * Reads and writes of any length as promises, over queues that know commands alone.
 *
 *     read(lba, 1 MiB) -> Transfer: | 128 KiB | 128 KiB | ... |      a command and a buffer for each part, on whichever queue has room
 *
 * A part goes out when there is a buffer and room; what has to wait, waits in order. All parts that are put in one turn of the event
 * loop are told to the controller by one doorbell for each queue.
 */
import { Nvm, statusError } from "./commands.mjs";

/** @typedef {import("./queue.mjs").QueuePair} QueuePair */
/** @typedef {import("./prp.mjs").IoBuffers} IoBuffers */
/** @typedef {{ readonly id: number, readonly blockBytes: number }} Target */

export class Transfers {
  queues;
  buffers;
  #started;
  #broken;
  /** @type {Transfer[]} */
  #waiting = [];
  #next = 0;
  #isScheduled = false;

  /**
   * @param {readonly QueuePair[]} queues @param {IoBuffers} buffers
   * @param {() => void} started Called when something was put: completions are to be expected.
   * @param {(error: unknown) => void} broken Called with what a doorbell threw: who put the commands is not there any more.
   */
  constructor(queues, buffers, started, broken) {
    this.queues = queues;
    this.buffers = buffers;
    this.#started = started;
    this.#broken = broken;
  }

  /** How many wait for room. */
  get waiting() {
    return this.#waiting.length;
  }

  /**
   * @param {Target} target @param {number} opcode @param {number} lba @param {Uint8Array} data Whole blocks. @param {number} [fill]
   * @returns {Promise<void>}
   */
  run(target, opcode, lba, data, fill) {
    return new Promise((resolve, reject) => {
      this.#waiting.push(new Transfer(this, { target, opcode, lba, data, fill }, resolve, reject));
      this.schedule();
    });
  }

  /** Looks at the end of this turn for what can go out. */
  schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #pump() {
    try {
      while (this.#waiting.length > 0 && /** @type {Transfer} */ (this.#waiting[0]).putAll()) this.#waiting.shift();
      for (const queue of this.queues) queue.ring();
    } catch (error) {
      this.#broken(error);
    }
    this.#started();
  }

  /** The next queue with room, one after the other; undefined where none has. @returns {QueuePair | undefined} */
  queueWithRoom() {
    for (let i = 0; i < this.queues.length; i++) {
      const queue = /** @type {QueuePair} */ (this.queues[this.#next]);
      this.#next = (this.#next + 1) % this.queues.length;
      if (queue.room > 0) return queue;
    }
    return undefined;
  }

  /** Nothing more goes out of what waits. @param {Error} error */
  failWaiting(error) {
    for (const transfer of this.#waiting.splice(0)) transfer.stop(error);
  }
}

/**
 * One read, write or flush. Settled when every part is done, the failed ones too: until then a buffer may be the device's.
 */
class Transfer {
  #of;
  #what;
  #resolve;
  #reject;
  /** Bytes that were put, and the commands under way for them. */
  #put = 0;
  #underWay = 0;
  /** @type {Error | undefined} */
  #error;
  #isPut = false;

  /**
   * @param {Transfers} of
   * @param {{ target: Target, opcode: number, lba: number, data: Uint8Array, fill: number | undefined }} what
   * @param {() => void} resolve @param {(error: Error) => void} reject
   */
  constructor(of, what, resolve, reject) {
    this.#of = of;
    this.#what = what;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Puts as much as there is room for. Gives whether that was all. */
  putAll() {
    const { opcode, data } = this.#what;
    if (opcode === Nvm.FLUSH) return this.#putFlush();
    while (this.#error === undefined && this.#put < data.length) if (!this.#putPart()) return false;
    this.#isPut = true;
    this.#settle();
    return true;
  }

  #putFlush() {
    const queue = this.#of.queueWithRoom();
    if (queue === undefined) return false;
    queue.put(this, -1, { opcode: Nvm.FLUSH, nsid: this.#what.target.id });
    this.#underWay++;
    this.#isPut = true;
    return true;
  }

  #putPart() {
    const { pool, prps, pageShift, bytes } = this.#of.buffers;
    const { target, opcode, lba, data, fill } = this.#what;
    const queue = this.#of.queueWithRoom();
    if (queue === undefined) return false;
    const handle = pool.tryGet();
    if (handle < 0) return false;
    const most = bytes - (bytes % target.blockBytes);
    const length = Math.min(most, data.length - this.#put);
    if (opcode === Nvm.WRITE) pool.write(handle, 0, data.subarray(this.#put, this.#put + length));
    else if (fill !== undefined) pool.bytes(handle).fill(fill, 0, length);
    const pages = Math.ceil(length / 2 ** pageShift);
    const first = lba + this.#put / target.blockBytes;
    const part = new Part(this, handle, this.#put, length);
    queue.putBlocks(part, 0, opcode, target.id, first, length / target.blockBytes, prps, pool.slot(handle), pages);
    this.#put += length;
    this.#underWay++;
    return true;
  }

  /** @param {Part} part @param {Error | undefined} error */
  partDone({ handle, offset, length }, error) {
    const { pool } = this.#of.buffers;
    const { opcode, data } = this.#what;
    if (error === undefined && opcode === Nvm.READ) pool.read(handle, 0, data.subarray(offset, offset + length));
    pool.put(handle);
    this.#done(error);
  }

  /** A flush is a command of the transfer itself. @param {number} _tag @param {number} status */
  completed(_tag, status) {
    this.#done(status === 0 ? undefined : statusError(this.describe(), status));
  }

  /** @param {number} _tag @param {Error} error */
  failed(_tag, error) {
    this.#done(error);
  }

  /** @param {Error | undefined} error */
  #done(error) {
    this.#underWay--;
    this.#error ??= error;
    this.#settle();
    this.#of.schedule(); // there is room now
  }

  /** What was not put yet is not going to be. @param {Error} error */
  stop(error) {
    this.#error ??= error;
    this.#isPut = true;
    this.#settle();
  }

  #settle() {
    if (this.#underWay > 0 || !(this.#isPut || this.#error !== undefined)) return;
    if (this.#error === undefined) this.#resolve();
    else this.#reject(this.#error);
  }

  describe() {
    return this.describePart(0, this.#what.data.length);
  }

  /** @param {number} offset @param {number} length */
  describePart(offset, length) {
    const { target, opcode, lba } = this.#what;
    if (opcode === Nvm.FLUSH) return `flush of namespace ${target.id}`;
    const blocks = length / target.blockBytes;
    const name = opcode === Nvm.READ ? "read" : "write";
    return `${name} of ${blocks} ${blocks === 1 ? "block" : "blocks"} at LBA ${lba + offset / target.blockBytes}`;
  }
}

/** A command of a transfer. */
class Part {
  #transfer;
  handle;
  offset;
  length;

  /** @param {Transfer} transfer @param {number} handle @param {number} offset @param {number} length */
  constructor(transfer, handle, offset, length) {
    this.#transfer = transfer;
    this.handle = handle;
    this.offset = offset;
    this.length = length;
  }

  /** @param {number} _tag @param {number} status */
  completed(_tag, status) {
    this.#transfer.partDone(this, status === 0 ? undefined : statusError(this.describe(), status));
  }

  /** @param {number} _tag @param {Error} error */
  failed(_tag, error) {
    this.#transfer.partDone(this, error);
  }

  describe() {
    return this.#transfer.describePart(this.offset, this.length);
  }
}
