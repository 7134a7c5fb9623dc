/**
 * Which devices this thread has open, for who would take one away: the kernel's unbind waits until a device is closed, and the
 * program that waits in it never closes anything.
 */
import { identityOf, type Syscalls } from "./syscalls.ts";

/** The kernel of this machine, as `linuxKernel()` names it. */
const LINUX = Symbol.for("dma-window.linux");

/** How often each device is open, by whose it is. */
const open = new Map<unknown, Map<string, number>>();

/**
 * Whose devices an interface opens: what stands for its process and kernel, or the innermost interface where that is not said.
 * Without one it is the kernel of this machine.
 */
export function ownerOf(kernel: Syscalls | undefined): unknown {
  if (kernel === undefined) return LINUX;
  const identity = identityOf(kernel);
  if (identity !== undefined) return identity;
  let at = kernel;
  for (let depth = 0; at.inner !== undefined && at.inner !== null && depth < 100; depth++) at = at.inner;
  return at;
}

/** A device was opened; `owner` as {@link ownerOf} gives it. */
export function hold(owner: unknown, address: string): void {
  const devices = open.get(owner) ?? new Map<string, number>();
  open.set(owner, devices.set(address, (devices.get(address) ?? 0) + 1));
}

/** It was closed, as often as it was opened. */
export function release(owner: unknown, address: string): void {
  const devices = open.get(owner);
  const count = devices?.get(address);
  if (devices === undefined || count === undefined) return;
  if (count > 1) devices.set(address, count - 1);
  else devices.delete(address);
  if (devices.size === 0) open.delete(owner);
}

/** Whether this thread has the device open. */
export function isHeld(owner: unknown, address: string): boolean {
  return open.get(owner)?.has(address) ?? false;
}

/** How many devices this thread has open, each as often as it was opened. */
export function heldBy(owner: unknown): number {
  return [...(open.get(owner)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
}
