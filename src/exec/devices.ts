import type { Bus, DmaResult, ModelPciDevice, Plugged } from "../model/index.ts";
import { ModelUnknown } from "../model/index.ts";

/** A device moved data, or wanted to. */
export interface DeviceAccess {
  /** Its address on the bus. */
  readonly name: string;
  readonly group: number;
  readonly way: "read" | "write";
  readonly iova: bigint;
  readonly length: number;
  /** Why nobody knows what it found there: the model has not the memory any more. */
  readonly unknown: string | undefined;
  /** It went to a physical address, and nobody knows whose memory that is. */
  readonly isPhysical: boolean;
}

/** Where a model's devices are. */
export interface Places {
  readonly devices: readonly { readonly device: ModelPciDevice; readonly address: string; readonly group: number }[];
  readonly groups: readonly { readonly number: number; readonly noIommu: boolean }[];
}

/** What has to be done around a device's work. */
export interface DeviceSurroundings {
  /** It is about to do something of its own accord, unless it is reset here. */
  beforeWork(): void;
  /** It may have raised interrupts. */
  afterWork(): void;
  accessed(access: DeviceAccess): void;
}

/**
 * The devices of a model whose program is another process. They are the very same, but for two things: no BAR of theirs can be mapped,
 * since nobody sees what a program does in its own memory; and whether one has work under way is known, because the event loop has to
 * have its turn for that.
 */
export class Devices {
  /** To be plugged into a model. */
  readonly all: readonly ModelPciDevice[];
  surroundings: DeviceSurroundings = { beforeWork() {}, afterWork() {}, accessed() {} };
  readonly #watched: readonly WatchedDevice[];

  constructor(devices: readonly ModelPciDevice[]) {
    this.#watched = devices.map((device) => new WatchedDevice(device, () => this.surroundings));
    this.all = this.#watched;
  }

  /** Where the model has put them. */
  placed({ devices, groups }: Places): void {
    for (const { device, address, group } of devices) {
      if (!(device instanceof WatchedDevice)) continue;
      device.place = { name: address, group };
      device.hasIommu = groups.some(({ number, noIommu }) => number === group && !noIommu);
    }
  }

  /** Whether there is one that may move data. */
  get areThere(): boolean {
    return this.#watched.length > 0;
  }

  /** A device does something in a later turn of the event loop. */
  get isBusy(): boolean {
    return this.#watched.some(({ pending }) => pending > 0);
  }
}

class WatchedDevice implements ModelPciDevice {
  readonly facts: ModelPciDevice["facts"];
  readonly group?: number;
  readonly address?: string;
  readonly driver?: string;
  place = { name: "", group: 0 };
  hasIommu = true;
  /** Work that was put off. */
  pending = 0;
  readonly #device: ModelPciDevice;
  readonly #around: () => DeviceSurroundings;
  /** Counts resets: what was put off before one is not done. */
  #era = 0;

  constructor(device: ModelPciDevice, around: () => DeviceSurroundings) {
    this.#device = device;
    this.#around = around;
    const { facts, group, address, driver } = device;
    const bars = facts.bars.map((bar) => (bar.ports ? bar : { ...bar, mappable: false }));
    this.facts = { ...facts, bars };
    if (group !== undefined) this.group = group;
    if (address !== undefined) this.address = address;
    if (driver !== undefined) this.driver = driver;
  }

  plug(bus: Bus): Plugged {
    const plugged = this.#device.plug({
      read: (iova, into) => this.#access("read", iova, into, bus.read),
      write: (iova, from) => this.#access("write", iova, from, bus.write),
      raise: bus.raise,
      line: bus.line,
      later: (work) => this.#later(work, bus),
    });
    return {
      read: (bar, offset, width) => plugged.read(bar, offset, width),
      write: (bar, offset, width, value) => plugged.write(bar, offset, width, value),
      reset: () => {
        this.#era++;
        this.pending = 0;
        plugged.reset();
      },
      state: () => plugged.state?.(),
    };
  }

  #later(work: () => void, bus: Bus): void {
    const era = this.#era;
    this.pending++;
    bus.later(() => {
      this.#around().beforeWork();
      if (this.#era !== era) return;
      this.pending--;
      work();
      this.#around().afterWork();
    });
  }

  #access(way: "read" | "write", iova: bigint, buffer: Uint8Array, move: Bus["read"]): DmaResult {
    const access = { ...this.place, way, iova, length: buffer.length, unknown: undefined, isPhysical: false };
    try {
      const result = move(iova, buffer);
      // Without an IOMMU the model finds memory by its physical address, and knows of none.
      const isPhysical = !this.hasIommu && result.fault?.why === "not mapped";
      this.#around().accessed({ ...access, length: isPhysical ? buffer.length : result.bytes, isPhysical });
      return result;
    } catch (error) {
      if (!(error instanceof ModelUnknown)) throw error;
      this.#around().accessed({ ...access, unknown: error.message });
      // The device does not notice.
      return { bytes: buffer.length };
    }
  }
}
