// @ts-check
import { AdminQueue } from "./admin.mjs";
import { Completions } from "./completions.mjs";
import { NvmeError, wordsOf } from "./errors.mjs";
import { Direct } from "./movements.mjs";
import { Namespace } from "./namespace.mjs";
import { halt, isGone, shutDown, switchOn } from "./power.mjs";
import { IoBuffers } from "./prp.mjs";
import { COMPLETION_BYTES, ENTRY_BYTES, QueuePair } from "./queue.mjs";
import { ControllerRegisters, CSTS, checkSupported, queuesIn } from "./registers.mjs";
import { readSettings } from "./settings.mjs";
import { Transfers } from "./transfers.mjs";

/** @typedef {import("dma-window").DmaHeap} DmaHeap */
/** @typedef {import("./types.d.ts").DriverDevice} DriverDevice */
/** @typedef {import("./types.d.ts").DmaMemory} DmaMemory */
/** @typedef {"starting" | "ready" | "resetting" | "closing" | "failed" | "closed"} State */

const ADMIN_DEPTH = 31;

/** Bytes of a command without buffers, where the controller has no limit: its list has 8 KiB then, with pages of 4 KiB. */
const DIRECT_MAX = 4 << 20;

/** How often a command that takes too long is looked for, in each timeout. */
const LOOKS = 4;

/**
 * An NVMe controller at work.
 *
 *     const controller = await Controller.open(device, heap, { queues: 2, depth: 64, completions: "msix" });
 *     const [disk] = controller.namespaces;
 *     await disk.read(0, bytes);
 *     await controller.close();
 *
 * Nothing in it blocks the event loop. It keeps the process alive until it is closed.
 *
 * A command that takes longer than `timeoutMs`, a controller that says that it failed, or `reset()`: then it is switched off, all that was under
 * way is rejected (`ERR_NVME_RESET`, with what it was and why), and it is switched on again with the same queues at the same IOVAs.
 * What was only waiting goes out then. Where it does not stop by itself, bus mastering is switched off and the device is reset: no
 * buffer is used again before the device cannot reach it any more.
 */
export class Controller {
  /** What it says of itself. @type {import("./identify.mjs").ControllerFacts} */
  facts = /** @type {any} */ (undefined);
  /** @type {Namespace[]} */
  namespaces = [];
  /** Pairs of queues for I/O; for who polls by himself. @type {QueuePair[]} */
  queues = [];
  /** Buffers for these. @type {IoBuffers} */
  buffers = /** @type {any} */ (undefined);
  /** Bytes of a page of the controller's. */
  pageBytes = 0;
  /** How often it was started anew, and completions that no interrupt had told of. */
  resets = 0;
  missed = 0;

  #device;
  #heap;
  #settings;
  #registers;
  #can;
  /** Pairs of I/O queues that have doorbells. */
  #queuesMost;
  /** @type {State} */
  #state = "starting";
  /** @type {AdminQueue} */
  #admin;
  #completions;
  /** @type {Transfers | undefined} */
  #transfers;
  /** @type {DmaMemory[]} */
  #kept = [];
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {Promise<void> | undefined} */
  #resetting;
  /** @type {Promise<void> | undefined} */
  #stopping;
  /** @type {Promise<void> | undefined} */
  #closing;
  /** @type {Error | undefined} */
  #failure;

  /**
   * Switches a device's controller on: with its queues, and what it says of itself. Where that fails the device is stopped, and nothing
   * is left of it.
   *
   * @param {DriverDevice} device @param {DmaHeap} heap Memory that the device reaches. @param {import("./settings.mjs").Settings} [settings]
   * @returns {Promise<Controller>}
   */
  static async open(device, heap, settings = {}) {
    const controller = new Controller(device, heap, settings);
    try {
      await controller.#begin();
    } catch (error) {
      await controller.#end();
      throw error;
    }
    return controller;
  }

