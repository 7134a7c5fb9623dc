/** What to do about the kernel's answers: one sentence for each pair of a call and an errno that this library has met. */
import { DmaWindowError, errnoName } from "./errors.ts";

const hints: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "open /dev/vfio/vfio": {
    ENOENT: "VFIO is not there: load the module vfio, or use modelKernel()",
    ENODEV: "VFIO's node is there but not its driver: load the module vfio",
    EACCES: "this user may not open it: change its mode, or run as root",
  },
  "open group": {
    ENOENT: "no such group is bound to VFIO: bind every device of the group to vfio-pci first",
    EACCES: "this user may not open it: change the owner of the node under /dev/vfio, or run as root",
    EPERM: "a no-IOMMU group needs CAP_SYS_RAWIO",
    EBUSY: "a group opens once: another program, or an earlier container of this one, still holds it",
  },
  VFIO_GROUP_SET_CONTAINER: {
    EINVAL: "the group has a container already",
    EPERM: "a container that has made a window takes no second group on an LPAR",
  },
  VFIO_SET_IOMMU: {
    ENODEV: "this machine's VFIO has no driver for that type: on POWER load vfio_iommu_spapr_tce",
    EINVAL: "the container has no group, or has its type already",
  },
  VFIO_IOMMU_SPAPR_TCE_CREATE: {
    ENOSPC: "both windows of the container are taken: close one",
    ENOMEM: "the tables do not fit under RLIMIT_MEMLOCK or into memory: raise it (ulimit -l), or use larger pages",
    EINVAL: "the kernel does not make that shape of table",
    ENODEV: "the firmware refused, and will refuse this group until the machine is booted again",
    EPERM: "an LPAR does not make its default window again while another one exists, or the container has two groups",
  },
  VFIO_IOMMU_SPAPR_REGISTER_MEMORY: {
    ENOMEM: "more memory would be locked than RLIMIT_MEMLOCK allows: raise it (ulimit -l), or run with CAP_IPC_LOCK",
    EFAULT: "memory that a device may use must be mapped and writable",
    EINVAL: "the memory overlaps what this process has registered in another container",
    EBUSY: "this range is registered already, behind this library's back",
    EPERM: "a container belongs to the process that used it first: it cannot be used after a fork",
  },
  VFIO_IOMMU_MAP_DMA: {
    EINVAL: "the memory's pages are smaller than the window's, or it is not registered as a whole",
    ENXIO: "the window is gone",
    EPERM: "nothing is registered in this container, or it belongs to another process",
    EEXIST: "other memory is mapped at some of these IOVAs: nothing was mapped",
    ENOMEM: "more memory would be locked than RLIMIT_MEMLOCK allows, or the tables do not fit into memory",
    ENOSPC: "the kernel takes no more maps in this container",
  },
  VFIO_IOMMU_UNMAP_DMA: {
    ENXIO: "the window is gone",
    EPERM: "the container belongs to another process",
  },
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY: {
    ENOENT: "the kernel does not know this registration",
  },
  mmap: {
    ENOMEM: "not enough memory, or not enough free hugepages of that size (see /proc/sys/vm/nr_hugepages)",
    EINVAL: "the kernel has no pages of that size",
    EEXIST: "something is mapped at that address already",
    EPERM: "this user may not have that memory",
  },
};

/**
 * What an answer that means failure says: `EBUSY: a group opens once: ...`, or the errno alone where nothing more is
 * known. sPAPR's calls also fail with positive numbers, which are no errnos.
 */
export function explain(call: string, answer: number): string {
  if (answer > 0) return `the answer was ${answer}, which means failure`;
  const name = errnoName(answer);
  const hint = hints[call]?.[name];
  return hint === undefined ? name : `${name}: ${hint}`;
}

/**
 * The error for a call that the kernel refused. `about` is what the message begins with, `hint` the call that `explain`
 * knows it by; both are the call's own name unless they are given.
 */
export function refusedByKernel(
  syscall: string,
  answer: number,
  { about = syscall, hint = syscall, facts }: RefusedCall = {},
): DmaWindowError {
  return new DmaWindowError("ERR_KERNEL", `${about}: ${explain(hint, answer)}`, {
    syscall,
    ...(answer < 0 ? { errno: answer } : {}),
    ...(facts === undefined ? {} : { facts }),
  });
}

interface RefusedCall {
  readonly about?: string;
  readonly hint?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}
