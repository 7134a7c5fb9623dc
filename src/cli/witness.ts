/**
 * A witness at the seam: it sees every call that goes to the kernel, reads the same bytes, and keeps its own account of
 * which IOVAs are live. It knows nothing of the library's tables, and works with every kernel.
 *
 *     library --> witness --> kernel
 *                    |
 *             live pages, windows made, live pages lost while they were in use
 */
import { constants } from "node:os";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall } from "../syscalls.ts";

/** IOVAs are counted in pages of 4 KiB: numbers up to 2^52, exact in a JS number. */
const PAGE_SHIFT = 12n;

export class Witness {
  /** What the library is given instead of the kernel. */
  readonly kernel: Syscalls;
  readonly inner: Syscalls;
  /** Windows that were made. */
  windowsMade = 0;
  /** How often an IOVA that the program was using went away under it, in pages. */
  interrupted = 0;
  readonly #live = new Set<number>();
  readonly #letGo = new Set<number>();
  /** Start to end of each window that we saw being made. */
  readonly #windows = new Map<bigint, bigint>();

  constructor(inner: Syscalls) {
    this.inner = inner;
    this.kernel = {
      name: inner.name,
      pageSize: inner.pageSize,
      open: (path) => inner.open(path),
      close: (fd) => inner.close(fd),
      ioctl: (fd, call, argument) => inner.ioctl(fd, call, argument),
      ioctlStruct: (fd, call, memory, offset) => {
        const result = inner.ioctlStruct(fd, call, memory, offset);
        this.#saw(call, result, memory, offset);
        return result;
      },
      ioctlBatch: (fd, memory, table, count) => {
        const done = inner.ioctlBatch(fd, memory, table, count);
        const view = viewOf(memory);
        for (let i = 0; i < Math.min(done + 1, count); i++) {
          const entry = table + i * BATCH_ENTRY_BYTES;
          this.#saw(
            view.getUint32(entry, true),
            view.getInt32(entry + 8, true),
            memory,
            view.getUint32(entry + 4, true),
          );
        }
        return done;
      },
      mmap: (...parameters) => inner.mmap(...parameters),
      munmap: (address, length) => inner.munmap(address, length),
      view: (address, length) => inner.view(address, length),
      unview: (view) => inner.unview(view),
      lockedMemory: () => inner.lockedMemory(),
      physicalAddresses: (...parameters) => inner.physicalAddresses(...parameters),
    };
  }

  /** Windows after the first one: how often a window was replaced by another. */
  get resizes(): number {
    return Math.max(0, this.windowsMade - 1);
  }

  /** Pages that are live now. */
  get livePages(): number {
    return this.#live.size;
  }

  /** The program gives these IOVAs up: that they go is no interruption. */
  lettingGo(iova: bigint, length: bigint): void {
    for (const page of pagesOf(iova, length)) this.#letGo.add(page);
  }

  /** The program gives everything up. */
  lettingGoOfAll(): void {
    for (const page of this.#live) this.#letGo.add(page);
  }

  #saw(call: number, result: number, memory: Uint8Array, offset: number): void {
    const view = viewOf(memory);
    const u64 = (at: number): bigint => view.getBigUint64(offset + at, true);
    if (call === VfioCall.IOMMU_MAP_DMA) {
      if (result === 0) this.#mapped(u64(16), u64(24));
      else if (mayHaveBegun(result, view, offset)) this.#lost(u64(16), u64(24));
    } else if (result !== 0) {
      return;
    } else if (call === VfioCall.IOMMU_UNMAP_DMA) {
      this.#lost(u64(8), u64(16));
    } else if (call === VfioCall.IOMMU_SPAPR_TCE_CREATE) {
      this.windowsMade++;
      this.#windows.set(u64(32), u64(32) + u64(16));
    } else if (call === VfioCall.IOMMU_SPAPR_TCE_REMOVE) {
      this.#removed(u64(8));
    }
  }

  #mapped(iova: bigint, length: bigint): void {
    for (const page of pagesOf(iova, length)) {
      this.#live.add(page);
      this.#letGo.delete(page); // whatever it was before, it is in use now
    }
  }

  /** Any IOVA of a window names it. The default window was there before we looked: it has what lies in no other. */
  #removed(iova: bigint): void {
    const window = this.#startOfWindowAt(iova);
    for (const page of [...this.#live]) {
      if (this.#startOfWindowAt(BigInt(page) << PAGE_SHIFT) === window) this.#gone(page);
    }
    if (window !== undefined) this.#windows.delete(window);
  }

  #startOfWindowAt(iova: bigint): bigint | undefined {
    for (const [start, end] of this.#windows) if (iova >= start && iova < end) return start;
    return undefined;
  }

  #lost(iova: bigint, length: bigint): void {
    const first = Number(iova >> PAGE_SHIFT);
    const end = Number((iova + length) >> PAGE_SHIFT);
    // A window's end may be far behind its live pages: look at whichever are fewer.
    const candidates = end - first > this.#live.size ? [...this.#live] : pagesOf(iova, length);
    for (const page of candidates) if (page >= first && page < end) this.#gone(page);
  }

  #gone(page: number): void {
    if (this.#live.delete(page) && !this.#letGo.delete(page)) this.interrupted++;
  }
}

/**
 * Whether a MAP that failed may have gone through some of its pages. What it wrote it clears, and what was live there
 * before is gone with it (`drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_build_v2`). Where it stopped it does not say, so
 * all of its range counts as lost: perhaps too much, never too little. EINVAL is also the answer to a struct that cannot
 * be; nothing was touched then.
 */
function mayHaveBegun(result: number, view: DataView, offset: number): boolean {
  if (result !== -constants.errno.EINVAL) return false;
  const u32 = (at: number): number => view.getUint32(offset + at, true);
  const aligned = [8, 16, 24].every((at) => (u32(at) & 0xfff) === 0);
  return aligned && u32(0) >= 32 && u32(4) >= 1 && u32(4) <= 3;
}

function viewOf(memory: Uint8Array): DataView {
  return new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
}

function* pagesOf(iova: bigint, length: bigint): Generator<number, void, void> {
  const end = Number((iova + length) >> PAGE_SHIFT);
  for (let page = Number(iova >> PAGE_SHIFT); page < end; page++) yield page;
}
