// @ts-check
/**
 * A pair of queues: commands go into one ring, completions come out of another (NVMe 1.4, 4.1).
 *
 *     submission   | done | fetched | put    |  free  |      64 bytes each
 *                         ^ head    ^        ^ tail          the controller moves head, and says so in each completion (sqhd)
 *                                   rung: what the doorbell has been told
 *     completion   | seen | phase as expected |  old  |      16 bytes each
 *                         ^ head                             an entry is new when its phase bit is the one of this round
 *
 * A ring of n entries holds n - 1: full and empty would look alike. Not more than `depth` commands are under way at once, and both rings
 * have depth + 1 entries, so the ring of completions never runs over.
 *
 * Order: an entry is written by plain stores; the doorbell is a register, and a write of one is ordered by the library after all that was
 * written to memory before. A completion's last word has its phase, and is read by Atomics.load: never left out or moved by the
 * engine, and ordered before what is read behind it, on POWER and Arm too: the rest of the completion, and the data.
 */
import { copyPrps } from "./prp.mjs";
import { completionDoorbell, submissionDoorbell } from "./registers.mjs";

/** @typedef {import("./types.d.ts").CommandOwner} CommandOwner */

/** Words of an entry. */
const ENTRY = 16;
const COMPLETION = 4;

export const ENTRY_BYTES = 64;
export const COMPLETION_BYTES = 16;

/** Identifiers have 16 bits: which place, and how often that was used (modulo 15 at least). */
export const DEPTH_MAX = 4096;

const BLOCKS_OF_LBA_HALF = 2 ** 32;

export class QueuePair {
  id;
  /** Commands that can be under way at once. */
  depth;
  /** Entries of each ring. */
  entries;
  /** Where the controller finds the rings. */
  submissionIova;
  completionIova;

  /** Completions of nobody's: of a command that was given up, or never made. They are dropped. */
  stale = 0;
  /** The time, as whoever watches it counts it; each command keeps when it was put. */
  tick = 0;

  /** Whether the controller has it. Where not there is room for nothing, and no doorbell is touched. */
  isOpen = false;

  #bar;
  #memory;
  #submission;
  #completion;
  #submissionDoorbell;
  #completionDoorbell;

  #tail = 0;
  #rung = 0;
  #fetched = 0;
  #head = 0;
  #phase = 1;

  /** Places of commands: which are free, and what is known of each. */
  #free;
  #freeCount = 0;
  #busy;
  #identifiers;
  #ticks;
  #tags;
  /** @type {(CommandOwner | undefined)[]} */
  #owners;
  #span;
  #rounds;

  /**
   * @param {object} options
   * @param {number} options.id 0: the admin queues.
   * @param {number} options.depth 1 to 4096.
   * @param {import("./types.d.ts").Registers32} options.bar
   * @param {number} options.stride
   * @param {import("./types.d.ts").DmaMemory} options.submission `(depth + 1) * ENTRY_BYTES`.
   * @param {import("./types.d.ts").DmaMemory} options.completion `(depth + 1) * COMPLETION_BYTES`.
   */
  constructor({ id, depth, bar, stride, submission, completion }) {
    this.id = id;
    this.depth = depth;
    this.entries = depth + 1;
    this.submissionIova = submission.iova;
    this.completionIova = completion.iova;
    this.#bar = bar;
    this.#memory = [submission, completion];
    this.#submission = wordsOf(submission, this.entries * ENTRY);
    this.#completion = wordsOf(completion, this.entries * COMPLETION);
    this.#submissionDoorbell = submissionDoorbell(id, stride);
    this.#completionDoorbell = completionDoorbell(id, stride);
    this.#span = 2 ** Math.ceil(Math.log2(depth));
    this.#rounds = Math.floor(0xffff / this.#span);
    this.#free = new Uint16Array(depth);
    this.#busy = new Uint8Array(depth);
    this.#identifiers = Uint16Array.from({ length: depth }, (_, place) => place);
    this.#ticks = new Uint32Array(depth);
    this.#tags = new Float64Array(depth);
    this.#owners = new Array(depth).fill(undefined);
    for (let place = depth - 1; place >= 0; place--) this.#free[this.#freeCount++] = place;
    this.restart();
  }

  /** Commands under way. */
  get inFlight() {
    return this.depth - this.#freeCount;
  }

