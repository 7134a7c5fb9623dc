/**
 * What the kernel keeps counting as locked for a table that it did not make. It counts first, makes then, and where that fails
 * it forgets that it had counted (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_table; every version up to 7.3). Nothing
 * gives those bytes back but the end of the process, and each further try takes as many again.
 *
 * Nobody answers how many they are, so the account is read before the call and after its refusal. Another thread that locks
 * memory in between would be seen too; nothing in this library does.
 */
import { bytes } from "../../hex.ts";
import type { Syscalls } from "../../syscalls.ts";

/** Bytes that are locked now; undefined where that cannot be had, which must not hide the error itself. */
export function lockedNow(kernel: Syscalls): bigint | undefined {
  try {
    return kernel.lockedMemory().used;
  } catch {
    return undefined;
  }
}

/**
 * Bytes that a refused CREATE left counted, of those by which the account grew.
 *
 * @param charge What the table counts; undefined where a plan does not say.
 * @param defaultCharge Where the default window may not have been made yet: the same call makes it first, and it stays.
 */
export function leftCharged(grown: bigint, charge: bigint | undefined, defaultCharge: bigint | undefined): bigint {
  if (grown <= 0n || defaultCharge === undefined || grown === charge) return grown > 0n ? grown : 0n;
  return grown >= defaultCharge ? grown - defaultCharge : grown;
}

/** The sentence of a residue. */
export function describeCharge(charged: bigint, table: string): string {
  return (
    `${bytes(charged)} still count as locked memory, for ${table} that was not made: the kernel has lost count, each further try ` +
    "takes as much again, and only the end of this process gives it back"
  );
}
