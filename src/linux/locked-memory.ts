import { readFileSync, readlinkSync } from "node:fs";
import { DmaWindowError } from "../errors.ts";
import type { LockedMemory } from "../syscalls.ts";

/** `CAP_IPC_LOCK` of <linux/capability.h>: a bit's number. */
const CAP_IPC_LOCK = 14n;

const FIRST_USER_NAMESPACE = 0xeffffffd;

/**
 * RLIMIT_MEMLOCK (the soft one) in bytes from the text of `/proc/self/limits`; `null` when unlimited. Throws a
 * {@link DmaWindowError} with code `ERR_PROC_UNREADABLE` when the text does not say.
 *
 *     Limit                     Soft Limit           Hard Limit           Units
 *     Max locked memory         8388608              unlimited            bytes
 */
export function memlockLimitIn(limits: string): bigint | null {
  const soft = limits.match(/^Max locked memory +(\d+|unlimited) +(?:\d+|unlimited) +bytes *$/m)?.[1];
  if (soft === undefined) throw unreadable("/proc/self/limits", "Max locked memory");
  return soft === "unlimited" ? null : BigInt(soft);
}

/**
 * Bytes that are locked or pinned already, from the text of `/proc/self/status`. VmLck shows `mm->locked_vm`, the counter
 * that VFIO charges (`mm/util.c: __account_locked_vm`); VmPin is another, which it does not charge. Throws a
 * {@link DmaWindowError} with code `ERR_PROC_UNREADABLE` when the text does not say.
 */
export function lockedBytesIn(status: string): bigint {
  const kilobytes = status.match(/^VmLck:\s*(\d+) kB$/m)?.[1];
  if (kilobytes === undefined) throw unreadable("/proc/self/status", "VmLck");
  return BigInt(kilobytes) << 10n;
}

/**
 * Whether the effective capabilities in the text of `/proc/self/status` hold CAP_IPC_LOCK. Throws a
 * {@link DmaWindowError} with code `ERR_PROC_UNREADABLE` when the text does not say.
 */
export function holdsIpcLockIn(status: string): boolean {
  const effective = status.match(/^CapEff:\s*([0-9a-f]+)$/m)?.[1];
  if (effective === undefined) throw unreadable("/proc/self/status", "CapEff");
  return ((BigInt(`0x${effective}`) >> CAP_IPC_LOCK) & 1n) === 1n;
}

/**
 * Whether the link `/proc/self/ns/user` names the user namespace that the machine booted with, whose number is fixed
 * (`include/linux/proc_ns.h: PROC_USER_INIT_INO`).
 *
 * VFIO asks for CAP_IPC_LOCK there (`capable()` in `mm/util.c: account_locked_vm` and in
 * `drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map`), so root of a rootless container shows the capability and is held
 * to the limit all the same.
 */
export function isFirstUserNamespace(link: string): boolean {
  return link === `user:[${FIRST_USER_NAMESPACE}]`;
}

/** Read anew on every call. Throws a {@link DmaWindowError} with code `ERR_PROC_UNREADABLE`. */
export function lockedMemory(): LockedMemory {
  const limits = read("/proc/self/limits");
  const status = read("/proc/self/status");
  return {
    limit: memlockLimitIn(limits),
    used: lockedBytesIn(status),
    privileged: holdsIpcLockIn(status) && isFirstUserNamespace(userNamespace()),
  };
}

/** A kernel without user namespaces has no such link, and only the first one. */
function userNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/user");
  } catch {
    return `user:[${FIRST_USER_NAMESPACE}]`;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const message = `How much memory may be locked is read from ${path}, which cannot be read.`;
    throw new DmaWindowError("ERR_PROC_UNREADABLE", message, { cause });
  }
}

function unreadable(path: string, line: string): DmaWindowError {
  return new DmaWindowError("ERR_PROC_UNREADABLE", `${path} has no line "${line}" in the form that Linux gives it.`);
}
