/**
 * Random calls of sPAPR TCE v2: most of them sensible, some with one thing wrong. Left out is what would end the run, or make
 * the kernel unreliable from there on:
 *
 * - a MAP past a window's end, and on PowerNV an UNMAP too. An LPAR's kernel crashes at the MAP; PowerNV's answers 0 and
 *   writes behind its table, into whatever memory is there (`arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce`). Where
 *   that was the table's own copy of user addresses, registrations were seen to stay locked for good;
 * - a CREATE beside an LPAR's window at 1 << 59: firmware then refuses the group until the machine is booted again;
 * - an UNREGISTER of what is mapped: it blocks its range for good;
 * - on a machine that is somebody's a REGISTER of 0 bytes: the kernel warns of it, and is tainted
 *   (`mm/vmalloc.c: __vmalloc_node_range_noprof`).
 */
import { IommuType, VfioCall } from "../../../src/syscalls.ts";
import { HUGEPAGES, PAGES, RandomCalls, type Range } from "./random-calls.ts";
import { GiB, HIGH, MiB, type Site } from "./site.ts";
import { startAddress, struct } from "./structs.ts";
import type { Twins } from "./twins.ts";

interface OpenWindow {
  readonly start: bigint;
  readonly size: bigint;
  readonly shift: number;
}

/** An LPAR's tables are cleared entry by entry, through firmware: larger ones take seconds. */
const MOST_TCES_SHIFT = 12;

export class SpaprCalls extends RandomCalls {
  readonly essential = [
    VfioCall.IOMMU_MAP_DMA,
    VfioCall.IOMMU_UNMAP_DMA,
    VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
    VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY,
    VfioCall.IOMMU_SPAPR_TCE_CREATE,
    VfioCall.IOMMU_SPAPR_TCE_REMOVE,
  ];
  readonly #isLpar: boolean;
  readonly #isExpendable: boolean;
  readonly #pageShifts: readonly number[];
  #registered: Range[] = [];
  #windows: OpenWindow[] = [];

  constructor(site: Site, twins: Twins, seed: number) {
    super(site, twins, seed);
    this.#isLpar = site.machine.machine === "pseries";
    this.#isExpendable = site.isExpendable;
    // Pages that are larger than those of the memory can only be refused.
    const usable = [12, 16, 21, 24].filter((shift) => 1n << BigInt(shift) <= this.page || shift <= this.hugeShift);
    this.#pageShifts = [...usable, ...usable, ...(this.#isLpar ? [16, 21, 24] : [16, 21, 30])];
  }

  /** The default window is there. */
  begin(): void {
    this.open(IommuType.SPAPR_TCE_V2);
    this.#registered = [];
    this.#windows = [{ start: 0n, size: this.#isLpar ? GiB : 2n * GiB, shift: 12 }];
  }

  step(): void {
    const kind = this.random.below(1000);
    if (kind < 330) this.#map();
    else if (kind < 600) this.#unmap();
    else if (kind < 780) this.#register();
    else if (kind < 900) this.#unregister();
    else if (kind < 920) this.#create();
    else if (kind < 930) this.#remove();
    else if (kind < 960)
      this.ask(VfioCall.IOMMU_SPAPR_TCE_GET_INFO, struct(this.pick(32, 32, 16, 24, 8, 40), 0, 0n, 0n, 0n, 0n));
    else if (kind < 980) this.twins.ioctl(this.container, VfioCall.CHECK_EXTENSION, this.random.below(11));
    else if (kind < 985) this.twins.ioctl(this.container, VfioCall.SET_IOMMU, this.pick(7, 1, 2, 3, 8));
    else if (kind < 990) this.twins.ioctl(this.container, VfioCall.IOMMU_ENABLE, 0);
    else this.twins.struct(this.group, VfioCall.GROUP_GET_STATUS, struct(this.pick(8, 8, 7, 12), 0xff));
  }

