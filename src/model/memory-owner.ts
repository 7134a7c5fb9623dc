import type { AddressSpace } from "./memory/address-space.ts";
import type { LockedAccount } from "./memory/locked.ts";
import type { Registrations } from "./spapr/registrations.ts";

/**
 * A process as IOMMU drivers know it: whose memory they map, and who pays for what is locked. It is kept for the process's `mm`
 * and not for a container, and outlives every one of them.
 */
export interface MemoryOwner {
  /** Counts the processes of the machine, from 0. */
  readonly id: number;
  readonly space: AddressSpace;
  readonly registrations: Registrations;
  readonly locked: LockedAccount;
  /** Pages of 4 KiB in one of the CPU. */
  readonly pageUnit: number;
  /** Bytes of RAM: what the kernel can have in one piece for itself is less. */
  readonly ram: number;
  /** CAP_SYS_RAWIO. A process of the model has it together with CAP_IPC_LOCK: both are root's. */
  readonly mayReachAllMemory: boolean;
  /** Pages of 4 KiB that maps of type1 have pinned and charged, of all containers; one that is mapped twice counts twice. */
  pinnedByMaps: number;
}
