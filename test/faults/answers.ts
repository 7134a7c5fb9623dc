/** How each call can fail: what Linux 6.12 was seen to answer, or has in its source, and what nobody expects. */
import { no } from "../support/faulty.ts";

/** The number is no errno: `os.constants` does not know EBADFD. */
const EBADFD = -77;
const ANYTIME = [no.EINTR, no.EIO];

const spapr: Readonly<Record<string, readonly number[]>> = {
  VFIO_IOMMU_SPAPR_TCE_GET_INFO: [no.EINVAL, no.EPERM],
  VFIO_IOMMU_SPAPR_TCE_CREATE: [no.EINVAL, no.ENOMEM, no.ENOSPC, no.ENODEV, no.EPERM],
  VFIO_IOMMU_SPAPR_TCE_REMOVE: [no.EINVAL, no.EPERM, no.ENOMEM],
  // Positive: so many pages could be pinned, and none are.
  VFIO_IOMMU_SPAPR_REGISTER_MEMORY: [no.EPERM, no.EINVAL, no.ENOMEM, no.EFAULT, no.EBUSY, 1, 5],
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY: [no.EPERM, no.EINVAL, no.ENOENT],
  // Positive: the IOVA is unaligned.
  VFIO_IOMMU_MAP_DMA: [no.EPERM, no.EINVAL, no.ENXIO, no.ENOMEM, 1],
  VFIO_IOMMU_UNMAP_DMA: [no.EPERM, no.EINVAL, no.ENXIO, no.ENOMEM, 1],
};

const type1: Readonly<Record<string, readonly number[]>> = {
  VFIO_IOMMU_SPAPR_TCE_GET_INFO: [no.EINVAL, no.ENOMEM],
  VFIO_IOMMU_MAP_DMA: [no.EINVAL, no.EFAULT, no.EEXIST, no.ENOSPC, no.ENOMEM],
  VFIO_IOMMU_UNMAP_DMA: [no.EINVAL, no.ENOMEM],
};

const common: Readonly<Record<string, readonly number[]>> = {
  open: [no.ENOENT, no.ENODEV, no.EACCES, no.EPERM, no.EBUSY, no.EMFILE],
  mmap: [no.ENOMEM, no.EINVAL, no.EPERM],
  munmap: [no.EINVAL, no.ENOMEM],
  // Another version of the interface, and no such IOMMU.
  VFIO_GET_API_VERSION: [1],
  VFIO_CHECK_EXTENSION: [0],
  VFIO_SET_IOMMU: [no.EINVAL, no.ENODEV, no.EPERM, no.ENOMEM],
  VFIO_GROUP_GET_STATUS: [no.EINVAL, no.EFAULT],
  VFIO_GROUP_SET_CONTAINER: [no.EINVAL, no.EBADF, EBADFD, no.EPERM, no.EFAULT],
};

/** The answers to try for a call, by its name; without its good one. */
export function answersTo(name: string, isSpapr: boolean): readonly number[] {
  return [...ANYTIME, ...(common[name] ?? (isSpapr ? spapr : type1)[name] ?? [])];
}
