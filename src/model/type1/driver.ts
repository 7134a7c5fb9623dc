import { VfioCall } from "../../syscalls.ts";
import { EACCES, EBUSY, EFAULT, EINVAL, ENOTTY } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import type { IovaReports } from "../inspect/watch.ts";
import type { DriverHoldings, IommuDriver } from "../iommu-driver.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import { PAGES_OF_ADDRESS_SPACE } from "../pages.ts";
import type { LiveRange, Reached } from "../reach.ts";
import { DirtyBitmap, DmaMap, type Struct } from "../structs.ts";
import { getInfo } from "./info.ts";
import { mapDma } from "./map.ts";
import { type DmaMapping, DmaMaps } from "./maps.ts";
import type { Type1Settings } from "./settings.ts";
import { type UnmapRules, unmapDma } from "./unmap.ts";

/** VFIO_IOMMU_DIRTY_PAGES: REGISTER of sPAPR has the same number. */
const DIRTY_PAGES = VfioCall.IOMMU_SPAPR_REGISTER_MEMORY;

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_START, _STOP, _GET_BITMAP. */
const Dirty = { START: 1, STOP: 2, GET_BITMAP: 4 };

/**
 * The type1 driver of one container, v1 or v2: maps by IOVA, each pinned and charged by itself. Whoever has the descriptor may
 * use it: a process maps its own memory, and unmaps anybody's.
 *
 * Rules: `drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_ioctl`. Seen on 6.1 to 7.3 with VT-d.
 */
export class Type1Driver implements IommuDriver {
  readonly #settings: Type1Settings;
  readonly #extensions: readonly number[];
  readonly #unmapRules: UnmapRules;
  readonly #maps: DmaMaps;

  constructor(settings: Type1Settings, rules: UnmapRules, extensions: readonly number[], reports: IovaReports) {
    this.#settings = settings;
    this.#unmapRules = rules;
    this.#extensions = extensions;
    this.#maps = new DmaMaps(settings.dmaEntryLimit, reports);
  }

  checkExtension(extension: number): number {
    return this.#extensions.includes(extension) ? 1 : 0;
  }

  ioctl(call: number, struct: Struct | undefined, caller: MemoryOwner): number {
    switch (call) {
      case VfioCall.IOMMU_MAP_DMA:
        return mapDma(struct, this.#maps, caller, this.#settings);
      case VfioCall.IOMMU_UNMAP_DMA:
        return unmapDma(struct, this.#maps, this.#unmapRules);
      case VfioCall.IOMMU_SPAPR_TCE_GET_INFO:
        return getInfo(struct, this.#settings, this.#maps.available);
      case DIRTY_PAGES:
        return this.#settings.rules.hasDirtyPages ? this.#dirtyPages(struct) : ENOTTY;
      default:
        return ENOTTY;
    }
  }

  /**
   * `vfio_iommu_type1_attach_group`. All groups of a container share one table (`struct vfio_domain`): one that joins
   * reaches what is mapped.
   */
  attach(): number {
    return this.#maps.withoutAddress > 0 ? EBUSY : 0;
  }

  /** Maps stay as long as a group does. */
  detach(): void {}

  /** `vfio_iommu_unmap_unpin_all`. */
  release(): void {
    this.#maps.remove(0, PAGES_OF_ADDRESS_SPACE);
  }

  reach(iovaPage: number): Reached | undefined {
    const mapping = this.#maps.at(iovaPage);
    if (mapping === undefined) return undefined;
    const { memory } = mapping;
    return { page: mapping.page + iovaPage - mapping.start, memory, ...this.#access(mapping) };
  }

  *live(): Iterable<LiveRange> {
    for (const mapping of this.#maps) {
      const { start, end, page, memory } = mapping;
      yield { iovaPage: start, pages: end - start, page, memory, ...this.#access(mapping) };
    }
  }

  /** Where each map begins and ends decides what UNMAP does, and who pays for it what it gives back. */
  state(nameOf: (process: MemoryOwner) => string): Record<string, unknown> {
    const maps = [...this.#maps].map(({ start, end, access, process, locked, memory, addressTaken }) => {
      const zeros = memory.kinds.filter((kind) => kind.endsWith("zeros"));
      return { start, end, access, payer: nameOf(process), locked, addressTaken, zeros };
    });
    return { version: this.#unmapRules.version, available: this.#maps.available, maps };
  }

  holdings(): DriverHoldings {
    return { windows: [], registrations: [], maps: this.#maps.describe() };
  }

  #access({ access }: DmaMapping): Pick<Reached, "read" | "write"> {
    const write = (access & DmaMap.WRITE) !== 0;
    const read = (access & DmaMap.READ) !== 0 || (write && this.#settings.readsThroughWriteOnly);
    return { read, write };
  }

  /** `vfio_iommu_type1_dirty_pages`, as far as it goes while nothing tracks dirty pages: everything but START. */
  #dirtyPages(struct: Struct | undefined): number {
    if (this.#unmapRules.version === 1) return EACCES;
    if (struct === undefined) return EFAULT;
    struct.need(DirtyBitmap.BYTES);
    const { argsz, flags } = struct;
    if (argsz < DirtyBitmap.BYTES) return EINVAL;
    if (flags === Dirty.START)
      throw new ModelUnknown("DIRTY_PAGES with START: pages that devices write are not tracked");
    // GET_BITMAP wants tracking. No flag, several and unknown ones are refused before.
    return flags === Dirty.STOP ? 0 : EINVAL;
  }
}
