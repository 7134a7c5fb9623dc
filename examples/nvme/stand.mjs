// @ts-check
/**
 * From an address to a controller at work: what every program on this library does, in order, and back again.
 *
 *     kernel -> device, bound to VFIO -> memory -> container -> window -> heap -> device, open -> controller
 */
import {
  bindToVfio,
  DmaHeap,
  linuxKernel,
  MemsegTable,
  modelKernel,
  openContainer,
  pciDevice,
  planWindow,
  readHugepages,
  readIomem,
  softwareNvme,
} from "dma-window";
import { Controller } from "./controller.mjs";
import { NvmeError } from "./errors.mjs";

/** @typedef {import("dma-window").Syscalls} Syscalls */

/** Class, subclass and interface of an NVMe controller. */
const NVME_CLASS = 0x010802;

const MIB = 1 << 20;

/**
 * @typedef {object} StandOptions
 * @property {Syscalls} kernel
 * @property {string} address `0000:01:00.0`
 * @property {boolean} [noIommu] The device's group has no IOMMU: it reaches all memory.
 * @property {boolean} [force] Also a device that is in use: what is on it may be lost.
 * @property {Partial<import("dma-window").PlanRequest>} [plan] What else the window is to be.
 * @property {number | bigint} [pageSize] Of the memory. Default: hugepages where there are enough, else the CPU's pages.
 * @property {import("./settings.mjs").Settings} [settings] Of the controller.
 */

/**
 * A software controller in a software machine, for programs that have no other.
 *
 * @param {{ platform?: string, address?: string } & import("dma-window").NvmeOptions} [options]
 */
export const modelMachine = ({ platform = "powernv", address = "0000:01:00.0", ...disk } = {}) =>
  modelKernel({
    platform: /** @type {"powernv" | "pseries" | "type1" | "noiommu"} */ (platform),
    devices: [softwareNvme({ address, ...disk })],
  });

/** A machine's own kernel. */
export const ownMachine = () => linuxKernel();

/** A controller, and all that is under it. */
export class Stand {
  controller;
  device;
  window;
  heap;
  /** In the order in which they were made. @type {[what: string, end: () => unknown][]} */
  #ends;

  /**
   * @param {StandOptions} options
   * @returns {Promise<Stand>}
   */
  static async open({ kernel, address, noIommu = false, force = false, plan = {}, pageSize, settings = {} }) {
    /** @type {[what: string, end: () => unknown][]} */
    const ends = [];
    try {
      const found = pciDevice(address, { kernel });
      if (found.class !== NVME_CLASS) {
        const what = `its class is 0x${found.class.toString(16).padStart(6, "0")}`;
        throw new NvmeError("ERR_NVME_UNSUPPORTED", `${address} is no NVMe controller: ${what}, and theirs 0x010802`);
      }
      const binding = bindToVfio(address, { kernel, force }); // says what would be lost, and refuses, unless forced
      ends.push(["binding", () => binding.restore()]);
      const memory = new MemsegTable({ kernel, physical: noIommu });
      ends.push(["memory", () => memory.close()]);
      const bytes = bytesFor(settings);
      const page = BigInt(pageSize ?? pageSizeFor(kernel, bytes));
      const list = memory.addList({ pageSize: page, maxBytes: wholePages(bytes, page) });
      const container = openContainer({ kernel, devices: [address], noIommu });
      ends.push(["container", () => container.close()]);
      const window = container.createWindow(
        planWindow({ memory, info: container.info(), ...(noIommu ? reachOf(kernel) : {}), ...plan }),
      );
      container.attach(memory);
      const heap = new DmaHeap({ memory, list, window, name: "nvme" });
      ends.push(["heap", () => heap.close()]);
      const device = await container.openDevice(address);
      const cpuPageBytes = Math.min(kernel.pageSize, Number(1n << BigInt(window.pageShift)));
      const controller = await Controller.open(device, heap, { cpuPageBytes, ...settings });
      ends.push(["controller", () => closeSurely(controller, device)]);
      return new Stand({ controller, device, window, heap, ends });
    } catch (error) {
      await endAll(ends).catch(() => {}); // the first error says why
      throw error;
    }
  }

