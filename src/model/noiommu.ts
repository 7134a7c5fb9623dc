import { IommuType } from "../syscalls.ts";
import type { DriverModule } from "./driver-module.ts";
import { EINVAL, ENOTTY, EPERM } from "./errno.ts";
import type { IommuDriver } from "./iommu-driver.ts";
import type { Frames } from "./memory/frames.ts";

/**
 * vfio-noiommu, which maps nothing: an IOVA is a physical address, and a device reaches all of them. The kernel knows of no
 * DMA here, so it pins nothing and charges nothing.
 *
 * Rules: `drivers/vfio/container.c: vfio_noiommu_open, vfio_noiommu_ioctl`, read. `vfio.enable_unsafe_noiommu_mode` is on.
 */
export function noIommuModule(frames: Frames): DriverModule {
  const checkExtension = (extension: number) => (extension === IommuType.NOIOMMU ? 1 : 0);
  const driver: IommuDriver = {
    checkExtension,
    ioctl: () => ENOTTY,
    attach: () => 0,
    detach() {},
    release() {},
    reach: (iovaPage) => frames.at(iovaPage),
    // All memory there is: nothing of it was ever mapped, and nothing is to be listed.
    live: () => [],
    state: () => ({}),
    holdings: () => ({ windows: [], registrations: [], maps: [] }),
  };
  return {
    noIommu: true,
    checkExtension,
    open(type, caller) {
      if (type !== IommuType.NOIOMMU) return EINVAL;
      return caller.mayReachAllMemory ? driver : EPERM;
    },
  };
}