  /** How many commands can be put now. */
  get room() {
    if (!this.isOpen) return 0;
    if (this.#freeCount === this.depth) return this.depth; // all was answered, so it was fetched, whatever sqhd says
    const between = this.#fetched - this.#tail - 1;
    return Math.min(this.#freeCount, between < 0 ? between + this.entries : between);
  }

  /**
   * Puts a read or a write, which the controller sees with the next {@link ring}. No garbage. Gives whether there was room.
   *
   * @param {CommandOwner} owner @param {number} tag
   * @param {number} opcode @param {number} nsid
   * @param {number} lba Exact: below 2^53. @param {number} blocks 1 to 65536.
   * @param {Uint32Array} prps Of {@link IoBuffers}. @param {number} slot @param {number} pages Pages of the data: from the buffer's first on.
   */
  putBlocks(owner, tag, opcode, nsid, lba, blocks, prps, slot, pages) {
    if (this.room === 0) return false;
    const at = this.#tail * ENTRY;
    const ring = this.#submission;
    ring[at] = opcode | (this.#take(owner, tag) << 16);
    ring[at + 1] = nsid;
    ring[at + 2] = 0;
    ring[at + 3] = 0;
    ring[at + 4] = 0; // no metadata
    ring[at + 5] = 0;
    copyPrps(ring, at + 6, prps, slot, pages);
    ring[at + 10] = lba; // modulo 2^32
    ring[at + 11] = lba / BLOCKS_OF_LBA_HALF; // rounded down
    ring[at + 12] = blocks - 1;
    ring[at + 13] = 0;
    ring[at + 14] = 0;
    ring[at + 15] = 0;
    this.#advance();
    return true;
  }

  /**
   * Puts any other command, likewise.
   *
   * @param {CommandOwner} owner @param {number} tag @param {import("./types.d.ts").Command} command
   */
  put(owner, tag, { opcode, nsid = 0, prp1 = 0n, prp2 = 0n, words = [] }) {
    if (this.room === 0) return false;
    const at = this.#tail * ENTRY;
    const ring = this.#submission;
    ring.fill(0, at, at + ENTRY);
    ring[at] = opcode | (this.#take(owner, tag) << 16);
    ring[at + 1] = nsid;
    ring[at + 6] = Number(prp1 & 0xffff_ffffn);
    ring[at + 7] = Number(prp1 >> 32n);
    ring[at + 8] = Number(prp2 & 0xffff_ffffn);
    ring[at + 9] = Number(prp2 >> 32n);
    ring.set(words, at + 10);
    this.#advance();
    return true;
  }

  /** @param {CommandOwner} owner @param {number} tag */
  #take(owner, tag) {
    const place = /** @type {number} */ (this.#free[--this.#freeCount]);
    this.#busy[place] = 1;
    this.#owners[place] = owner;
    this.#tags[place] = tag;
    this.#ticks[place] = this.tick;
    return /** @type {number} */ (this.#identifiers[place]);
  }

  #advance() {
    this.#tail = this.#tail === this.depth ? 0 : this.#tail + 1;
  }

  /** Tells the controller of all that was put since: one register access, or none. */
  ring() {
    if (this.#rung === this.#tail || !this.isOpen) return;
    this.#rung = this.#tail;
    this.#bar.write32(this.#submissionDoorbell, this.#tail);
  }

  /**
   * Takes the completions that are there, tells their owners, and then the controller, once. Gives how many there were. Without any it is
   * one read of memory, and no register is touched. No garbage. At most one round of the ring: owners may put the next command in `completed`.
   */
  poll() {
    const ring = this.#completion;
    if (!this.isOpen) return 0;
    let count = 0;
    try {
      while (count < this.entries) {
        const at = this.#head * COMPLETION;
        const last = Atomics.load(ring, at + 3);
        if (((last >>> 16) & 1) !== this.#phase) break;
        count++;
        const result = /** @type {number} */ (ring[at]);
        const fetched = /** @type {number} */ (ring[at + 2]) & 0xffff;
        if (this.#head === this.depth) {
          this.#head = 0;
          this.#phase ^= 1;
        } else {
          this.#head++;
        }
        if (fetched < this.entries) this.#fetched = fetched;
        this.#complete(last & 0xffff, last >>> 17, result);
      }
    } finally {
      if (count > 0) this.#bar.write32(this.#completionDoorbell, this.#head);
    }
    return count;
  }

  /** @param {number} identifier @param {number} status @param {number} result */
  #complete(identifier, status, result) {
    const place = identifier & (this.#span - 1);
    if (this.#busy[place] !== 1 || this.#identifiers[place] !== identifier) {
      this.stale++;
      return;
    }
    const owner = /** @type {CommandOwner} */ (this.#owners[place]);
    this.#release(place);
    owner.completed(/** @type {number} */ (this.#tags[place]), status, result);
  }

  /** The place's next command has another identifier: a completion that comes late is nobody's. @param {number} place */
  #release(place) {
    const round = Math.floor(/** @type {number} */ (this.#identifiers[place]) / this.#span) + 1;
    this.#identifiers[place] = place + (round === this.#rounds ? 0 : round * this.#span);
    this.#busy[place] = 0;
    this.#free[this.#freeCount++] = place;
  }

  /** What has been under way since before `tick`, in words. @param {number} tick @returns {string | undefined} */
  overdue(tick) {
    for (let place = 0; place < this.depth; place++) {
      if (this.#busy[place] === 1 && /** @type {number} */ (this.#ticks[place]) < tick) return this.#describe(place);
    }
    return undefined;
  }

  /** @param {number} place */
  #describe(place) {
    return /** @type {CommandOwner} */ (this.#owners[place]).describe(/** @type {number} */ (this.#tags[place]));
  }

  /**
   * Gives up all that is under way. The controller must be stopped: the owners use the memory again.
   *
   * @param {(what: string) => Error} error
   */
  failAll(error) {
    for (let place = 0; place < this.depth; place++) {
      if (this.#busy[place] !== 1) continue;
      const owner = /** @type {CommandOwner} */ (this.#owners[place]);
      const what = this.#describe(place);
      this.#release(place);
      owner.failed(/** @type {number} */ (this.#tags[place]), error(what));
    }
  }

  /** Both rings as they are before their first use. The controller must be stopped; whoever starts it says `isOpen`. */
  restart() {
    this.isOpen = false;
    this.#submission.fill(0);
    this.#completion.fill(0);
    this.#tail = this.#rung = this.#fetched = this.#head = 0;
    this.#phase = 1;
  }

  /** Gives the rings back. The controller must be stopped. */
  close() {
    for (const memory of this.#memory) memory.close();
  }
}

/** @param {import("./types.d.ts").DmaMemory} memory @param {number} count */
function wordsOf({ bytes }, count) {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
}
