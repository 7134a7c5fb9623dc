import type { IovaReports } from "./inspect/watch.ts";
import type { IommuDriver } from "./iommu-driver.ts";
import type { MemoryOwner } from "./memory-owner.ts";

/**
 * An IOMMU driver of VFIO that the machine's kernel has loaded; each container that takes it gets one of its own.
 * (`drivers/vfio/container.c: vfio_register_iommu_driver`)
 */
export interface DriverModule {
  /** It serves groups that have no IOMMU, and no others. */
  readonly noIommu: boolean;

  /** What CHECK_EXTENSION answers while the container has no driver. SET_IOMMU takes what this answers with more than 0. */
  checkExtension(extension: number): number;

  /** What SET_IOMMU does: the driver, or a negative errno. It tells `reports` of every live IOVA that it clears or replaces. */
  open(type: number, caller: MemoryOwner, reports: IovaReports): IommuDriver | number;
}
