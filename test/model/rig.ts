import { constants } from "node:os";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag, Protection, type Syscalls, VfioCall } from "../../src/syscalls.ts";

/** Page sizes and other lengths, in bytes. */
export const KiB = 1n << 10n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;
export const TiB = 1n << 40n;

/** Where the second window of PowerNV and every dynamic window of pSeries starts. */
export const HIGH = 1n << 59n;

export const RW = Protection.READ | Protection.WRITE;
export const errno = constants.errno;

interface Head {
  readonly argsz?: number;
  readonly flags?: number;
}

/** A program at the kernel's door: writes the structs by hand, so that any byte can be wrong on purpose. */
export class Rig {
  readonly kernel: Syscalls;
  readonly memory = new Uint8Array(256);
  readonly #view = new DataView(this.memory.buffer);
  container = -1;

  constructor(kernel: Syscalls) {
    this.kernel = kernel;
  }

  /** Opens a container and a group, and sets the IOMMU. */
  start(group: number | string = 26, type: number = IommuType.SPAPR_TCE_V2): this {
    this.container = this.kernel.open("/dev/vfio/vfio");
    const fd = this.kernel.open(`/dev/vfio/${group}`);
    this.setContainer(fd);
    this.kernel.ioctl(this.container, VfioCall.SET_IOMMU, type);
    return this;
  }

  setContainer(group: number, container = this.container): number {
    this.#view.setInt32(0, container, true);
    return this.kernel.ioctlStruct(group, VfioCall.GROUP_SET_CONTAINER, this.memory, 0);
  }

  groupStatus(group: number, argsz = 8): number {
    this.#view.setUint32(0, argsz, true);
    this.#view.setUint32(4, 0xffff_ffff, true);
    return this.kernel.ioctlStruct(group, VfioCall.GROUP_GET_STATUS, this.memory, 0);
  }

  register(va: bigint, size: bigint, { argsz = 24, flags = 0 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, argsz, flags, va, size);
  }

  unregister(va: bigint, size: bigint, { argsz = 24, flags = 0 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, argsz, flags, va, size);
  }

  map(va: bigint, iova: bigint, size: bigint, { argsz = 32, flags = 3 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_MAP_DMA, argsz, flags, va, iova, size);
  }

  unmap(iova: bigint, size: bigint, { argsz = 24, flags = 0 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_UNMAP_DMA, argsz, flags, iova, size);
  }

  /** UNMAP with the struct of MAP: the kernel takes vaddr for the IOVA, and the IOVA for the size. */
  unmapWithMapStruct(va: bigint, iova: bigint, size: bigint): number {
    return this.#call(VfioCall.IOMMU_UNMAP_DMA, 32, 0, va, iova, size);
  }

  create(pageShift: number, size: bigint, levels = 1, { argsz = 40, flags = 0 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_SPAPR_TCE_CREATE, argsz, flags, BigInt(pageShift), size, BigInt(levels), 0x77n);
  }

  /** Where the last `create` put its window. */
  get startAddress(): bigint {
    return this.#view.getBigUint64(32, true);
  }

  remove(start: bigint, { argsz = 16, flags = 0 }: Head = {}): number {
    return this.#call(VfioCall.IOMMU_SPAPR_TCE_REMOVE, argsz, flags, start);
  }

  info(argsz = 32): number {
    this.memory.fill(0xee);
    this.#view.setUint32(0, argsz, true);
    return this.kernel.ioctlStruct(this.container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, this.memory, 0);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  setU64(at: number, value: bigint): void {
    this.#view.setBigUint64(at, value, true);
  }

  /** Memory that can be pinned. */
  allocate(size: bigint, protection: number = RW): bigint {
    return this.kernel.mmap(0n, size, protection, 0, 0);
  }

  allocateHuge(size: bigint, shift: number): bigint {
    return this.kernel.mmap(0n, size, RW, MapFlag.HUGETLB, shift);
  }

  /** Locked bytes. */
  get locked(): bigint {
    return this.kernel.lockedMemory().used;
  }

  #call(call: VfioCall, argsz: number, flags: number, ...fields: bigint[]): number {
    this.#view.setUint32(0, argsz, true);
    this.#view.setUint32(4, flags, true);
    for (const [index, field] of fields.entries()) this.#view.setBigUint64(8 + index * 8, field, true);
    return this.kernel.ioctlStruct(this.container, call, this.memory, 0);
  }
}

/** `-22 (EINVAL)`, for messages. */
export function answer(result: number): string {
  const name = Object.entries(errno).find(([, value]) => value === -result)?.[0];
  return name === undefined ? String(result) : `${result} (${name})`;
}

/** A program on a new model, ready to map. */
export function started(options: ModelOptions = {}): Rig {
  return new Rig(modelKernel(options)).start();
}

/** The same, with both places for windows free and nothing charged. */
export function withoutDefaultWindow(options: ModelOptions = {}): Rig {
  const program = started(options);
  assert.is(program.remove(0n), 0);
  return program;
}

/** xorshift32: the same storm on every run. */
export function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % sides;
  };
}
