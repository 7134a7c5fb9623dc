/** A program at the door of a kernel that is recorded: it writes its structs by hand, so that any byte can be wrong. */
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, MapFlag, type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { type Difference, recordTrace } from "../../src/trace/index.ts";

export const RW = 3;
export const PAGE = 4096n;

/** A field of 4 bytes for a number, of 8 for a bigint; behind each other. */
export type Struct = readonly (number | bigint)[];

export class Tape {
  readonly lines: string[] = [];
  readonly kernel: Syscalls;
  readonly memory = new Uint8Array(4096);
  readonly #view = new DataView(this.memory.buffer);
  container = -1;
  group = -1;

  constructor(kernel: Syscalls) {
    this.kernel = recordTrace(kernel, (line) => this.lines.push(line));
  }

  /** The lines since the last time, as objects. */
  take(): Record<string, unknown>[] {
    return this.lines.splice(0).map((line) => JSON.parse(line));
  }

  /** The last line, without what is usual. */
  get last(): Record<string, unknown> {
    return JSON.parse(this.lines.at(-1) ?? "{}");
  }

  /** A container with a group of each number, and the first IOMMU that it takes. */
  start(paths: readonly string[] = ["/dev/vfio/26"]): this {
    this.container = this.kernel.open("/dev/vfio/vfio");
    for (const path of paths) {
      this.group = this.kernel.open(path);
      this.struct(this.group, VfioCall.GROUP_SET_CONTAINER, [this.container]);
    }
    for (const type of [7, 3, 8]) if (this.kernel.ioctl(this.container, VfioCall.SET_IOMMU, type) === 0) break;
    return this;
  }

  write(at: number, fields: Struct): void {
    let next = at;
    for (const field of fields) {
      if (typeof field === "bigint") this.#view.setBigUint64(next, BigInt.asUintN(64, field), true);
      else this.#view.setUint32(next, field, true);
      next += typeof field === "bigint" ? 8 : 4;
    }
  }

  struct(fd: number, call: number, fields: Struct): number {
    this.memory.fill(0, 0, 256);
    this.write(0, fields);
    return this.kernel.ioctlStruct(fd, call as VfioCall, this.memory, 0);
  }

  batch(calls: readonly (readonly [VfioCall, Struct])[]): number {
    this.memory.fill(0);
    for (const [i, [call, fields]] of calls.entries()) {
      const at = 2048 + i * 128;
      this.write(i * BATCH_ENTRY_BYTES, [call, at, 0, 0]);
      this.write(at, fields);
    }
    return this.kernel.ioctlBatch(this.container, this.memory, 0, calls.length);
  }

  mmap(pages: number, protection = RW): bigint {
    return this.kernel.mmap(0n, BigInt(pages) * PAGE, protection, 0, 0);
  }

  register(vaddr: bigint, size: bigint): number {
    return this.struct(this.container, VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, [24, 0, vaddr, size]);
  }

  unregister(vaddr: bigint, size: bigint): number {
    return this.struct(this.container, VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, [24, 0, vaddr, size]);
  }

  map(vaddr: bigint, iova: bigint, size: bigint, flags = 3): number {
    return this.struct(this.container, VfioCall.IOMMU_MAP_DMA, [32, flags, vaddr, iova, size]);
  }

  unmap(iova: bigint, size: bigint): number {
    return this.struct(this.container, VfioCall.IOMMU_UNMAP_DMA, [24, 0, iova, size]);
  }

  create(pageShift: number, size: bigint, levels = 1): number {
    return this.struct(this.container, VfioCall.IOMMU_SPAPR_TCE_CREATE, [40, 0, pageShift, 0, size, levels, 0]);
  }

  remove(start: bigint): number {
    return this.struct(this.container, VfioCall.IOMMU_SPAPR_TCE_REMOVE, [16, 0, start]);
  }
}

/** A kernel that answers as told, and takes note of nothing. */
export function answering(answers: Partial<Syscalls>, name = "model"): Syscalls {
  return {
    name,
    pageSize: 4096,
    open: () => 3,
    close: () => 0,
    ioctl: () => 0,
    ioctlStruct: () => 0,
    ioctlBatch: (_fd, _memory, _table, count) => count,
    mmap: () => 0x10000n,
    munmap: () => 0,
    view: () => new Uint8Array(),
    unview: () => {},
    lockedMemory: () => ({ limit: null, used: 0n, privileged: true }),
    physicalAddresses: () => new BigUint64Array(),
    ...answers,
  };
}

/** Lines of a trace by hand: the header, and these calls. */
export function traceOf(...calls: readonly object[]): string[] {
  const header = { trace: "dma-window", version: 1, kernel: "model", pageSize: 4096 };
  const lockedMemory = { limit: null, used: "0x0", privileged: true };
  return [{ ...header, lockedMemory }, ...calls].map((line) => JSON.stringify(line));
}

/** A program on a new model, ready to map. */
export function started(options: ModelOptions = {}): Tape {
  return new Tape(modelKernel(options)).start();
}

/** `TCE_CREATE: EINVAL, now 0`. */
export function words(differences: readonly Difference[]): string[] {
  return differences.map(({ call, expected, got }) => `${call}: ${expected}, now ${got}`);
}

/** Fails unless all of its address space is free. */
export function holdsNoMemory(kernel: Syscalls): void {
  const lowest = 1n << 20n;
  const page = BigInt(kernel.pageSize);
  const highest = ((page === 4096n ? 1n << 46n : 0x7fff_ffff_f000n) / page) * page;
  const flags = MapFlag.FIXED_NOREPLACE | MapFlag.NORESERVE;
  assert.is(kernel.mmap(lowest, highest - lowest, 0, flags, 0), lowest, "memory was not given back");
}
