import { constants } from "node:os";
import * as assert from "uvu/assert";
import type { Bus, Plugged, PluggedFacts } from "../../src/model/index.ts";
import { type ModelKernel, type ModelOptions, type ModelPciDevice, modelKernel } from "../../src/model/index.ts";
import { IommuType, type Registers, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { Rig } from "../model/rig.ts";

export const errno = constants.errno;
export const MiB = 1n << 20n;
export const CONFIG = 7n << 40n;

/** Of SET_IRQS. */
export const NONE = 1;
export const BOOL = 2;
export const EVENTFD = 4;
export const MASK = 8;
export const UNMASK = 0x10;
export const TRIGGER = 0x20;
export const INTX = 0;
export const MSI = 1;
export const MSIX = 2;
export const ERROR = 3;
export const REQUEST = 4;

/** Platforms, as the observations have them: an x86, an LPAR, PowerNV with pages of 4 and 64 KiB. */
export const machines = {
  x86: { platform: "type1" },
  ps: { platform: "pseries" },
  pnv: { platform: "powernv" },
  "pnv 64K": { platform: "powernv", pageSize: 65536 },
} satisfies Record<string, ModelOptions>;

export type MachineName = keyof typeof machines;

/** What QEMU's nvme is to VFIO. */
export const nvmeFacts: PluggedFacts = {
  vendor: 0x1b36,
  device: 0x0010,
  class: 0x010802,
  revision: 2,
  bars: [{ index: 0, bytes: 16384 }],
  msix: { vectors: 65, table: 0x2000, pending: 0x3000 },
  intx: true,
};

/** A device that keeps what is written to it, and is told by a test what to send. */
export class Probe implements ModelPciDevice, Plugged {
  readonly facts: PluggedFacts;
  readonly group?: number;
  readonly address?: string;
  /** Each access: `read 0 0x10 4`, `write 0 0x10 4 0x5`. */
  readonly accesses: string[] = [];
  readonly registers = new Map<string, number | bigint>();
  resets = 0;
  bus!: Bus;

  constructor(facts: Partial<PluggedFacts> = {}, place: { group?: number; address?: string } = {}) {
    this.facts = { ...nvmeFacts, ...facts };
    Object.assign(this, place);
  }

  plug(bus: Bus): Plugged {
    this.bus = bus;
    return this;
  }

  read(bar: number, offset: number, width: number): number | bigint {
    this.accesses.push(`read ${bar} 0x${offset.toString(16)} ${width}`);
    return this.registers.get(`${bar} ${offset}`) ?? 0;
  }

  write(bar: number, offset: number, width: number, value: number | bigint): void {
    this.accesses.push(`write ${bar} 0x${offset.toString(16)} ${width} 0x${value.toString(16)}`);
    this.registers.set(`${bar} ${offset}`, value);
  }

  reset(): void {
    this.resets++;
    this.registers.clear();
  }
}

/** A program that has a container with the groups of some devices, and opens devices. */
export class DeviceRig extends Rig {
  override readonly kernel: ModelKernel;
  readonly #words = new DataView(this.memory.buffer);
  group = -1;

  constructor(kernel: ModelKernel) {
    super(kernel);
    this.kernel = kernel;
  }

  begin(group: number | string, type: number): this {
    this.container = this.kernel.open("/dev/vfio/vfio");
    this.group = this.kernel.open(`/dev/vfio/${group}`);
    assert.is(this.setContainer(this.group), 0);
    assert.is(this.kernel.ioctl(this.container, VfioCall.SET_IOMMU, type), 0);
    return this;
  }

  /** GET_DEVICE_FD. */
  open(address: string, group = this.group): number {
    this.memory.fill(0);
    this.memory.set(new TextEncoder().encode(address));
    return this.kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, this.memory, 0);
  }

  /** A struct of words, filled in behind with ee; gives the answer, and leaves the words. */
  ask(fd: number, call: VfioCall, ...words: number[]): number {
    this.memory.fill(0xee);
    for (const [place, word] of words.entries()) this.#words.setUint32(place * 4, word >>> 0, true);
    return this.kernel.ioctlStruct(fd, call, this.memory, 0);
  }

  /** The first words that the last call left. */
  words(count: number): number[] {
    return Array.from({ length: count }, (_, place) => this.#words.getUint32(place * 4, true));
  }

  setIrqs(fd: number, index: number, flags: number, start: number, count: number, values: number[] = []): number {
    const size = (flags & BOOL) !== 0 ? 1 : 4;
    this.memory.fill(0);
    for (const [place, word] of [20 + values.length * size, flags, index, start, count].entries()) {
      this.#words.setUint32(place * 4, word >>> 0, true);
    }
    for (const [place, value] of values.entries()) {
      if (size === 1) this.#words.setUint8(20 + place, value);
      else this.#words.setInt32(20 + place * 4, value, true);
    }
    return this.kernel.ioctlStruct(fd, VfioCall.DEVICE_SET_IRQS, this.memory, 0);
  }

  /** Eventfds for vectors from `start` on. */
  setVectors(fd: number, index: number, start: number, ...eventfds: number[]): number {
    return this.setIrqs(fd, index, EVENTFD | TRIGGER, start, eventfds.length, eventfds);
  }

  /** Reads so many bytes as one number. */
  read(fd: number, offset: bigint, bytes: number): number {
    const into = new Uint8Array(bytes);
    const answer = this.kernel.pread(fd, into, offset);
    return answer < 0 ? answer : into.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  write(fd: number, offset: bigint, bytes: number, value: number): number {
    const from = Uint8Array.from({ length: bytes }, (_, at) => Math.floor(value / 256 ** at));
    return this.kernel.pwrite(fd, from, offset);
  }

  config(fd: number, offset: number, bytes: number): number {
    return this.read(fd, CONFIG + BigInt(offset), bytes);
  }

  setConfig(fd: number, offset: number, bytes: number, value: number): number {
    return this.write(fd, CONFIG + BigInt(offset), bytes, value);
  }

  /** What each eventfd counted since it was asked last. */
  fired(...eventfds: number[]): number[] {
    return eventfds.map((fd) => this.kernel.takeEvents(fd));
  }

  eventfds(count: number): number[] {
    return Array.from({ length: count }, () => this.kernel.eventfd());
  }

  registers(fd: number, offset: bigint, length: number): Registers {
    const mapped = this.kernel.registers(fd, offset, length);
    assert.type(mapped, "object", `mmap answered ${mapped}`);
    return mapped as Registers;
  }
}

const TYPES = { type1: IommuType.TYPE1v2, powernv: IommuType.SPAPR_TCE_V2, pseries: IommuType.SPAPR_TCE_V2 } as const;

/** A machine with one device, which a program has opened. */
export function opened(name: MachineName = "x86", device: ModelPciDevice = new Probe(), options: ModelOptions = {}) {
  const machine: ModelOptions = { ...machines[name], ...options };
  const kernel = modelKernel({ ...machine, devices: [device] });
  const rig = new DeviceRig(kernel).begin(26, TYPES[machines[name].platform]);
  const address = kernel.device(26).name;
  const fd = rig.open(address);
  assert.ok(fd > 0, `GET_DEVICE_FD answered ${fd}`);
  return { kernel, rig, fd, address };
}

/** All turns of the event loop that are due, and those that they bring. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export type { Syscalls };
