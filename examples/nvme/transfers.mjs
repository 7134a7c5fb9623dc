// @ts-check
/**
 * Reads and writes of any length as promises, over queues that know commands alone.
 *
 *     read(lba, 1 MiB) -> Transfer: | 128 KiB | 128 KiB | ... |      a command and its memory for each part, on whichever queue has room
 *
 * A part goes out when there is memory and room; what has to wait, waits in order. All parts that are put in one turn of the event
 * loop are told to the controller by one doorbell for each queue.
 */
import { Nvm, statusError } from "./commands.mjs";

/** @typedef {import("./queue.mjs").QueuePair} QueuePair */
/** @typedef {import("./movements.mjs").Movement} Movement */
/** @typedef {import("./movements.mjs").Piece} Piece */
/** @typedef {{ readonly id: number, readonly blockBytes: number }} Target */
/** @typedef {{ readonly target: Target, readonly opcode: number, readonly lba: number, readonly movement: Movement | undefined }} Work `movement`: none of a flush. */

export class Transfers {
  #queues;
  #started;
  #broken;
  /** @type {Transfer[]} */
  #waiting = [];
  #next = 0;
  #isScheduled = false;

  /**
   * @param {readonly QueuePair[]} queues
   * @param {() => void} started Called when something was put: completions are to be expected.
   * @param {(error: unknown) => void} broken Called with what a doorbell threw: who put the commands is not there any more.
   */
  constructor(queues, started, broken) {
    this.#queues = queues;
    this.#started = started;
    this.#broken = broken;
  }

  /** How many wait for room. */
  get waiting() {
    return this.#waiting.length;
  }

  /** @param {Work} work @returns {Promise<void>} */
  run(work) {
    return new Promise((resolve, reject) => {
      this.#waiting.push(new Transfer(this, work, resolve, reject));
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
      for (const queue of this.#queues) queue.ring();
    } catch (error) {
      this.#broken(error);
    }
    this.#started();
  }

  /** The next queue with room, one after the other; undefined where none has. @returns {QueuePair | undefined} */
  queueWithRoom() {
    for (let i = 0; i < this.#queues.length; i++) {
      const queue = /** @type {QueuePair} */ (this.#queues[this.#next]);
      this.#next = (this.#next + 1) % this.#queues.length;
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
 * One read, write or flush. Settled when every part is done, also of one that failed: until then some of the memory is the device's.
 */
class Transfer {
  #of;
  #work;
  #resolve;
  #reject;
  /** Bytes that were put, and commands under way. */
  #put = 0;
  #underWay = 0;
  #isPut = false;
  /** @type {Error | undefined} */
  #error;

  /** @param {Transfers} of @param {Work} work @param {() => void} resolve @param {(error: Error) => void} reject */
  constructor(of, work, resolve, reject) {
    this.#of = of;
    this.#work = work;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Puts as much as there is room for. Gives whether that was all. */
  putAll() {
    const { movement } = this.#work;
    if (movement === undefined) return this.#putFlush();
    while (this.#error === undefined && this.#put < movement.length) if (!this.#putPart(movement)) return false;
    this.#isPut = true;
    this.#settle();
    return true;
  }

  #putFlush() {
    const queue = this.#of.queueWithRoom();
    if (queue === undefined) return false;
    queue.put(new Part(this, undefined, 0, 0), 0, { opcode: Nvm.FLUSH, nsid: this.#work.target.id });
    this.#underWay++;
    this.#isPut = true;
    return true;
  }

  /** @param {Movement} movement */
  #putPart(movement) {
    const { target, opcode, lba } = this.#work;
    const { blockBytes } = target;
    const queue = this.#of.queueWithRoom();
    if (queue === undefined) return false;
    const length = Math.min(movement.most(blockBytes), movement.length - this.#put);
    const piece = this.#take(movement, length);
    if (piece === undefined) return this.#error !== undefined;
    const part = new Part(this, piece, this.#put, length);
    piece.put(queue, part, opcode, target.id, lba + this.#put / blockBytes, length / blockBytes);
    this.#put += length;
    this.#underWay++;
    return true;
  }

  /** What has no memory for its part ever, fails. @param {Movement} movement @param {number} length */
  #take(movement, length) {
    try {
      return movement.take(this.#put, length);
    } catch (error) {
      this.#error = /** @type {Error} */ (error);
      return undefined;
    }
  }

  /** @param {Part} part @param {Error | undefined} error */
  done(part, error) {
    this.#underWay--;
    this.#error ??= error;
    try {
      part.piece?.end(error === undefined && this.#work.opcode === Nvm.READ);
    } catch (problem) {
      this.#error ??= /** @type {Error} */ (problem); // the program's array is not what it was
    }
    this.#settle();
    this.#of.schedule(); // there is room now
  }

  /** What was not put yet is not going to be. @param {Error} error */
  stop(error) {
    this.#error ??= error;
    this.#settle();
  }

  #settle() {
    if (this.#underWay > 0 || !(this.#isPut || this.#error !== undefined)) return;
    if (this.#error === undefined) this.#resolve();
    else this.#reject(this.#error);
  }

  /** @param {Part} part */
  describe({ offset, length }) {
    const { target, opcode, lba } = this.#work;
    if (opcode === Nvm.FLUSH) return `flush of namespace ${target.id}`;
    const blocks = length / target.blockBytes;
    const name = opcode === Nvm.READ ? "read" : "write";
    return `${name} of ${blocks} ${blocks === 1 ? "block" : "blocks"} at LBA ${lba + offset / target.blockBytes}`;
  }
}

/** A command of a transfer. */
class Part {
  #transfer;
  piece;
  offset;
  length;

  /** @param {Transfer} transfer @param {Piece | undefined} piece @param {number} offset @param {number} length */
  constructor(transfer, piece, offset, length) {
    this.#transfer = transfer;
    this.piece = piece;
    this.offset = offset;
    this.length = length;
  }

  /** @param {number} _tag @param {number} status */
  completed(_tag, status) {
    this.#transfer.done(this, status === 0 ? undefined : statusError(this.describe(), status));
  }

  /** @param {number} _tag @param {Error} error */
  failed(_tag, error) {
    this.#transfer.done(this, error);
  }

  describe() {
    return this.#transfer.describe(this);
  }
}