  /**
   * @param {{ controller: Controller, device: import("dma-window").Device, window: import("dma-window").Window, heap: DmaHeap,
   * ends: [what: string, end: () => unknown][] }} parts
   */
  constructor({ controller, device, window, heap, ends }) {
    this.controller = controller;
    this.device = device;
    this.window = window;
    this.heap = heap;
    this.#ends = ends;
  }

  /**
   * Rejects when the disk has to be given back: somebody unbinds the device, and the kernel waits until it is closed, or the program is to end,
   * as `signals` heard. Never fulfilled.
   *
   * @param {Signals} [signals]
   * @returns {Promise<never>}
   */
  wanted(signals) {
    return new Promise((_, reject) => {
      const end = (/** @type {string} */ why) => reject(new NvmeError("ERR_NVME_WANTED", why));
      if (this.device.info.irqs.request.count > 0) {
        this.device.on("request", () => end("somebody wants the device back: it was closed"));
      }
      signals?.first.then((signal) => end(`${signal}: the disk was given back`));
    });
  }

  /** Gives all of it back, the last first, the disk to the driver that had it. @throws the first of what went wrong; the rest is done all the same. */
  async close() {
    await endAll(this.#ends);
  }
}

/**
 * The first of the signals that end a program, from now on: also one that comes while a device is being opened, which is not to be left with
 * VFIO. The next one ends the program at once.
 */
export class Signals {
  /** @type {Promise<string>} */
  first;
  /** @type {(() => void)[]} */
  #listeners = [];

  constructor() {
    this.first = new Promise((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM"]) {
        const listener = () => {
          this.end(); // whoever asks twice does not want to wait
          resolve(signal);
        };
        process.once(signal, listener);
        this.#listeners.push(() => process.off(signal, listener));
      }
    });
  }

  /** They are heard no more. */
  end() {
    for (const off of this.#listeners.splice(0)) off();
  }
}

/** @param {[what: string, end: () => unknown][]} ends */
async function endAll(ends) {
  /** @type {unknown} */
  let problem;
  for (const [, end] of ends.splice(0).reverse()) {
    try {
      await end();
    } catch (error) {
      problem ??= error;
    }
  }
  if (problem !== undefined) throw problem;
}

/**
 * A controller that cannot be stopped keeps its memory; a device that was closed reaches none.
 *
 * @param {Controller} controller @param {import("dma-window").Device} device
 */
async function closeSurely(controller, device) {
  try {
    await controller.close();
  } catch (error) {
    if (controller.state !== "closed") {
      device.close();
      await controller.close();
    }
    throw error;
  }
}

/** Memory for buffers, rings and lists, and room for the heap to divide it. @param {import("./settings.mjs").Settings} settings */
function bytesFor({ queues = 1, depth = 32, transferBytes = 128 << 10, buffers = queues * depth }) {
  const rings = (queues + 1) * (depth + 1) * 128;
  const wanted = Math.ceil(1.25 * (buffers * (transferBytes + 4096) + rings)) + 4 * MIB;
  return Math.ceil(wanted / (2 * MIB)) * 2 * MIB;
}

/**
 * Without an IOMMU a device's addresses are those of the machine, so the window reaches to the end of its RAM. The software machine has at
 * most 64 GiB.
 *
 * @param {Syscalls} kernel
 */
function reachOf(kernel) {
  return kernel.name === "linux" ? { highestRam: readIomem().highest } : { growTo: 64n << 30n };
}

/** @param {number} bytes @param {bigint} page */
const wholePages = (bytes, page) => ((BigInt(bytes) + page - 1n) / page) * page;

/** The smallest hugepages of which there are enough; else the CPU's own pages. @param {Syscalls} kernel @param {number} bytes */
function pageSizeFor(kernel, bytes) {
  const pools = kernel.files === undefined ? [] : readHugepages(kernel.files);
  const pool = pools.find(
    ({ pageSize, available }) =>
      pageSize <= 32n * BigInt(MIB) && BigInt(available) * pageSize >= wholePages(bytes, pageSize),
  );
  return pool?.pageSize ?? kernel.pageSize;
}
