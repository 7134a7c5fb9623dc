import type { Syscalls } from "../syscalls.ts";
import type { ModelSnapshot } from "./eyes/snapshot.ts";
import type { ClearedListener } from "./eyes/watch.ts";
import { boot } from "./kernel.ts";
import { type ModelOptions, settingsFrom } from "./options.ts";

export { ModelKernelOops, ModelProcessEnded, ModelUnknown } from "./errors.ts";
export type {
  ContainerSnapshot,
  MapSnapshot,
  ModelSnapshot,
  RegistrationSnapshot,
  WindowSnapshot,
} from "./eyes/snapshot.ts";
export type { ClearedListener, ClearedRange } from "./eyes/watch.ts";
export type { LockedMemoryLimits } from "./memory/locked.ts";
export type { MemorySource } from "./memory/source.ts";
export type { ModelOptions } from "./options.ts";

/** Where a device's access ends up. */
export interface DeviceReach {
  /** The address in this process of the very byte. It is the address that was mapped, also after a munmap there. */
  readonly va: bigint;
  /** Whether the device may read it, and write it. */
  readonly read: boolean;
  readonly write: boolean;
}

/** A software kernel: the system calls, and eyes to see what they did. */
export interface ModelKernel extends Syscalls {
  readonly name: "model";

  /** Everything there is, as plain data. Cost: in proportion to descriptors, windows and registrations. */
  snapshot(): ModelSnapshot;

  /**
   * What a device of `group` reaches at `iova`; `undefined` when the IOMMU stops it.
   * @throws RangeError ERR_OUT_OF_RANGE for a group that the model does not have, or an IOVA outside 64 bits.
   */
  tceAt(group: number, iova: bigint): DeviceReach | undefined;

  /**
   * Calls `listener` for every range of IOVA that goes from live to not live, during the call that does it. A TCE that
   * is replaced by another stays live. Returns the way to stop. Without listeners it costs nothing.
   */
  watch(listener: ClearedListener): () => void;

  /**
   * A child of this process: the same open files, a copy of the memory, and nothing registered or locked. A container
   * that was used belongs to the parent still.
   *
   * @throws {@link ModelUnknown} where the memory is real.
   */
  fork(): ModelKernel;

  /** Another program on the same machine, with simulated memory. It inherits nothing but the limits. */
  spawn(): ModelKernel;

  /**
   * Ends the process, as `kill -9` does: its files are closed, its memory goes, and with it what only the end of a process
   * frees. Every call after that throws {@link ModelProcessEnded}; the eyes stay open.
   */
  exit(): void;

  /** One sentence for each thing that is still held: empty once everything was closed and nothing was left behind. */
  leaks(): string[];
}

/**
 * Linux's VFIO driver for sPAPR TCE v2 as a model: bytes in, bytes out, no IOMMU needed. It answers as Linux 6.12 was
 * seen to answer on POWER9, mistakes included: what leaks there leaks here, what crashes there throws here.
 *
 *     const kernel = modelKernel({ platform: "pseries", groups: [26] });
 *     const container = kernel.open("/dev/vfio/vfio");
 *     const group = kernel.open("/dev/vfio/26");
 *     const argument = new Uint8Array(8);
 *     new DataView(argument.buffer).setInt32(0, container, true);
 *     kernel.ioctlStruct(group, VfioCall.GROUP_SET_CONTAINER, argument, 0); // 0
 *     kernel.ioctl(container, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE_V2); // 0
 *     // ... CREATE, REGISTER, MAP ...
 *     kernel.tceAt(26, 0x800000000000000n); // { va, read, write }: what the device would touch
 *     kernel.leaks(); // []: nothing was left behind
 *
 * A call never throws because the kernel says no: it returns a negative errno, or the kernel's positive numbers.
 *
 * @throws {@link ModelKernelOops} where the real kernel crashes.
 * @throws {@link ModelUnknown} where nobody has seen what the real kernel does.
 * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE for options that cannot be, and for an offset that
 *   leads out of the caller's memory.
 */
export function modelKernel(options: ModelOptions = {}): ModelKernel {
  return boot(settingsFrom(options));
}
