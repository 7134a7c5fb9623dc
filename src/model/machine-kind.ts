import type { IommuDriver } from "./iommu-driver.ts";
import type { Process } from "./process.ts";

/** What kind of IOMMU a machine has, and so which VFIO drivers its kernel has loaded. One file each. */
export interface MachineKind {
  /** What CHECK_EXTENSION answers for a container without a driver: every driver is asked. */
  checkExtension(extension: number): number;

  /** The path of a group's node. */
  groupPath(group: number): string;

  /** What SET_IOMMU does: the driver, or a negative errno. */
  makeDriver(type: number, caller: Process): IommuDriver | number;
}
