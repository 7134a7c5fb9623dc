import type { Group } from "./group.ts";
import type { Struct } from "./structs.ts";

/** What SET_IOMMU gives a container: the driver that answers its ioctls from then on (`struct vfio_iommu_driver_ops`). */
export interface IommuDriver {
  /** `struct` is undefined when the caller's pointer leads nowhere. */
  ioctl(call: number, struct: Struct | undefined): number;
  attach(group: Group): number;
  detach(group: Group): void;
  /** After the last group has gone. */
  release(): void;
}
