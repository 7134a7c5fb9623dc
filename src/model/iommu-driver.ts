import type { MapSnapshot, RegistrationSnapshot, WindowSnapshot } from "./eyes/snapshot.ts";
import type { Group } from "./group.ts";
import type { DeviceMemory } from "./memory/backing.ts";
import type { Process } from "./process.ts";
import type { Struct } from "./structs.ts";

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

/** What a driver holds, for the eyes. Each in the order of addresses. */
export interface DriverHoldings {
  readonly windows: readonly WindowSnapshot[];
  readonly registrations: readonly RegistrationSnapshot[];
  readonly maps: readonly MapSnapshot[];
}

/** What SET_IOMMU gives a container: the driver that answers its ioctls from then on (`struct vfio_iommu_driver_ops`). */
export interface IommuDriver {
  checkExtension(extension: number): number;
  /** `struct` is undefined when the caller's pointer leads nowhere. */
  ioctl(call: number, struct: Struct | undefined, caller: Process): number;
  attach(group: Group): number;
  detach(group: Group): void;
  /** After the last group has gone. */
  release(): void;

  /** What a device of the container reaches at a page of 4 KiB of IOVA; `undefined` when the IOMMU stops it. */
  reach(iovaPage: number): Reached | undefined;

  /**
   * All that is live, by IOVA; TCEs behind a window's end too, though no device gets there. The pieces may be smaller than
   * could be: the eyes join neighbours.
   */
  live(): Iterable<LiveRange>;

  /** What else decides its answers, as plain data that does not depend on how it came about. For the hash. */
  state(nameOf: (process: Process) => string): Record<string, unknown>;
  holdings(): DriverHoldings;
}
