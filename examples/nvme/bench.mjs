// @ts-check
/**
 * Reads as fast as they go, and each answer looked at: the way of a driver that does not want to wait. No promise, and no garbage:
 *
 *     put 32 commands, ring once; poll, and put the next command for each that is done; ring once ...
 */

import { Nvm } from "./commands.mjs";
import { wordsOf } from "./errors.mjs";
import { readSurely } from "./guards.mjs";

/** @typedef {import("./controller.mjs").Controller} Controller */
/** @typedef {import("./namespace.mjs").Namespace} Namespace */
/** @typedef {import("./queue.mjs").QueuePair} QueuePair */

/** Places on the disk that are read, over and over: what they hold is known. */
const PLACES = 1024;

/** Every so many answers are compared byte by byte; of all others the first and last word of each page of 4 KiB. */
const WHOLE = 64;
const PAGE_WORDS = 1024;

/** Polls between two turns of the event loop. */
const TURN = 256;

/**
 * One slot of the load: a buffer, and which place of the disk it is read from now.
 */
class Reader {
  #load;
  #words;
  #slot;
  queue;
  place = 0;

  /** @param {Load} load @param {QueuePair} queue @param {number} handle */
  constructor(load, queue, handle) {
    const { pool } = load.buffers;
    const bytes = pool.bytes(handle).subarray(0, load.length);
    this.#load = load;
    this.queue = queue;

    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    this.#slot = pool.slot(handle);
  }

  put() {
    const load = this.#load;
    this.place = load.nextPlace();
    this.#spoil();
    const lba = this.place * load.blocks;
    this.queue.putBlocks(this, 0, Nvm.READ, load.id, lba, load.blocks, load.buffers.prps, this.#slot, load.pages);
  }

  /** What must not be there afterwards: every page has to be written by the device. */
  #spoil() {
    const words = this.#words;
    const { expected, lengthWords } = this.#load;
    const first = this.place * lengthWords;
    for (let at = 0; at < lengthWords; at += PAGE_WORDS) {
      const last = Math.min(at + PAGE_WORDS, lengthWords) - 1;
      words[at] = ~(/** @type {number} */ (expected[first + at]));
      words[last] = ~(/** @type {number} */ (expected[first + last]));
    }
  }

  #isRight() {
    const words = this.#words;
    const { expected, lengthWords, reads } = this.#load;
    const first = this.place * lengthWords;
    const step = reads % WHOLE === 0 ? 1 : PAGE_WORDS;
    for (let at = 0; at < lengthWords; at += step) {
      const last = Math.min(at + step, lengthWords) - 1;
      if (words[at] !== expected[first + at] || words[last] !== expected[first + last]) return false;
    }
    return true;
  }

  /** @param {number} _tag @param {number} status */
  completed(_tag, status) {
    const load = this.#load;
    load.reads++;
    if (status !== 0 || !this.#isRight()) load.wrong++;
    load.done(this);
  }

  /** @param {number} _tag @param {Error} error */
  failed(_tag, error) {
    this.#load.problem ??= error;
    this.#load.ended++;
  }

  describe() {
    return `read of ${this.#load.blocks} blocks at LBA ${this.place * this.#load.blocks}`;
  }
}

class Load {
  id;
  blocks;
  length;
  lengthWords;
  pages;
  buffers;
  expected;
  reads = 0;
  wrong = 0;
  ended = 0;
  isStopped = false;
  /** @type {Error | undefined} */
  problem;
  #places;
  #place = 0;
  #queues;
  #isToRing = false;

  /** @param {Controller} controller @param {Namespace} namespace @param {number} blocks @param {Uint8Array} expected */
  constructor(controller, namespace, blocks, expected) {
    this.id = namespace.id;
    this.blocks = blocks;
    this.length = blocks * namespace.blockBytes;
    this.lengthWords = this.length / 4;
    this.buffers = controller.buffers;
    this.pages = Math.ceil(this.length / controller.pageBytes);
    this.expected = new Uint32Array(expected.buffer, expected.byteOffset, expected.length / 4);
    this.#places = expected.length / this.length;
    this.#queues = controller.queues;
  }

  /** One after the other, by a step that has no factor in common with their number, a power of two. */
  nextPlace() {
    this.#place = (this.#place + 389) % this.#places;
    return this.#place;
  }

  /** @param {Reader} reader */
  done(reader) {
    if (this.isStopped) {
      this.ended++;
      return;
    }
    reader.put();
    if (this.#isToRing) return;
    this.#isToRing = true;
    queueMicrotask(this.#ring);
  }

  /** Once for all that a poll has brought. */
  #ring = () => {
    this.#isToRing = false;
    try {
      for (const queue of this.#queues) queue.ring();
    } catch (error) {
      this.problem ??= /** @type {Error} */ (error);
    }
  };

  /** The same at once, for who polls. */
  pollAndRing() {
    for (const queue of this.#queues) {
      queue.poll();
      queue.ring();
    }
  }
}

/**
 * Reads for a while, with as many commands under way as all queues take.
 *
 * @param {Controller} controller @param {Namespace} namespace
 * @param {{ seconds: number, blocks: number, polls: boolean }} options `blocks`: of each command.
 * @returns {Promise<{ reads: number, wrong: number, seconds: number, bytes: number, inFlight: number, problem: string | undefined }>}
 */
export async function measureReads(controller, namespace, { seconds, blocks, polls }) {
  const most = Math.min(PLACES, Math.floor(namespace.blocks / blocks));
  const places = 2 ** Math.floor(Math.log2(Math.max(most, 1)));
  const expected = await readSurely(namespace, 0, places * blocks);
  const load = new Load(controller, namespace, blocks, expected);
  const { pool } = controller.buffers;
  const handles = [];
  const readers = [];
  for (const queue of controller.queues) {
    for (let i = 0; i < queue.depth; i++) {
      const handle = pool.tryGet();
      if (handle < 0) break;
      handles.push(handle);
      readers.push(new Reader(load, queue, handle));
    }
  }
  const start = performance.now();
  for (const reader of readers) reader.put();
  for (const queue of controller.queues) queue.ring();
  const end = start + 1000 * seconds;
  let stopped = start;
  while (load.ended < readers.length) {
    for (let i = 0; polls && i < TURN; i++) load.pollAndRing();
    await new Promise((resolve) => (polls ? setImmediate(resolve) : setTimeout(resolve, 5)));
    const goesOn = performance.now() < end && load.problem === undefined && controller.state !== "closing";
    if (load.isStopped || goesOn) continue;
    load.isStopped = true;
    stopped = performance.now();
  }
  for (const handle of handles) pool.put(handle);
  return {
    reads: load.reads,
    wrong: load.wrong,
    seconds: (stopped - start) / 1000,
    bytes: load.length,
    inFlight: readers.length,
    problem: load.problem === undefined ? undefined : wordsOf(load.problem),
  };
}
