import { VfioCall } from "../../syscalls.ts";
import { EBUSY, EFAULT, EINVAL, ENOENT, ENOMEM, ENOTTY, EPERM } from "../errno.ts";
import type { IovaReports } from "../inspect/watch.ts";
import type { AttachedGroup, DriverHoldings, IommuDriver } from "../iommu-driver.ts";
import type { LinuxRules } from "../linux-rules.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { PAGE_SHIFT, PAGES_OF_ADDRESS_SPACE } from "../pages.ts";
import type { LiveRange, Reached } from "../reach.ts";
import { INFO_DDW, RegisterMemory, type Struct, TceCreate, TceInfo, TceRemove } from "../structs.ts";
import { eehPeOp } from "./eeh.ts";
import type { Platform } from "./platform.ts";
import { type Registration, registrationOf, tcePageShift } from "./registrations.ts";
import { mapDma, unmapDma } from "./translate.ts";
import { WindowSet } from "./window-set.ts";
import { WINDOW_SLOTS } from "./windows.ts";

/**
 * The sPAPR TCE v2 driver of one container: registrations, and windows to map them in.
 *
 * Rules, and the order of the checks: `drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_ioctl`. What only a run of the
 * real kernel can tell was seen on 6.12 and 7.2 in emulated POWER9 machines.
 */
export class SpaprDriver implements IommuDriver {
  readonly #platform: Platform;
  readonly #rules: LinuxRules;
  /** Who tried REGISTER, CREATE or REMOVE first: the container belongs to that process from then on. */
  #owner: MemoryOwner | undefined;
  /** A REGISTER went well: MAP and UNMAP answer from then on, also after its UNREGISTER. */
  #enabled = false;
  readonly held = new Set<Registration>();
  readonly windows: WindowSet;

  constructor(platform: Platform, rules: LinuxRules, reports: IovaReports) {
    this.#platform = platform;
    this.#rules = rules;
    this.windows = new WindowSet(platform, rules, reports);
  }

  /** `tce_iommu_ioctl` again: the same answers with a container and without. */
  checkExtension(extension: number): number {
    return this.#platform.extensions.includes(extension) ? 1 : 0;
  }

  ioctl(call: number, struct: Struct | undefined, caller: MemoryOwner): number {
    if (this.#owner !== undefined && this.#owner !== caller) return EPERM;
    switch (call) {
      case VfioCall.IOMMU_SPAPR_TCE_GET_INFO:
        return this.#getInfo(struct);
      case VfioCall.IOMMU_MAP_DMA:
        return this.#enabled ? mapDma(struct, this.windows, caller, this.#platform) : EPERM;
      case VfioCall.IOMMU_UNMAP_DMA:
        return this.#enabled ? unmapDma(struct, this.windows, this.#rules) : EPERM;
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        this.#belongTo(caller);
        return withRange(struct, (start, pages) => this.#register(start, pages, caller));
      case VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY:
        return this.#owner === undefined
          ? EPERM
          : withRange(struct, (start, pages) => this.#unregister(start, pages, caller));
      case VfioCall.IOMMU_SPAPR_TCE_CREATE:
        this.#belongTo(caller);
        return this.#create(struct);
      case VfioCall.IOMMU_SPAPR_TCE_REMOVE:
        this.#belongTo(caller);
        return this.#remove(struct);
      case VfioCall.EEH_PE_OP:
        return eehPeOp(struct, this.windows.groups.length, this.#platform);
      default:
        // ENABLE and DISABLE too: v1 has them.
        return ENOTTY;
    }
  }

  attach(group: AttachedGroup): number {
    return this.windows.attach(group);
  }

  detach(group: AttachedGroup): void {
    this.windows.detach(group);
  }

  /** `tce_iommu_release`: the windows first, so that nothing is mapped when the registrations go. */
  release(): void {
    this.windows.release();
    for (const registration of this.held) giveUp(registration, this.#owner as MemoryOwner);
  }

  /** Windows and registrations as they are. */
  holdings(): DriverHoldings {
    return {
      windows: this.windows.describe(),
      registrations: [...this.held].sort((a, b) => a.start - b.start).map(registrationOf),
      maps: [],
    };
  }

  live(): Iterable<LiveRange> {
    return this.windows.live();
  }

  state(nameOf: (process: MemoryOwner) => string): Record<string, unknown> {
    const { slots, isDefaultPending } = this.windows;
    const slotOf = (slot: number) => slots.at(slot)?.startPage ?? null;
    return {
      owner: this.#owner === undefined ? null : nameOf(this.#owner),
      enabled: this.#enabled,
      isDefaultPending,
      slots: [slotOf(0), slotOf(1)],
    };
  }

  reach(iovaPage: number): Reached | undefined {
    return this.windows.slots.reachedAt(iovaPage)?.reach(iovaPage);
  }

  /** `tce_iommu_mm_set`. */
  #belongTo(process: MemoryOwner): void {
    this.#owner ??= process;
    this.windows.owner = this.#owner;
  }

  /** Fills in what was true at boot, also when the default window is gone. */
  #getInfo(struct: Struct | undefined): number {
    if (struct === undefined) return EFAULT;
    struct.need(TceInfo.FIXED_BYTES);
    if (struct.argsz < TceInfo.FIXED_BYTES) return EINVAL;
    const { pgsizes, defaultWindowSize, levels } = this.#platform.info;
    struct.setU32(4, INFO_DDW);
    struct.setU32(TceInfo.START32, 0);
    struct.setU32(TceInfo.SIZE32, Number(defaultWindowSize));
    if (struct.argsz < TceInfo.BYTES) return 0;
    struct.need(TceInfo.BYTES);
    struct.setU64(TceInfo.PGSIZES, pgsizes);
    struct.setU32(TceInfo.WINDOWS, WINDOW_SLOTS);
    struct.setU32(TceInfo.LEVELS, levels);
    return 0;
  }

  /**
   * `tce_iommu_register_pages`, and behind it `arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc`: charge, pin,
   * and only then look for an overlap.
   */
  #register(start: number, pages: number, process: MemoryOwner): number {
    const { registrations, locked, pageUnit } = process;
    if (start % pageUnit !== 0 || pages % pageUnit !== 0) return EINVAL;
    const end = start + pages;
    // An end of exactly 2^64 is 0 in the kernel's arithmetic: it wraps too, unless nothing is asked for.
    if (end >= PAGES_OF_ADDRESS_SPACE && pages > 0) return EINVAL;
    const known = registrations.exactly(start, end);
    if (known !== undefined) {
      if (this.held.has(known)) return EBUSY;
      // Another container's, or a zombie that comes back into someone's hands. Charged once.
      known.holders++;
      this.held.add(known);
      this.#enabled = true;
      return 0;
    }
    const cpuPages = pages / pageUnit;
    if (!locked.charge(cpuPages)) return ENOMEM;
    const refused = this.#pin(start, end, process);
    if (refused !== 0) locked.release(cpuPages);
    else this.#enabled = true;
    return refused;
  }

  #pin(start: number, end: number, { registrations, space, pageUnit, ram }: MemoryOwner): number {
    // The list of all pages comes first, 8 bytes for each, and there may be no room for it: `vzalloc` gives no more than RAM.
    if (start === end || ((end - start) / pageUnit) * 8 > ram) return ENOMEM;
    const { pages, memory } = space.pin(start, end, true);
    if (memory === undefined) return pinnedPart(pages / pageUnit);
    if (registrations.overlaps(start, end)) {
      memory.release();
      return EINVAL;
    }
    const { pageShifts } = memory;
    const registration = {
      start,
      end,
      pageShift: tcePageShift(start, end, pageShifts, PAGE_SHIFT + Math.log2(pageUnit)),
      smallestShift: pageShifts.reduce((smallest, shift) => Math.min(smallest, shift)),
      memory,
      holders: 1,
      mapped: 0,
      zombie: false,
    };
    registrations.add(registration);
    this.held.add(registration);
    return 0;
  }

  /** `tce_iommu_unregister_pages`: exactly a range that this container registered. */
  #unregister(start: number, pages: number, process: MemoryOwner): number {
    const { registrations, pageUnit } = process;
    if (start % pageUnit !== 0 || pages % pageUnit !== 0) return EINVAL;
    const registration = registrations.exactly(start, start + pages);
    if (registration === undefined || !this.held.has(registration)) return ENOENT;
    this.held.delete(registration);
    giveUp(registration, process);
    return 0;
  }

