import type { MapSnapshot, RegistrationSnapshot, WindowSnapshot } from "./inspect/snapshot.ts";
import type { MemoryOwner } from "./memory-owner.ts";
import type { Iommu, LiveRange } from "./reach.ts";
import type { Struct } from "./structs.ts";

/** A group as a driver knows it. */
export interface AttachedGroup {
  /** pSeries: firmware refused a window once, and that lasts until the machine is started again. */
  refusedByFirmware: boolean;
}

/** What a driver holds, for whoever inspects it. Each in the order of addresses. */
export interface DriverHoldings {
  readonly windows: readonly WindowSnapshot[];
  readonly registrations: readonly RegistrationSnapshot[];
  readonly maps: readonly MapSnapshot[];
}

/** What SET_IOMMU gives a container: the driver that answers its ioctls from then on (`struct vfio_iommu_driver_ops`). */
export interface IommuDriver extends Iommu {
  checkExtension(extension: number): number;
  /** `struct` is undefined when the caller's pointer leads nowhere. */
  ioctl(call: number, struct: Struct | undefined, caller: MemoryOwner): number;
  attach(group: AttachedGroup): number;
  detach(group: AttachedGroup): void;
  /** After the last group has gone. */
  release(): void;

  /**
   * All that is live, by IOVA; TCEs behind a window's end too, though no device gets there. The pieces may be smaller than
   * could be: who lists them joins neighbours.
   */
  live(): Iterable<LiveRange>;

  /** What else decides its answers, as plain data that does not depend on how it came about. For the hash. */
  state(nameOf: (process: MemoryOwner) => string): Record<string, unknown>;
  holdings(): DriverHoldings;
}