  #map(): void {
    const window = this.#window();
    const { iova, size } = this.#pagesOf(window, false);
    const va = this.#memoryFor(window, size) + (this.random.once(40) ? 512n : 0n);
    const flags = this.random.once(30) ? this.pick(0, 4, 7, 8) : this.pick(1, 2, 3, 3, 3);
    this.ask(VfioCall.IOMMU_MAP_DMA, struct(this.argsz(32), flags, va, iova, size));
  }

  /** Mostly memory that is registered; otherwise any, which may be registered in part. */
  #memoryFor({ shift }: OpenWindow, size: bigint): bigint {
    const unit = 1n << BigInt(shift);
    const fitting = this.#registered.filter((range) => range.size >= size && range.va % unit === 0n);
    const anywhere = fitting.length === 0 || this.random.once(4);
    const area = anywhere ? this.ordinary : this.random.pick(fitting);
    const step = unit < area.size ? unit : this.page;
    const room = area.size > size ? area.size - size : 0n;
    return area.va + this.below(room / step + 1n) * step;
  }

  #unmap(): void {
    const { iova, size } = this.#pagesOf(this.#window(), this.#isLpar);
    this.ask(VfioCall.IOMMU_UNMAP_DMA, struct(this.argsz(24), this.random.once(40) ? 1 : 0, iova, size));
  }

  #register(): void {
    const range = this.#range();
    if (range.size === 0n && !this.#isExpendable) return;
    const flags = this.random.once(40) ? 1 : 0;
    const answer = this.ask(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, struct(this.argsz(24), flags, range.va, range.size));
    if (answer === 0) this.#registered.push(range);
  }

  #unregister(): void {
    const known = this.#registered.length > 0 && !this.random.once(8);
    const range = known ? this.random.pick(this.#registered) : this.#range();
    if (this.#isMapped(range)) return;
    const call = VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY;
    const answer = this.ask(call, struct(this.argsz(24), this.random.once(40) ? 1 : 0, range.va, range.size));
    if (answer === 0)
      this.#registered = this.#registered.filter(({ va, size }) => va !== range.va || size !== range.size);
  }

  /** The model says it; where it is wrong, a difference follows soon enough. */
  #isMapped({ va, size }: Range): boolean {
    return this.twins.model
      .snapshot()
      .containers.some(({ registrations }) =>
        registrations.some((one) => one.va === va && one.size === size && one.mapped > 0),
      );
  }

  #create(): void {
    if (this.#isLpar && this.#windows.some(({ start }) => start === HIGH)) return;
    const shift = this.random.once(10) ? this.pick(13, 34, 11) : this.random.pick(this.#pageShifts);
    const tces = this.random.below(MOST_TCES_SHIFT + 1);
    const odd = this.random.once(12) ? 3n << BigInt(shift) : 0n;
    const levels = this.#isLpar ? this.pick(1, 1, 1, 1, 0, 2) : this.pick(1, 1, 1, 2, 3, 0, 6);
    const size = this.random.once(20) ? 0n : (1n << BigInt(shift + tces)) + odd;
    const flags = this.random.once(30) ? 1 : 0;
    const asked = struct(this.argsz(40), flags, BigInt(shift), size, BigInt(levels), 0x77n);
    const { answer, bytes } = this.twins.struct(this.container, VfioCall.IOMMU_SPAPR_TCE_CREATE, asked);
    if (answer === 0) this.#windows.push({ start: startAddress(bytes), size, shift });
  }

  #remove(): void {
    const { start, size } = this.#window();
    const at = start + this.pick(0n, 0n, 0n, size / 2n, size);
    const answer = this.ask(VfioCall.IOMMU_SPAPR_TCE_REMOVE, struct(this.argsz(16), this.random.once(30) ? 1 : 0, at));
    if (answer === 0) this.#windows = this.#windows.filter((one) => at < one.start || at >= one.start + one.size);
  }

  /** One that is open; where there is none, one that would be. */
  #window(): OpenWindow {
    if (this.#windows.length === 0) return { start: this.pick(0n, HIGH), size: 16n * MiB, shift: 12 };
    return this.random.pick(this.#windows);
  }

  /** Some pages at a window's beginning or at its end; `past`: the end may lie past the window's. */
  #pagesOf({ start, size, shift }: OpenWindow, past: boolean): { iova: bigint; size: bigint } {
    const page = 1n << BigInt(shift);
    const pages = size / page;
    const count = this.below(pages < 6n ? pages : 6n) + 1n;
    const near = pages - count < 256n ? pages - count : 256n;
    const at = this.random.once(4) ? pages - count - this.below(near + 1n) : this.below(near + 1n);
    const iova = start + at * page;
    const wrong = this.random.below(60);
    if (wrong === 0) return { iova: iova + 512n, size: count * page };
    if (wrong === 1) return { iova, size: count * page - 512n };
    if (wrong === 2) return { iova: start + size, size: page };
    if (wrong === 3) return { iova, size: 0n };
    if (wrong === 4 && past) return { iova: start + size - page, size: 2n * page };
    return { iova, size: count * page };
  }

  /** Memory to register: often the same, so that ranges meet. */
  #range(): Range {
    if (this.huge !== undefined && this.random.once(6)) {
      const page = 1n << BigInt(this.hugeShift);
      const at = this.below(HUGEPAGES);
      return { va: this.huge.va + at * page, size: (this.below(HUGEPAGES - at) + 1n) * page };
    }
    const at = this.below(PAGES / 4n) * 4n;
    return this.mostly({ va: this.ordinary.va + at * this.page, size: (this.below(12n) + 1n) * this.page });
  }
}
