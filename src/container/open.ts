import { argumentTypeError, DmaWindowError, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { IommuType, type Syscalls, VFIO_API_VERSION, VfioCall } from "../syscalls.ts";
import { count, object, syscalls } from "../validate.ts";
import { Container } from "./container.ts";
import { joinGroup } from "./group.ts";

export interface OpenContainerOptions {
  /** `linuxKernel()`, or `modelKernel()` for a laptop without an IOMMU. */
  readonly kernel: Syscalls;
  /** The IOMMU groups of the devices: the names of the nodes under /dev/vfio. One on an LPAR. */
  readonly groups: readonly number[];
}

/**
 * Opens a container and puts groups into it. When anything fails, everything is closed again.
 *
 * @throws `ERR_KERNEL` with the call and its errno, and what to do about it; `ERR_GROUP_NOT_VIABLE`;
 * `ERR_VFIO_VERSION`; `ERR_NO_SPAPR` where the machine's IOMMU is not sPAPR TCE v2; `ERR_ONE_GROUP` on an LPAR.
 * @throws `ERR_SHIM_UNAVAILABLE` from `linuxKernel()` where the shim is not built: it says what to install.
 */
export function openContainer(options: OpenContainerOptions): Container {
  object("options", options);
  const kernel = syscalls("kernel", options.kernel);
  const { groups } = options;
  if (!Array.isArray(groups) || groups.length === 0) {
    throw argumentTypeError("groups", "an array of at least one group number", groups);
  }
  for (const [i, group] of groups.entries()) count(`groups[${i}]`, group);
  const container = openFiles(kernel, groups);
  try {
    // The kernel takes a second group into an LPAR's container without a word, and then refuses every map.
    if (groups.length === 1 || container.info().platform !== "pseries") return container;
    throw new DmaWindowError("ERR_ONE_GROUP", `a container of an LPAR holds one group; ${groups.length} were named`);
  } catch (error) {
    try {
      container.close();
    } catch (problem) {
      throw withResidue(error, [String(problem)]);
    }
    throw error;
  }
}

function openFiles(kernel: Syscalls, groups: readonly number[]): Container {
  const containerFd = kernel.open("/dev/vfio/vfio");
  if (containerFd < 0) {
    const call = "open /dev/vfio/vfio";
    throw refusedByKernel("open", containerFd, { about: call, hint: call });
  }
  const groupFds: number[] = [];
  try {
    checkVersion(kernel, containerFd);
    checkSpapr(kernel, containerFd);
    for (const group of groups) groupFds.push(joinGroup(kernel, containerFd, group));
    const answer = kernel.ioctl(containerFd, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE_V2);
    if (answer !== 0) throw refusedByKernel("VFIO_SET_IOMMU", answer);
    return new Container(kernel, { containerFd, groupFds });
  } catch (error) {
    for (const fd of [...groupFds, containerFd]) kernel.close(fd);
    throw error;
  }
}

function checkVersion(kernel: Syscalls, fd: number): void {
  const version = kernel.ioctl(fd, VfioCall.GET_API_VERSION, 0);
  if (version === VFIO_API_VERSION) return;
  throw new DmaWindowError(
    "ERR_VFIO_VERSION",
    `this kernel speaks VFIO version ${version}; known is ${VFIO_API_VERSION}`,
  );
}

function checkSpapr(kernel: Syscalls, fd: number): void {
  if (kernel.ioctl(fd, VfioCall.CHECK_EXTENSION, IommuType.SPAPR_TCE_V2) === 1) return;
  const type1 = kernel.ioctl(fd, VfioCall.CHECK_EXTENSION, IommuType.TYPE1v2) === 1;
  throw new DmaWindowError(
    "ERR_NO_SPAPR",
    type1
      ? "this machine's IOMMU is type1 (x86, Arm); this version makes windows on sPAPR TCE v2 (POWER) only"
      : "VFIO has no driver for this machine's IOMMU: on POWER load vfio_iommu_spapr_tce",
  );
}