  #create(struct: Struct | undefined): number {
    if (struct === undefined) return EFAULT;
    struct.need(TceCreate.BYTES);
    if (struct.argsz < TceCreate.BYTES || struct.flags !== 0) return EINVAL;
    const lazily = this.windows.makeDefault();
    if (lazily !== 0) return lazily;
    const made = this.windows.create({
      pageShift: struct.u32(TceCreate.PAGE_SHIFT),
      windowSize: struct.u64(TceCreate.WINDOW_SIZE),
      levels: struct.u32(TceCreate.LEVELS),
    });
    if (typeof made === "number") return made;
    struct.setU64(TceCreate.START_ADDR, BigInt(made.startPage) << 12n);
    return 0;
  }

  #remove(struct: Struct | undefined): number {
    if (struct === undefined) return EFAULT;
    struct.need(TceRemove.BYTES);
    if (struct.argsz < TceRemove.BYTES || struct.flags !== 0) return EINVAL;
    const isZero = struct.u64(TceRemove.START_ADDR) === 0n;
    return this.windows.remove(struct.page(TceRemove.START_ADDR), isZero);
  }
}

function giveUp(registration: Registration, { registrations, locked, pageUnit }: MemoryOwner): void {
  if (registrations.giveUp(registration)) locked.release((registration.end - registration.start) / pageUnit);
}

/** The range of REGISTER and UNREGISTER, in pages of 4 KiB; one that is no multiple of those is refused here. */
function withRange(struct: Struct | undefined, act: (start: number, pages: number) => number): number {
  if (struct === undefined) return EFAULT;
  struct.need(RegisterMemory.BYTES);
  if (struct.argsz < RegisterMemory.BYTES || struct.flags !== 0) return EINVAL;
  if (struct.offset(RegisterMemory.VADDR) !== 0 || struct.offset(RegisterMemory.SIZE) !== 0) return EINVAL;
  return act(struct.page(RegisterMemory.VADDR), struct.page(RegisterMemory.SIZE));
}

/** Pages that REGISTER pins in one round: as many as 16 MiB hold pointers to. 8 GiB with pages of 4 KiB. */
const PINNED_PER_ROUND = 2 ** 24 / 8;

/**
 * What REGISTER answers when only the first `pinned` pages of the CPU could be pinned: how many the last round pinned,
 * a positive number that means failure; EFAULT when that was none. (`mm_iommu_do_alloc`)
 */
function pinnedPart(pinned: number): number {
  return pinned % PINNED_PER_ROUND === 0 ? EFAULT : pinned % PINNED_PER_ROUND;
}
