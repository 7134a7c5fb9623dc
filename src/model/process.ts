import type { AddressSpace } from "./memory/address-space.ts";
import type { LockedAccount } from "./memory/locked.ts";
import type { Registrations } from "./spapr/registrations.ts";

/** What belongs to a process (the kernel's `mm`) and not to a container: it outlives every one of them. */
export interface Process {
  readonly space: AddressSpace;
  readonly registrations: Registrations;
  readonly locked: LockedAccount;
  /** Pages of 4 KiB in one of the CPU. */
  readonly pageUnit: number;
}