  /** @param {DriverDevice} device @param {DmaHeap} heap @param {import("./settings.mjs").Settings} settings */
  constructor(device, heap, settings) {
    this.#settings = readSettings(settings);
    this.#device = device;
    this.#heap = heap;
    this.#registers = new ControllerRegisters(device.bar(0));
    this.#can = this.#registers.capabilities();
    const { pageShiftMin, pageShiftMax, doorbellStride } = this.#can;
    this.#queuesMost = queuesIn(device.bar(0).length, doorbellStride);
    checkSupported(this.#can, this.#queuesMost);
    // As large as the CPU's page, where it takes that: fewer entries in lists.
    const shift = Math.min(Math.max(Math.log2(this.#settings.cpuPageBytes), pageShiftMin), pageShiftMax);
    this.pageBytes = 2 ** shift;
    this.#completions = new Completions(
      this.#settings.completions,
      () => this.#allQueues(),
      (error) => this.#broken(error),
    );
    try {
      this.#admin = new AdminQueue(this.#makeQueue(0, ADMIN_DEPTH), this.#memory(this.pageBytes), () =>
        this.#completions.expect(),
      );
    } catch (error) {
      for (const memory of this.#kept) memory.close();
      throw error;
    }
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** Interrupts that were heard. */
  get interrupts() {
    return this.#completions.interrupts;
  }

  /** Completions of commands that had been given up. */
  get stale() {
    return this.#allQueues().reduce((sum, { stale }) => sum + stale, 0);
  }

  /** Bytes of one command at most. */
  get transferBytes() {
    return this.buffers.bytes;
  }

  /** @returns {readonly QueuePair[]} */
  #allQueues() {
    return [this.#admin.queue, ...this.queues];
  }

  // ---- memory

  /**
   * Memory at the beginning of a page, and not at IOVA 0, which some devices and drivers take for none: what lies there is kept, and
   * other memory taken.
   *
   * @param {number} bytes @returns {DmaMemory}
   */
  #memory(bytes) {
    const memory = this.#heap.buffer(bytes, { align: this.pageBytes });
    if (memory.iova !== 0n) return memory;
    this.#kept.push(memory);
    return this.#heap.buffer(bytes, { align: this.pageBytes });
  }

  /** @param {number} id @param {number} depth */
  #makeQueue(id, depth) {
    const submission = this.#memory((depth + 1) * ENTRY_BYTES);
    try {
      const completion = this.#memory((depth + 1) * COMPLETION_BYTES);
      return new QueuePair({
        id,
        depth,
        bar: this.#device.bar(0),
        stride: this.#can.doorbellStride,
        submission,
        completion,
      });
    } catch (error) {
      submission.close();
      throw error;
    }
  }

  // ---- starting

  async #begin() {
    await halt(this.#registers, this.#can, this.#device); // an earlier driver may have left it on
    this.#completions.listen(this.#device, this.#settings.queues + 1);
    this.#timer = setInterval(() => this.#watch(), Math.max(this.#settings.timeoutMs / LOOKS, 1));
    await this.#start();
    const version = this.#registers.read("VS");
    this.facts = await this.#admin.identifyController(version);
    const facts = await this.#admin.identifyNamespaces(this.facts.namespacesMax, version);
    this.buffers = new IoBuffers(this.#heap, {
      bytes: this.#settings.transferBytes,
      most: this.#commandMost,
      count: this.#settings.buffers ?? this.queues.length * this.#depth,
      pageBytes: this.pageBytes,
    });
    this.namespaces = facts.map((one) => new Namespace(this, one, Math.min(this.buffers.bytes, DIRECT_MAX)));
    this.#transfers = new Transfers(
      this.queues,
      () => this.#completions.expect(),
      (error) => this.#broken(error),
    );
    this.#state = "ready";
  }

  /** Bytes that the controller takes in one command (MDTS, in pages of its smallest size). */
  get #commandMost() {
    const { transferShift } = this.facts;
    return transferShift === 0 ? Number.MAX_SAFE_INTEGER : 2 ** (transferShift + this.#can.pageShiftMin);
  }

