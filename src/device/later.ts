/** Calls that take their time, on another thread where the kernel interface has one. */
import type { Syscalls, VfioCall } from "../syscalls.ts";

/** The answer of an ioctl, with a struct or without. Where the interface only has calls that wait, it waits here. */
export async function ioctlLater(kernel: Syscalls, fd: number, call: VfioCall, struct?: Uint8Array): Promise<number> {
  if (kernel.ioctlLater !== undefined) return kernel.ioctlLater(fd, call, struct, 0);
  return struct === undefined ? kernel.ioctl(fd, call, 0) : kernel.ioctlStruct(fd, call, struct, 0);
}
