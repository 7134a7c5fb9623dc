/**
 * What is live in one container, by the calls that the kernel has answered. Every IOMMU takes IOVAs away in its own manner:
 *
 *     sPAPR     UNMAP clears what it names, REMOVE what lies in the window, a MAP that fails halfway what it came over
 *     type1     UNMAP ends whole maps, and a MAP that fails touches nothing
 *     none      there is neither MAP nor UNMAP: nothing of all this is ever answered with success
 */
import { ERRNO } from "../errno.ts";
import { IommuType, VfioCall } from "../syscalls.ts";
import { LivePages, pageOf, type Tally } from "./live-pages.ts";

/** A call's struct, where the caller has it. */
export class StructView {
  readonly #view: DataView;
  readonly #at: number;

  constructor(memory: DataView, at: number) {
    this.#view = memory;
    this.#at = at;
  }

  i32(at: number): number {
    return this.#view.getInt32(this.#at + at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#at + at, true);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(this.#at + at, true);
  }
}

export interface Account {
  readonly pages: LivePages;

  /** Looks at a call before it is made, where the kernel may write over what it asks. Gives what `saw` is to be told. */
  asked(call: number, struct: StructView): Asked | undefined;

  /** The kernel has answered. */
  saw(call: number, result: number, struct: StructView, asked: Asked | undefined): void;

  /** A group has left the container, and others stay. */
  groupLeft(): void;
}

/** What an UNMAP of type1 asks for; [first, end) in pages of 4 KiB. */
interface Asked {
  readonly flags: number;
  readonly first: number;
  readonly end: number;
}

/** The account for a container of that type: a number of {@link IommuType}. */
export function accountFor(type: number, tally: Tally): Account {
  return type === IommuType.TYPE1 || type === IommuType.TYPE1v2 ? new Type1Account(tally) : new SpaprAccount(tally);
}

/** `flags` of MAP: the device may read, and write. */
const ACCESS = 3;

class SpaprAccount implements Account {
  readonly pages: LivePages;
  readonly #tally: Tally;
  /** First pages of the windows that we saw being made. The default window was there before. */
  readonly #windows = new Set<number>();

  constructor(tally: Tally) {
    this.#tally = tally;
    this.pages = new LivePages(tally);
  }

  asked(): undefined {}

  saw(call: number, result: number, struct: StructView): void {
    if (call === VfioCall.IOMMU_MAP_DMA) {
      const [first, end] = this.#inWindow(struct.u64(16), struct.u64(24));
      if (result === 0) this.pages.add(first, end);
      else if (mayHaveBegun(result, struct)) this.pages.lose(first, end);
    } else if (result !== 0) {
      return;
    } else if (call === VfioCall.IOMMU_UNMAP_DMA) {
      this.pages.lose(...this.#inWindow(struct.u64(8), struct.u64(16)));
    } else if (call === VfioCall.IOMMU_SPAPR_TCE_CREATE) {
      this.#tally.windowsMade++;
      this.#windows.add(pageOf(struct.u64(32)));
    } else if (call === VfioCall.IOMMU_SPAPR_TCE_REMOVE) {
      this.#removed(pageOf(struct.u64(8)));
    }
  }

  /** All TCEs are cleared then (`drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_detach_group`; seen on PowerNV). */
  groupLeft(): void {
    this.pages.lose(0, Number.POSITIVE_INFINITY);
  }

  /** Any IOVA of a window names it. */
  #removed(at: number): void {
    const window = this.#windowAt(at);
    this.pages.loseWhere((page) => this.#windowAt(page) === window);
    if (window !== undefined) this.#windows.delete(window);
  }

  /**
   * The window that a page belongs to, by its first page; the default one has what lies below all others. How far a window
   * reaches is not looked at: one may have more TCEs than it was made with (`arch/powerpc/platforms/powernv/pci-ioda-tce.c:
   * pnv_pci_ioda2_table_alloc_pages` fills whole pages of the CPU).
   */
  #windowAt(page: number): number | undefined {
    let found: number | undefined;
    for (const start of this.#windows) if (start <= page && start >= (found ?? 0)) found = start;
    return found;
  }

  /** [first, end) of a request, as far as the next window: what goes past the end of its own does not come to that one. */
  #inWindow(iova: bigint, length: bigint): [number, number] {
    const first = pageOf(iova);
    let end = pageOf(iova + length);
    for (const start of this.#windows) if (start > first) end = Math.min(end, start);
    return [first, end];
  }
}

/**
 * Whether a MAP of sPAPR that failed may have gone through some of its pages. What it wrote it clears, and what was live
 * there before is gone with it (`drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_build_v2`). Where it stopped it does not
 * say, so all of its range counts as lost: perhaps too much, never too little. EINVAL is also the answer to a struct that
 * cannot be; nothing was touched then.
 */
function mayHaveBegun(result: number, struct: StructView): boolean {
  if (result !== -ERRNO.EINVAL) return false;
  const aligned = [8, 16, 24].every((at) => (struct.u32(at) & 0xfff) === 0);
  return aligned && struct.u32(0) >= 32 && struct.u32(4) >= 1 && struct.u32(4) <= ACCESS;
}

/** `flags` of UNMAP: everything (of no range), and the address alone, which leaves the device what it has. */
const ALL = 2;
const VADDR = 4;

/** Version 1 and 2. Rules: `drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map, vfio_dma_do_unmap`. */
class Type1Account implements Account {
  readonly pages: LivePages;
  /** First page to end of each map. */
  readonly #maps = new Map<number, number>();

  constructor(tally: Tally) {
    this.pages = new LivePages(tally);
  }

  /** UNMAP writes the bytes that it unmapped over those that it was asked to. */
  asked(call: number, struct: StructView): Asked | undefined {
    if (call !== VfioCall.IOMMU_UNMAP_DMA) return undefined;
    const flags = struct.u32(4);
    const iova = struct.u64(8);
    const end = (flags & ALL) === 0 ? pageOf(iova + struct.u64(16)) : Number.POSITIVE_INFINITY;
    return { flags, first: pageOf(iova), end };
  }

  saw(call: number, result: number, struct: StructView, asked: Asked | undefined): void {
    if (result !== 0) return;
    if (call === VfioCall.IOMMU_MAP_DMA) {
      // Without them it gives an old map another address.
      if ((struct.u32(4) & ACCESS) !== 0) this.#mapped(pageOf(struct.u64(16)), pageOf(struct.u64(16) + struct.u64(24)));
    } else if (call === VfioCall.IOMMU_UNMAP_DMA && asked !== undefined && (asked.flags & VADDR) === 0) {
      if (struct.u64(16) !== 0n) this.#unmapped(asked);
    }
  }

  /** What is mapped is every group's. */
  groupLeft(): void {}

  #mapped(first: number, end: number): void {
    this.#maps.set(first, end);
    this.pages.add(first, end);
  }

  /**
   * Something went. In version 2 no map can reach over an edge of what was asked for. In version 1 one that begins inside
   * goes as a whole, also behind the end; and where the range begins inside a map, nothing goes at all.
   */
  #unmapped({ first, end }: Asked): void {
    // Mostly it is one map: no need to look at all of them.
    const begun = this.#maps.get(first) === end ? [first] : this.#maps.keys();
    for (const start of begun) {
      if (start < first || start >= end) continue;
      this.pages.lose(start, this.#maps.get(start) ?? start);
      this.#maps.delete(start);
    }
  }
}
