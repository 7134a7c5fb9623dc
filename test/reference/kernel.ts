/**
 * The part of Linux's sPAPR TCE v2 driver that maps and unmaps, on plain collections. It says what the kernel *really*
 * has, so a test can ask whether the core's tables say the same.
 *
 * It is stricter than the kernel: where the kernel would answer 0 and do harm in silence, it throws.
 */
import { constants } from "node:os";
import { VfioCall } from "../../src/syscalls.ts";
import { isAligned } from "./bits.ts";
import { overlap } from "./range.ts";
import type { WindowTwin } from "./window.ts";

export interface Registration {
  readonly va: bigint;
  readonly length: bigint;
}

const { EINVAL, EBUSY, ENOENT, ENXIO } = constants.errno;

export class KernelTwin {
  readonly cpuPageShift: number;
  readonly windows: WindowTwin[];
  registrations: Registration[] = [];

  constructor(cpuPageShift: number, windows: WindowTwin[]) {
    this.cpuPageShift = cpuPageShift;
    this.windows = windows;
  }

  clone(): KernelTwin {
    const copy = new KernelTwin(
      this.cpuPageShift,
      this.windows.map((window) => window.clone()),
    );
    copy.registrations = [...this.registrations];
    return copy;
  }

  /** Carries out one call on the bytes of its struct, and gives the kernel's answer. */
  execute(call: number, bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const argsz = view.getUint32(0, true);
    const flags = view.getUint32(4, true);
    const field = (offset: number) => view.getBigUint64(offset, true);
    switch (call) {
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        return argsz < 24 || flags !== 0 ? -EINVAL : this.#register(field(8), field(16));
      case VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY:
        return argsz < 24 || flags !== 0 ? -EINVAL : this.#unregister(field(8), field(16));
      case VfioCall.IOMMU_MAP_DMA:
        return argsz < 32 || flags < 1 || flags > 3 ? -EINVAL : this.#map(field(8), field(16), field(24));
      case VfioCall.IOMMU_UNMAP_DMA:
        if (argsz !== 24) throw new Error(`UNMAP_DMA was given a struct of ${argsz} bytes`);
        return flags !== 0 ? -EINVAL : this.#unmap(field(8), field(16));
      default:
        throw new Error(`call ${call} is not one of a batch`);
    }
  }

  /** The registrations that have a byte in [va, va + length), in order of addresses. */
  registrationsIn(va: bigint, length: bigint): Registration[] {
    return this.registrations
      .filter((each) => overlap(va, va + length - 1n, each.va, each.va + each.length - 1n))
      .sort((a, b) => (a.va < b.va ? -1 : 1));
  }

  /** Whether a page that lies in the registration is mapped in any window. */
  isMapped(registration: Registration): boolean {
    return this.windows.some((window) => {
      const first = registration.va - (registration.va % window.page);
      for (const va of window.pages(first, registration.va + registration.length - first)) {
        if (window.iovaOf.has(va)) return true;
      }
      return false;
    });
  }

  hasIdle(): boolean {
    return this.registrations.some((registration) => !this.isMapped(registration));
  }

  /** Whether all of [va, va + length) is registered, by one registration or by neighbours. */
  isRegistered(va: bigint, length: bigint): boolean {
    let reached = va;
    for (const each of this.registrationsIn(va, length)) {
      if (each.va > reached) return false;
      reached = each.va + each.length;
    }
    return reached >= va + length;
  }

  #register(va: bigint, length: bigint): number {
    if (!isAligned(va, this.cpuPageShift) || !isAligned(length, this.cpuPageShift)) return -EINVAL;
    const there = this.registrationsIn(va, length);
    if (there.some((each) => each.va === va && each.length === length)) return -EBUSY;
    if (there.length > 0) return -EINVAL;
    this.registrations.push({ va, length });
    return 0;
  }

  #unregister(va: bigint, length: bigint): number {
    const registration = this.registrations.find((each) => each.va === va && each.length === length);
    if (!registration) return -ENOENT;
    if (this.isMapped(registration)) throw new Error(`UNREGISTER of 0x${va.toString(16)}, which is mapped: a zombie`);
    this.registrations = this.registrations.filter((each) => each !== registration);
    return 0;
  }

  #map(va: bigint, iova: bigint, length: bigint): number {
    const window = this.windows.find((each) => each.contains(iova, 1n));
    if (!window) return -ENXIO;
    if (!window.contains(iova, length)) throw new Error(`MAP_DMA runs past the end of the window: an Oops`);
    for (const address of [va, iova, length]) if (!isAligned(address, window.pageShift)) return -EINVAL;
    if (!this.isRegistered(va, length)) return -EINVAL;
    for (const page of window.pages(iova, length)) {
      if (window.memoryAt.has(page)) throw new Error(`MAP_DMA replaces what is mapped at 0x${page.toString(16)}`);
      if (window.iovaOf.has(va + page - iova)) throw new Error("MAP_DMA maps memory a second time in a window");
      window.setPage(page, va + page - iova);
    }
    return 0;
  }

  #unmap(iova: bigint, length: bigint): number {
    const window = this.windows.find((each) => each.contains(iova, 1n));
    if (!window) return -ENXIO;
    for (const page of window.pages(iova, length)) {
      if (!window.memoryAt.has(page)) throw new Error(`UNMAP_DMA of 0x${page.toString(16)}, which is not mapped`);
      window.clearPage(page);
    }
    return 0;
  }
}
