/** Which IOMMU a container gets: the machine has one, and says so before the first group is in. */
import { DmaWindowError } from "../../errors.ts";
import { refusedByKernel } from "../../explain.ts";
import { IommuType, type Syscalls, VfioCall } from "../../syscalls.ts";
import { warn } from "../../warn.ts";
import type { Backend } from "./backend.ts";
import { NoIommuBackend } from "./noiommu.ts";
import { SpaprBackend } from "./spapr.ts";
import { Type1Backend } from "./type1.ts";

/** Whether this process was told already that its devices reach all memory. */
let warned = false;

/**
 * sPAPR TCE v2 where it is, else type1, version 2 before 1. Never without an IOMMU, unless that is asked for. `groups` says which
 * are in the container at the moment.
 *
 * @throws `ERR_NO_IOMMU_DRIVER`.
 */
export function chooseBackend(
  kernel: Syscalls,
  containerFd: number,
  noIommu: boolean,
  groups: () => readonly number[],
): Backend {
  const has = (type: number): boolean => {
    const answer = kernel.ioctl(containerFd, VfioCall.CHECK_EXTENSION, type);
    if (answer < 0) throw noAnswer(kernel, answer);
    return answer === 1;
  };
  if (noIommu) {
    if (has(IommuType.NOIOMMU)) return new NoIommuBackend(kernel);
    throw new DmaWindowError(
      "ERR_NO_IOMMU_DRIVER",
      "VFIO gives no container without an IOMMU, in which a device reaches all memory and the kernel is tainted: where that is " +
        "meant, load the module vfio with enable_unsafe_noiommu_mode=1",
    );
  }
  if (has(IommuType.SPAPR_TCE_V2)) return new SpaprBackend(kernel, containerFd);
  for (const type of [IommuType.TYPE1v2, IommuType.TYPE1] as const) {
    if (has(type)) return new Type1Backend(kernel, containerFd, type, groups);
  }
  throw new DmaWindowError(
    "ERR_NO_IOMMU_DRIVER",
    "VFIO has no driver for this machine's IOMMU: load vfio_iommu_type1 (x86, Arm) or vfio_iommu_spapr_tce (POWER), and see " +
      "that the IOMMU is on (firmware's setup; Intel's wants intel_iommu=on on the kernel's command line too). On a machine without one a device reaches all " +
      "memory, which noIommu: true allows",
  );
}

/** A container answers 0 or 1: what says anything else is no VFIO. */
function noAnswer({ files }: Syscalls, answer: number): DmaWindowError {
  const { message, ...more } = refusedByKernel("VFIO_CHECK_EXTENSION", answer, { files });
  return new DmaWindowError("ERR_NO_IOMMU_DRIVER", message, more);
}

/** Says once for each process what a container without an IOMMU means. To be called when there is one. */
export function warnOfNoIommu(): void {
  if (warned) return;
  warned = true;
  warn(
    "DMA_WINDOW_NO_IOMMU",
    "a container without an IOMMU is open: its devices can reach all memory of the machine, whatever is mapped, and the kernel is tainted",
  );
}
