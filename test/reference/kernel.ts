/**
 * The part of Linux's sPAPR TCE v2 driver that maps and unmaps, on plain collections. It says what the kernel *really*
 * has, so a test can ask whether the core's tables say the same.
 *
 * It is stricter than the kernel: where the kernel would answer 0 and do harm in silence, it throws.
 */
import { constants } from "node:os";
import { Status } from "../../src/core.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { isAligned } from "./bits.ts";
import { overlap } from "./range.ts";
import { mapStruct, registerStruct, unmapStruct } from "./structs.ts";
import { type Call, fieldsOf, mustBeUnmap, notOfABatch, type Request, type Twin } from "./twin.ts";
import type { WindowTwin } from "./window.ts";

export interface Registration {
  readonly va: bigint;
  readonly length: bigint;
}

const { EINVAL, EBUSY, ENOENT, ENXIO } = constants.errno;

export class KernelTwin implements Twin {
  readonly iommu = IommuType.SPAPR_TCE_V2;
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
    const { argsz, flags, field } = fieldsOf(bytes);
    switch (call) {
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        return argsz < 24 || flags !== 0 ? -EINVAL : this.#register(field(8), field(16));
      case VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY:
        return argsz < 24 || flags !== 0 ? -EINVAL : this.#unregister(field(8), field(16));
      case VfioCall.IOMMU_MAP_DMA:
        return argsz < 32 || flags < 1 || flags > 3 ? -EINVAL : this.#map(field(8), field(16), field(24));
      case VfioCall.IOMMU_UNMAP_DMA:
        mustBeUnmap(argsz);
        return flags !== 0 ? -EINVAL : this.#unmap(field(8), field(16));
      default:
        throw notOfABatch(call);
    }
  }

  get pieces(): number {
    return this.registrations.length;
  }

  /** Memory of which nothing is registered needs a REGISTER; else what is there must reach through, and be in use. */
  mapStatus({ va, length }: Request): number {
    const there = this.registrationsIn(va, length);
    if (there.length === 0) {
      if (!isAligned(va, this.cpuPageShift)) return Status.UNALIGNED_VA;
      return isAligned(length, this.cpuPageShift) ? Status.OK : Status.UNALIGNED_LENGTH;
    }
    let reached = va;
    for (const each of there) {
      if (each.va > reached) break;
      if (!this.isMapped(each)) return Status.STALE_REGISTRATION;
      reached = each.va + each.length;
    }
    return reached >= va + length ? Status.OK : Status.PARTLY_REGISTERED;
  }

  unmapStatus(): number {
    return Status.OK;
  }

  *mapCalls({ va, iova, length, permission = 0 }: Request): Iterable<Call> {
    if (!this.isRegistered(va, length)) yield [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, registerStruct(va, length)];
    yield [VfioCall.IOMMU_MAP_DMA, mapStruct(permission, va, iova, length)];
  }

  *unmapCalls({ va, iova, length }: Request): Iterable<Call> {
    yield [VfioCall.IOMMU_UNMAP_DMA, unmapStruct(iova, length)];
    for (const each of this.registrationsIn(va, length)) {
      if (!this.isMapped(each)) yield [VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, registerStruct(each.va, each.length)];
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
