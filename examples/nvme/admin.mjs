// @ts-check
/** Admin commands as promises, and those that the driver makes. */
import { Admin, FEATURE_NUMBER_OF_QUEUES, Identify, statusError } from "./commands.mjs";
import { NvmeError } from "./errors.mjs";
import { controllerFacts, IDENTIFY_BYTES, namespaceFacts, namespaceIds } from "./identify.mjs";

/** @typedef {import("./queue.mjs").QueuePair} QueuePair */
/** @typedef {import("./types.d.ts").Command} Command */

/** Physically contiguous; completions of it interrupt. */
const CONTIGUOUS = 1;
const INTERRUPTS = 2;

/** One command, which settles its promise. */
class AdminCommand {
  #name;
  #resolve;
  #reject;

  /** @param {string} name @param {(result: number) => void} resolve @param {(error: Error) => void} reject */
  constructor(name, resolve, reject) {
    this.#name = name;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @param {number} _tag @param {number} status @param {number} result */
  completed(_tag, status, result) {
    if (status === 0) this.#resolve(result);
    else this.#reject(statusError(this.#name, status));
  }

  /** @param {number} _tag @param {Error} error */
  failed(_tag, error) {
    this.#reject(error);
  }

  describe() {
    return this.#name;
  }
}

/** Of namespaces: who says more is likely not what it seems, and each costs a command. */
const NAMESPACES_MAX = 1024;

/** @param {number} count */
function checkCount(count) {
  if (count <= NAMESPACES_MAX) return;
  throw new NvmeError(
    "ERR_NVME_LIST",
    `the controller names ${count} namespaces or more; this driver takes ${NAMESPACES_MAX}`,
  );
}

export class AdminQueue {
  queue;
  #memory;
  #started;

  /**
   * @param {QueuePair} queue
   * @param {import("./types.d.ts").DmaMemory} memory Of one page: what Identify fills.
   * @param {() => void} started Called when a command was put.
   */
  constructor(queue, memory, started) {
    this.queue = queue;
    this.#memory = memory;
    this.#started = started;
  }

  /**
   * Gives the completion's first word.
   *
   * @param {string} name For what it rejects with. @param {Command} command
   * @returns {Promise<number>}
   */
  run(name, command) {
    return new Promise((resolve, reject) => {
      if (!this.queue.put(new AdminCommand(name, resolve, reject), 0, command)) {
        const why = this.queue.isOpen ? "the admin queue is full" : "the controller is being started anew";
        reject(new NvmeError("ERR_NVME_BUSY", `${name}: ${why}; ask again later`));
        return;
      }
      this.queue.ring();
      this.#started();
    });
  }

  /** @param {string} name @param {number} what @param {number} nsid @returns {Promise<Uint8Array>} */
  async #identify(name, what, nsid) {
    const { bytes, iova } = this.#memory;
    bytes.fill(0);
    await this.run(name, { opcode: Admin.IDENTIFY, nsid, prp1: iova, words: [what] });
    return bytes.slice(0, IDENTIFY_BYTES);
  }

  /** @param {number} version VS. */
  async identifyController(version) {
    return controllerFacts(await this.#identify("identify controller", Identify.CONTROLLER, 0), version);
  }

  /** The namespaces that are there, in ascending order. @param {number} namespacesMax @param {number} version VS. */
  async identifyNamespaces(namespacesMax, version) {
    const facts = [];
    for (const id of await this.#namespaceIds(namespacesMax, version)) {
      facts.push(namespaceFacts(id, await this.#identify(`identify namespace ${id}`, Identify.NAMESPACE, id)));
    }
    return facts;
  }

  /** @param {number} namespacesMax @param {number} version @returns {Promise<number[]>} */
  async #namespaceIds(namespacesMax, version) {
    // Version 1.0 has no list; all of them are there then.
    if (version < 0x1_0100) checkCount(namespacesMax);
    if (version < 0x1_0100) return Array.from({ length: namespacesMax }, (_, i) => i + 1);
    /** @type {number[]} */
    const all = [];
    for (;;) {
      const last = all.at(-1) ?? 0;
      const more = namespaceIds(await this.#identify("list namespaces", Identify.ACTIVE_NAMESPACES, last));
      if (more.some((id, i) => id <= (more[i - 1] ?? last))) {
        throw new NvmeError("ERR_NVME_LIST", `the controller's list of namespaces does not ascend: ${more.join(", ")}`);
      }
      all.push(...more);
      checkCount(all.length);
      if (more.length < IDENTIFY_BYTES / 4) return all;
    }
  }

  /** Asks for pairs of I/O queues; gives how many there may be, which can be fewer. @param {number} count */
  async allowedQueues(count) {
    const wanted = (count - 1) | ((count - 1) << 16);
    const words = [FEATURE_NUMBER_OF_QUEUES, wanted];
    const allowed = await this.run("set the number of queues", { opcode: Admin.SET_FEATURES, words });
    return Math.min(count, (allowed & 0xffff) + 1, (allowed >>> 16) + 1);
  }

  /** Completions first: the other names them. @param {QueuePair} queue @param {number} vector -1: without interrupts. */
  async create({ id, entries, submissionIova, completionIova }, vector) {
    const sizes = id | ((entries - 1) << 16);
    const interrupts = vector < 0 ? 0 : (vector << 16) | INTERRUPTS;
    await this.run(`create completion queue ${id}`, {
      opcode: Admin.CREATE_COMPLETION_QUEUE,
      prp1: completionIova,
      words: [sizes, interrupts | CONTIGUOUS],
    });
    await this.run(`create submission queue ${id}`, {
      opcode: Admin.CREATE_SUBMISSION_QUEUE,
      prp1: submissionIova,
      words: [sizes, (id << 16) | CONTIGUOUS],
    });
  }

  /** @param {QueuePair} queue */
  async delete({ id }) {
    await this.run(`delete submission queue ${id}`, { opcode: Admin.DELETE_SUBMISSION_QUEUE, words: [id] });
    await this.run(`delete completion queue ${id}`, { opcode: Admin.DELETE_COMPLETION_QUEUE, words: [id] });
  }

  /** The controller must be stopped. */
  close() {
    this.#memory.close();
    this.queue.close();
  }
}
