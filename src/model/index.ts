import { boot } from "./kernel.ts";
import type { ModelKernel } from "./model-kernel.ts";
import { type ModelOptions, settingsFrom } from "./options.ts";

export { type EduOptions, edu } from "./devices/edu.ts";
export { softwareNvme } from "./devices/nvme/nvme.ts";
export type { NvmeCommand, NvmeFault, NvmeNamespaceOptions, NvmeOptions } from "./devices/nvme/options.ts";
export type { Bus, ModelPciDevice, Plugged, PluggedBar, PluggedFacts, Width } from "./devices/plug.ts";
export type { PluggedDevice } from "./devices/plugged-device.ts";
export type { DmaFault, DmaResult, ModelDevice } from "./dma/device.ts";
export { ModelKernelOops, ModelProcessEnded, ModelUnknown } from "./errors.ts";
export { type Fault, type FaultPlace, type FaultyKernel, faulty, killed } from "./faults.ts";
export type { CallCount, ModelCounters } from "./inspect/counters.ts";
export type { LiveIova } from "./inspect/live.ts";
export type {
  ContainerSnapshot,
  DeviceSnapshot,
  GroupSnapshot,
  MapSnapshot,
  ModelSnapshot,
  ProcessSnapshot,
  RegistersSnapshot,
  RegistrationSnapshot,
  WindowSnapshot,
} from "./inspect/snapshot.ts";
export type { IovaEvent, IovaListener } from "./inspect/watch.ts";
export type { LockedMemoryLimits } from "./memory/locked.ts";
export type { MemorySource } from "./memory/source.ts";
export type { DeviceReach, ModelKernel, SpawnOptions } from "./model-kernel.ts";
export type { ModelOptions, ModelPlatform } from "./options.ts";
export type { IovaRange, ModelReservedRegion } from "./type1/settings.ts";

/**
 * Linux's VFIO drivers as a model: bytes in, bytes out, no IOMMU needed. It answers as a version of Linux was seen to answer on
 * POWER9 and on x86, mistakes included: what leaks there leaks here, what crashes there throws here. By default that is the newest
 * that was asked; `linux: "6.12.107"` is another.
 *
 *     const kernel = modelKernel({ platform: "pseries", groups: [26] });
 *     const container = kernel.open("/dev/vfio/vfio");
 *     const group = kernel.open("/dev/vfio/26");
 *     const argument = new Uint8Array(8);
 *     new DataView(argument.buffer).setInt32(0, container, true);
 *     kernel.ioctlStruct(group, VfioCall.GROUP_SET_CONTAINER, argument, 0); // 0
 *     kernel.ioctl(container, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE_V2); // 0
 *     // ... CREATE, REGISTER, MAP ...
 *     kernel.device(26).write(0x800000000000000n, Uint8Array.of(1)); // { bytes: 1 }, or { bytes: 0, fault }
 *     kernel.leaks(); // what is still open, mapped, registered; []: nothing was left behind
 *
 * A call never throws because the kernel says no: it returns a negative errno, or the kernel's positive numbers.
 *
 * Memory is simulated unless `memory` says otherwise: its bytes exist once somebody touches them, through `view` or as a
 * device, so that windows over terabytes cost nothing. All of it is present that may be used at all. Physical addresses exist:
 * neighbouring pages are not neighbours there, inside a hugepage they are.
 *
 * @throws {@link ModelKernelOops} where the real kernel crashes.
 * @throws {@link ModelUnknown} where nobody has seen what the real kernel does.
 * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE for options that cannot be, and for an offset that
 *   leads out of the caller's memory.
 */
export function modelKernel(options: ModelOptions = {}): ModelKernel {
  return boot(settingsFrom(options));
}
