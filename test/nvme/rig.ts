/** A software machine with a software controller, and the driver on it: what is under a controller, open, so that a test may stand in between. */
import {
  type Container,
  type Device,
  DmaHeap,
  MemsegTable,
  modelKernel,
  type NvmeOptions,
  openContainer,
  planWindow,
  softwareNvme,
} from "dma-window";
import * as assert from "uvu/assert";
import { Controller } from "../../examples/nvme/controller.mjs";
import type { Settings } from "../../examples/nvme/settings.mjs";
import type { DriverDevice, Registers32 } from "../../examples/nvme/types.d.ts";

export type Platform = "powernv" | "pseries" | "type1";

export const PLATFORMS: readonly Platform[] = ["powernv", "pseries", "type1"];
export const MODES = ["poll", "msix", "intx"] as const;

export const ADDRESS = "0000:01:00.0";

export interface Rig {
  readonly kernel: ReturnType<typeof modelKernel>;
  readonly container: Container;
  readonly device: Device;
  readonly heap: DmaHeap;
  open(settings?: Settings, device?: DriverDevice): Promise<Controller>;
  /** Closes all, and nothing may be left behind. */
  end(): void;
}

/** A controller that a failing test has left open would keep the process for ever. */
const opened: Controller[] = [];

export async function closeLeft(): Promise<void> {
  for (const controller of opened.splice(0))
    if (controller.state !== "closed") await controller.close().catch(() => {});
}

export async function makeRig(nvme: NvmeOptions = {}, platform: Platform = "powernv"): Promise<Rig> {
  const kernel = modelKernel({ platform, devices: [softwareNvme({ address: ADDRESS, ...nvme })] });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 256 << 20 });
  const container = openContainer({ kernel, devices: [ADDRESS] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const heap = new DmaHeap({ memory, list, window });
  const device = await container.openDevice(ADDRESS);
  return {
    kernel,
    container,
    device,
    heap,
    async open(settings = {}, instead = device) {
      const controller = await Controller.open(instead, heap, { timeoutMs: 2000, ...settings });
      opened.push(controller);
      return controller;
    },
    end() {
      heap.close(); // refused where the driver has left anything
      container.close();
      memory.close();
      assert.equal(kernel.leaks(), []);
    },
  };
}

/** The device with other registers in front of its own, and whatever else is given instead. */
export function inFront(
  device: Device,
  registers: Partial<Registers32>,
  instead: Partial<DriverDevice> = {},
): DriverDevice {
  const bar = device.bar(0);
  const shown = {
    length: bar.length,
    read32: (offset: number) => bar.read32(offset),
    write32: (offset: number, value: number) => bar.write32(offset, value),
    ...registers,
  };
  const all: DriverDevice = {
    address: device.address,
    info: device.info,
    irqs: device.irqs,
    canReset: device.canReset,
    get gone() {
      return device.gone;
    },
    get busMaster() {
      return device.busMaster;
    },
    set busMaster(on) {
      device.busMaster = on;
    },
    bar: () => shown,
    resetAsync: () => device.resetAsync(),
  };
  return Object.defineProperties(all, Object.getOwnPropertyDescriptors(instead)); // getters stay getters
}

/** Bytes of which every 4 KiB are others. */
export function pattern(bytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(bytes / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e37_79b1) ^ Math.imul(seed, 0x85eb_ca6b);
  return new Uint8Array(words.buffer);
}

export const isSame = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/** What a promise rejects with: its code. `"done"` where it does not. */
export const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: { code?: string }) => error.code ?? String(error),
  );
