import type { DeviceMemory } from "./memory/backing.ts";

/** Where a device's access ends up. */
export interface Reached {
  /** The page of 4 KiB of the process's memory, as it was mapped. */
  readonly page: number;
  /** Where that page's bytes are, also when the process has other memory at its address by now. */
  readonly memory: DeviceMemory;
  /** Whether the device may read it, and write it. */
  readonly read: boolean;
  readonly write: boolean;
}

/** A stretch of IOVA that devices reach memory through, as one piece. In pages of 4 KiB. */
export interface LiveRange extends Reached {
  readonly iovaPage: number;
  readonly pages: number;
}

/** What stands between devices and memory: the IOMMU as it is at that moment, or nothing. */
export interface Iommu {
  /** What a device reaches at a page of 4 KiB of IOVA; `undefined` when the IOMMU stops it. */
  reach(iovaPage: number): Reached | undefined;
}
