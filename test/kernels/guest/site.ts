/** What each part of the guest's program begins with. */
import {
  type Container,
  type Device,
  openContainer,
  planWindow,
  type SpaprInfo,
  type Window,
} from "../../../src/index.ts";
import type { IommuInfo } from "../../../src/iommu.ts";
import { MapFlag, Protection } from "../../../src/syscalls.ts";
import { Door } from "./door.ts";
import {
  type BoundDevice,
  type Found,
  type GuestMachine,
  type NvmeDevice,
  thisMachine,
  versionsHere,
} from "./machine.ts";
import { report } from "./say.ts";

export const KiB = 1n << 10n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;

/** Where PowerNV's second window begins, and every window of an LPAR but those like its default one. */
export const HIGH = 1n << 59n;

export class Site {
  readonly kernel = new Door();
  readonly machine: GuestMachine;
  readonly devices: readonly BoundDevice[];
  readonly #nvme: NvmeDevice | undefined;
  /** A device with BARs of other kinds, where there is one. */
  readonly card: Found["card"];
  /** An NVMe controller without a disk, behind a root port, where there is one. */
  readonly port: Found["port"];
  /** Whether rows may leave behind what nothing but a start of the machine takes away. */
  readonly isExpendable: boolean;
  readonly #lockedBefore: bigint;

  constructor() {
    const { machine, devices, nvme, card, port, isExpendable } = thisMachine(this.kernel);
    this.#nvme = nvme;
    this.card = card;
    this.port = port;
    this.machine = machine;
    this.devices = devices;
    this.isExpendable = isExpendable;
    this.#lockedBefore = this.locked;
    report({ kind: "machine", ...versionsHere(), cpuPage: this.kernel.pageSize });
  }

  get page(): bigint {
    return BigInt(this.kernel.pageSize);
  }

  get isSpapr(): boolean {
    return this.machine.machine === "pseries" || this.machine.machine === "powernv";
  }

  /** VmLck. */
  get locked(): bigint {
    return this.kernel.lockedMemory().used;
  }

  /** Whether all devices do DMA where they are told. No other may be opened. */
  get hasEdu(): boolean {
    return this.devices.every(({ isEdu }) => isEdu);
  }

  /** The first device, or the second. */
  device(index = 0): BoundDevice {
    const found = this.devices[index];
    if (found === undefined) throw new Error(`this machine has ${this.devices.length} devices`);
    return found;
  }

  /** The NVMe controller, with a disk that the host has made. */
  get nvme(): NvmeDevice {
    if (this.#nvme === undefined) throw new Error("this machine has no NVMe controller for tests");
    return this.#nvme;
  }

  /** The controller as a device, without a driver. */
  openNvme(): { readonly container: Container; readonly device: Device; close(): void } {
    const container = openContainer({ kernel: this.kernel, devices: [this.nvme.name] });
    return { container, device: container.device(), close: () => container.close() };
  }

  open(index = 0): Container {
    return openContainer({ kernel: this.kernel, groups: [this.device(index).group] });
  }

  /** Memory of which every page is there. `shift`: hugepages. @throws Error */
  memory(length: bigint, shift?: number): bigint {
    const flags = MapFlag.POPULATE | (shift === undefined ? 0 : MapFlag.HUGETLB);
    const va = this.kernel.mmap(0n, length, Protection.READ | Protection.WRITE, flags, shift ?? 0);
    if (va < 0n) throw new Error(`mmap of ${length} bytes with pages of 2^${shift ?? 0}: errno ${-va}`);
    return va;
  }

  /** Says what is locked that was not when the part began: call it when everything is closed. */
  reportLeaks(): void {
    report({ kind: "leak", kib: Number((this.locked - this.#lockedBefore) / KiB) });
  }
}

/** A window of `size` bytes for memory with pages of `pageSize` bytes. */
export function windowFor(container: Container, size: bigint, pageSize: bigint): Window {
  const info = withPagesOf(container.info(), pageSize);
  const lists = [{ base: 0n, length: pageSize, pageSize }];
  return container.createWindow(planWindow({ memory: { lists }, info, growTo: size }));
}

/** Without the IOMMU's page sizes above the memory's own: the window's place depends on them on an LPAR. */
function withPagesOf<T extends IommuInfo | SpaprInfo>(info: T, pageSize: bigint): T {
  return { ...info, pageSizes: info.pageSizes & ((pageSize << 1n) - 1n) };
}