  /** Commands under way in a queue, as was asked, at most what the controller takes. */
  get #depth() {
    return Math.min(this.#settings.depth, this.#can.entriesMax - 1);
  }

  /** From off to ready, with the queues that it had, or its first. */
  async #start() {
    const admin = this.#admin.queue;
    for (const queue of this.#allQueues()) queue.restart();
    await switchOn(this.#registers, this.#can, this.#device, admin, Math.log2(this.pageBytes));
    admin.isOpen = true;
    const wanted = this.queues.length || this.#settings.queues;
    const allowed = Math.min(await this.#admin.allowedQueues(wanted), this.#queuesMost);
    if (this.queues.length === 0) {
      for (let id = 1; id <= allowed; id++) this.queues.push(this.#makeQueue(id, this.#depth));
    } else if (allowed < wanted) {
      throw new NvmeError(
        "ERR_NVME_QUEUES",
        `the controller had ${wanted} queues, and allows ${allowed} since its reset`,
      );
    }
    for (const queue of this.queues) {
      await this.#admin.create(queue, this.#completions.vectorOf(queue.id));
      queue.isOpen = true;
    }
  }

  // ---- at work

  /** A read, write or flush of a namespace, which has checked it. @param {import("./transfers.mjs").Work} work @returns {Promise<void>} */
  transfer(work) {
    const isUsable = this.#state === "ready" || this.#state === "resetting";
    if (!isUsable || this.#transfers === undefined) return Promise.reject(this.#unusable());
    return this.#transfers.run(work);
  }

  /** Data in memory that the controller reaches itself. @param {import("./movements.mjs").DeviceMemory} memory */
  direct(memory) {
    return new Direct(this.#heap, memory, this.pageBytes, Math.min(this.#commandMost, DIRECT_MAX));
  }

  #unusable() {
    if (this.#state === "failed") {
      const why = `the controller failed, and did not come back: ${wordsOf(this.#failure)}. Close it, and open it again`;
      return new NvmeError("ERR_NVME_FAILED", why, { cause: this.#failure });
    }
    return new NvmeError("ERR_NVME_CLOSED", `the controller is ${this.#state}`);
  }

  /** Takes completions now, of all queues; gives how many. For who does not want to wait for an interrupt. */
  poll() {
    let count = 0;
    for (const queue of this.#allQueues()) count += queue.poll();
    return count;
  }

  /** The clock of commands: what is late is taken, or given up. */
  #watch() {
    if (this.#stopping !== undefined) return;
    try {
      for (const queue of this.#allQueues()) {
        queue.tick++;
        if (queue.overdue(queue.tick - 1) !== undefined) {
          const found = queue.poll(); // no interrupt told of these, or nobody polled
          if (this.#completions.mode !== "poll") this.missed += found;
        }
        const late = queue.overdue(queue.tick - LOOKS);
        if (late !== undefined) return this.#giveUp(`${late} had no answer for ${this.#settings.timeoutMs} ms`);
      }
      if ((this.#registers.status() & CSTS.FATAL) !== 0) {
        this.#giveUp("the controller says that it failed (CSTS.CFS)");
      }
    } catch (error) {
      this.#broken(error);
    }
  }

  /** What a listener or timer threw: the device does not answer any more, or an owner of commands threw. @param {unknown} error */
  #broken(error) {
    this.#giveUp(wordsOf(error));
  }

  /** @param {string} why */
  #giveUp(why) {
    if (this.#state === "ready")
      this.reset(why).catch(() => {}); // what it rejects with is in #failure, and comes with the next call
    else if (this.#state !== "failed" && this.#state !== "closed") this.#abandon(why).catch(() => {});
  }

  // ---- reset

  /**
   * Switches it off and on again. What was under way is rejected. While one is under way it is the same promise. Rejects where the controller
   * does not come back; every later call says so then.
   *
   * @param {string} [why] For the errors. @returns {Promise<void>}
   */
  reset(why = "the program asked for it") {
    if (this.#resetting !== undefined) return this.#resetting;
    if (this.#state !== "ready") return Promise.reject(this.#unusable());
    this.#state = "resetting";
    this.#resetting = this.#reset(why).finally(() => {
      this.#resetting = undefined;
    });
    return this.#resetting;
  }

  /** @param {string} why */
  async #reset(why) {
    this.resets++;
    try {
      await this.#abandon(why);
      await this.#start();
      this.#state = "ready";
      this.#transfers?.schedule();
    } catch (error) {
      this.#failure = /** @type {Error} */ (error);
      this.#state = "failed";
      await this.#abandon(wordsOf(error)).catch(() => {});
      this.#transfers?.failWaiting(this.#unusable());
      throw this.#unusable();
    }
  }

  /** Stops it, and rejects what was under way. While it is done it is the same promise. @param {string} why @returns {Promise<void>} */
  #abandon(why) {
    this.#stopping ??= this.#stop(why).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  /** @param {string} why */
  async #stop(why) {
    for (const queue of this.#allQueues()) queue.isOpen = false;
    try {
      await halt(this.#registers, this.#can, this.#device);
    } finally {
      const error = (/** @type {string} */ what) =>
        new NvmeError(
          "ERR_NVME_RESET",
          `${what} was under way when the controller was stopped: ${why}. Whether it was done is not known: ask again`,
        );
      for (const queue of this.#allQueues()) queue.failAll(error);
    }
  }

  // ---- ending

  /**
   * An orderly end: waits for what is under way, has caches written back, switches it off, and gives its memory back. New transfers are refused
   * from now on. Once more does nothing; while it is under way it is the same promise.
   *
   * @returns {Promise<void>}
   * @throws what went wrong on the way; the device is stopped all the same, and its memory is back, but for `ERR_NVME_NOT_STOPPED`.
   */
  close() {
    this.#closing ??= this.#close().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #close() {
    if (this.#state === "closed") return;
    await this.#resetting?.catch(() => {});
    const wasReady = this.#state === "ready";
    this.#state = "closing";
    /** @type {unknown} */
    let problem;
    if (wasReady) {
      try {
        await this.#drained();
        for (const queue of this.queues) await this.#admin.delete(queue);
        await shutDown(this.#registers, this.facts.shutdownMs);
      } catch (error) {
        problem = error;
      }
    }
    await this.#end();
    if (problem !== undefined) throw problem;
  }

  async #drained() {
    while (this.queues.some((queue) => queue.isOpen && queue.inFlight > 0) || (this.#transfers?.waiting ?? 0) > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.queues.some((queue) => !queue.isOpen)) {
        throw new NvmeError(
          "ERR_NVME_RESET",
          "the controller was stopped while it was closed: see what the commands were rejected with",
        );
      }
    }
  }

  /** Stops it and gives all of it back. */
  async #end() {
    this.#state = "closing";
    clearInterval(this.#timer);
    try {
      await this.#abandon("it was closed");
    } catch (error) {
      this.#failure = /** @type {Error} */ (error);
      this.#state = "failed"; // once the device was closed, close() gives the memory back
      throw error;
    }
    this.#transfers?.failWaiting(new NvmeError("ERR_NVME_CLOSED", "the controller was closed"));
    // It is stopped: what fails from here on costs no memory.
    const errors = [
      thrownBy(() => this.#completions.close()),
      thrownBy(() => {
        this.#device.busMaster = false;
      }),
    ];
    this.buffers?.close();
    for (const queue of this.queues) queue.close();
    this.#admin.close();
    for (const memory of this.#kept) memory.close();
    this.#state = "closed";
    const problem = errors.find((error) => error !== undefined && !isGone(error));
    if (problem !== undefined && !this.#device.gone) throw problem;
  }
}

/** @param {() => void} work @returns {unknown} What it throws. */
function thrownBy(work) {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
