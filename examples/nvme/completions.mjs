// @ts-check
/**
 * How completions are noticed: by MSI-X, a vector for each pair of queues where there are as many; by the interrupt line; or by looking, again
 * and again, while a command is under way.
 */
import { NvmeError } from "./errors.mjs";

/** @typedef {import("./queue.mjs").QueuePair} QueuePair */
/** @typedef {import("./types.d.ts").DriverDevice} DriverDevice */
/** @typedef {"poll" | "msix" | "intx"} CompletionMode */

/** @type {readonly CompletionMode[]} */
export const COMPLETION_MODES = ["poll", "msix", "intx"];

export class Completions {
  mode;
  /** Interrupts that were heard. */
  interrupts = 0;
  #queues;
  #broken;
  /** @type {import("./types.d.ts").Vectors | undefined} */
  #vectors;
  #isLooking = false;
  #isOpen = true;

  /**
   * @param {CompletionMode} mode @param {() => readonly QueuePair[]} queues All of them, the admin queues first.
   * @param {(error: unknown) => void} broken Told of what was thrown where nobody called: in a listener.
   */
  constructor(mode, queues, broken) {
    this.mode = mode;
    this.#queues = queues;
    this.#broken = broken;
  }

  /**
   * Switches interrupts on, all at once: on POWER vectors cannot be added later.
   *
   * @param {DriverDevice} device @param {number} queues Pairs of queues, with the admin queues.
   */
  listen(device, queues) {
    if (this.mode === "poll") return;
    const { msix, intx } = device.info.irqs;
    if ((this.mode === "msix" ? msix : intx).count === 0) {
      const [wanted, instead] = this.mode === "msix" ? ["MSI-X", "intx"] : ["interrupt line", "msix"];
      throw new NvmeError("ERR_NVME_INTERRUPTS", `${device.address} has no ${wanted}: take "${instead}" or "poll"`);
    }
    const vectors = this.mode === "msix" ? device.irqs.msix(Math.min(queues, msix.count)) : device.irqs.intx();
    this.#vectors = vectors;
    for (let i = 0; i < vectors.count; i++) {
      vectors.vector(i).on(() => {
        this.interrupts++;
        this.#poll((queue) => this.vectorOf(queue.id) === i);
      });
    }
  }

  /** Which vector completions of a queue raise; -1: none. @param {number} id */
  vectorOf(id) {
    return this.#vectors === undefined ? -1 : id % this.#vectors.count;
  }

  /** A command was put. */
  expect() {
    if (this.mode !== "poll" || this.#isLooking || !this.#isOpen) return;
    this.#isLooking = true;
    const look = () => {
      this.#poll(() => true);
      this.#isLooking = this.#isOpen && this.#queues().some((queue) => queue.inFlight > 0);
      if (this.#isLooking) setImmediate(look);
    };
    setImmediate(look);
  }

  /** @param {(queue: QueuePair) => boolean} isMeant */
  #poll(isMeant) {
    try {
      for (const queue of this.#queues()) if (isMeant(queue)) queue.poll();
    } catch (error) {
      this.#broken(error);
    }
  }

  close() {
    this.#isOpen = false;
    this.#vectors?.disable();
    this.#vectors = undefined;
  }
}
