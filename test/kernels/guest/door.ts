/** The real kernel as the guest's program uses it: the library's, and a way to the devices that the library does not open. */

import { errnoName } from "../../../src/errors.ts";
import { linuxKernel } from "../../../src/linux/index.ts";
import { type Syscalls, VfioCall } from "../../../src/syscalls.ts";
import { type Passing, Through } from "../../../src/through.ts";
import { Edu } from "./edu.ts";
import type { BoundDevice } from "./machine.ts";

/**
 * Remembers the descriptors of groups as they pass: a group opens once, so a device of it can be asked for only with the
 * descriptor that the library holds.
 */
export class Door extends Through {
  readonly #groups = new Map<number, number>();
  /** The descriptor of the container that was opened last. */
  container = -1;

  constructor(inner: Syscalls = linuxKernel()) {
    super(inner);
  }

  protected override pass<R extends number | bigint>(call: Passing, make: () => R): R {
    const answer = make();
    const group = call.name === "open" ? call.path?.match(/^\/dev\/vfio\/(\d+)$/)?.[1] : undefined;
    if (call.name === "open" && call.path === "/dev/vfio/vfio") this.container = Number(answer);
    if (group !== undefined && Number(answer) >= 0) this.#groups.set(Number(group), Number(answer));
    return answer;
  }

  /** The device of a group that a container has opened. Close it before the container. */
  device(bound: BoundDevice): Edu {
    const group = this.#groups.get(bound.group);
    if (group === undefined) throw new Error(`group ${bound.group} has not been opened`);
    return new Edu(deviceDescriptor(this.inner, group, bound.name), this.inner);
  }
}

/** GROUP_GET_DEVICE_FD. @throws Error */
export function deviceDescriptor(kernel: Syscalls, group: number, name: string): number {
  const struct = new Uint8Array(Math.ceil((name.length + 1) / 8) * 8);
  struct.set(new TextEncoder().encode(name));
  const fd = kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, struct, 0);
  if (fd < 0) throw new Error(`VFIO_GROUP_GET_DEVICE_FD of ${name}: ${errnoName(fd)}`);
  return fd;
}
