/**
 * What to do about the kernel's answers: one sentence for each pair of a call and an errno that this library has met. The
 * same answer to the same call can mean different things on different IOMMUs, so each has a table of its own.
 */
import { DmaWindowError, errnoName } from "./errors.ts";

/** Call -> errno -> what to do. */
type Hints = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** True wherever the call is answered so. */
const everywhere: Hints = {
  "open /dev/vfio/vfio": {
    ENOENT: "VFIO is not there: load the module vfio, or use modelKernel()",
    ENODEV: "VFIO's node is there but not its driver: load the module vfio",
    EACCES: "this user may not open it: change its mode, or run as root",
    EPERM:
      "a security policy forbids it, as a container's list of devices does: allow the devices of VFIO, major 10 and its own",
    EBUSY: "something else than VFIO holds the node: see what the device is",
    EMFILE: "this process has as many files open as it may: close some, or raise the limit (ulimit -n)",
  },
  "open group": {
    ENOENT:
      "no such group is bound to VFIO: bind every device of the group to vfio-pci first (one without an IOMMU needs noIommu: true)",
    EACCES: "this user may not open it: change the owner of the node under /dev/vfio, or run as root",
    EPERM: "a no-IOMMU group needs CAP_SYS_RAWIO",
    EBUSY: "a group opens once: another program, or an earlier container of this one, still holds it",
    ENODEV: "the group has gone: its last device was unbound or taken out; bind the devices to vfio-pci again",
    EMFILE: "this process has as many files open as it may: close some, or raise the limit (ulimit -n)",
  },
  VFIO_GROUP_GET_STATUS: {
    EINVAL: "this kernel wants another struct: it is not the VFIO that this library speaks",
    EFAULT:
      "the kernel could not write its answer: wasm memory went away under the call, which is a defect of this library",
  },
  VFIO_GROUP_SET_CONTAINER: {
    EINVAL: "the group has a container already",
    EBADF: "the container's descriptor was closed behind this library's back",
    EBADFD:
      "the container's descriptor leads elsewhere: it was closed, and opened for another file, behind this library's back",
    EFAULT:
      "the kernel could not read the descriptor: wasm memory went away under the call, which is a defect of this library",
    EPERM: "groups with and without an IOMMU cannot share a container, and those without need CAP_SYS_RAWIO",
  },
  VFIO_SET_IOMMU: {
    EINVAL: "the container has no group, or has its type already",
    ENOMEM: "the kernel has no memory for the IOMMU's tables: free some",
    EPERM: "a group without an IOMMU needs CAP_SYS_RAWIO",
  },
  VFIO_IOMMU_SPAPR_TCE_GET_INFO: {
    EINVAL: "this kernel wants another struct, or the container has no IOMMU any more: its last group has gone",
    EPERM: "a container belongs to the process that used it first: it cannot be used after a fork",
  },
  VFIO_IOMMU_GET_INFO: {
    EINVAL: "this kernel wants another struct, or the container has no IOMMU any more: its last group has gone",
    ENOMEM: "the kernel has no memory for its list of capabilities: free some",
  },
  VFIO_IOMMU_SPAPR_TCE_REMOVE: {
    EINVAL: "no window is there: it was removed behind this library's back",
    EPERM: "a container belongs to the process that used it first: it cannot be used after a fork",
    ENOMEM: "the kernel has no memory: free some, and close the window again",
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
    ENXIO: "the window is gone",
    EEXIST: "other memory is mapped at some of these IOVAs: nothing was mapped",
  },
  VFIO_IOMMU_UNMAP_DMA: {
    ENXIO: "the window is gone",
    EINVAL: "the container has no IOMMU any more (its last group has gone), or these are no whole pages of it",
    ENOMEM: "the kernel has no memory: free some, and unmap again",
  },
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY: {
    ENOENT: "the kernel does not know this registration",
    EINVAL:
      "the kernel wants whole pages of the CPU, which every registration of this library is: it was changed on its way",
    EPERM: "a container belongs to the process that used it first: it cannot be used after a fork",
  },
  munmap: {
    EINVAL: "a hugepage would be cut, or the range is no range of this process",
    ENOMEM:
      "the process would have too many pieces of address space (see /proc/sys/vm/max_map_count): unmap larger ones",
  },
  // mm/madvise.c: madvise_populate
  madvise: {
    EFAULT:
      "a page cannot be had: a hugetlb cgroup allows fewer (hugetlb.*.max), or the pool is empty; raise that limit, or ask for fewer pages",
    ENOMEM: "there is no memory for a page: free some, or ask for fewer pages",
    EHWPOISON: "a page is broken: see the kernel's log",
  },
  mmap: {
    ENOMEM:
      "not enough memory, or not enough free hugepages of that size (see /proc/sys/vm/nr_hugepages; on POWER those that a device could use come back a moment after they are freed)",
    EINVAL: "the kernel has no pages of that size",
    EEXIST: "something is mapped at that address already",
    EPERM: "this user may not have that memory",
  },
};

const byIommu: Readonly<Record<IommuKind, Hints>> = {
  spapr: {
    VFIO_GROUP_SET_CONTAINER: {
      EPERM: "a container that has made a window takes no second group on an LPAR",
    },
    VFIO_SET_IOMMU: {
      ENODEV: "this machine's VFIO has no driver for that type: load vfio_iommu_spapr_tce",
    },
    VFIO_IOMMU_MAP_DMA: {
      EINVAL: "the memory's pages are smaller than the window's, or it is not registered as a whole",
      EPERM: "nothing is registered in this container, or it belongs to another process",
      ENOMEM: "more memory would be locked than RLIMIT_MEMLOCK allows, or the tables do not fit into memory",
    },
    VFIO_IOMMU_UNMAP_DMA: {
      EPERM: "the container belongs to another process",
      ENOMEM: "the window's tables do not fit under RLIMIT_MEMLOCK: raise it (ulimit -l), or run with CAP_IPC_LOCK",
    },
  },
  // drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map, vfio_dma_do_unmap, vfio_iommu_type1_attach_group
  type1: {
    VFIO_SET_IOMMU: {
      ENODEV: "this machine's VFIO has no driver for that type: load vfio_iommu_type1",
      EPERM:
        "the IOMMU does not keep a device's interrupts apart; who trusts the device all the same loads vfio_iommu_type1 with allow_unsafe_interrupts=1",
    },
    VFIO_IOMMU_MAP_DMA: {
      EEXIST: "other memory is mapped at some of these IOVAs, not by this library: nothing was mapped",
      ENOSPC:
        "the container holds as many maps as the kernel takes (dma_entry_limit of vfio_iommu_type1): map larger pieces, or raise it",
      ENOMEM:
        "more memory would be locked than RLIMIT_MEMLOCK allows, where every map counts, and memory that is mapped twice counts twice: raise it (ulimit -l), or run with CAP_IPC_LOCK",
      EFAULT: "the memory must be there, and writable where the device may write",
      EINVAL: "the kernel does not allow these IOVAs, or they are not whole pages of the IOMMU",
    },
    VFIO_IOMMU_UNMAP_DMA: {
      EINVAL: "a map of the kernel's would be cut, which it unmaps as a whole only",
    },
  },
  // drivers/vfio/container.c: vfio_noiommu_open, vfio_container_attach_group
  noiommu: {
    "open group": {
      ENOENT:
        "no such group: load vfio with enable_unsafe_noiommu_mode=1, then bind every device of the group to vfio-pci",
    },
    VFIO_GROUP_SET_CONTAINER: {
      EPERM: "a no-IOMMU group needs CAP_SYS_RAWIO",
    },
    VFIO_SET_IOMMU: {
      ENODEV: "the kernel gives no container without an IOMMU: load vfio with enable_unsafe_noiommu_mode=1",
      EPERM: "a container without an IOMMU needs CAP_SYS_RAWIO",
    },
  },
};

/** The IOMMUs whose answers differ: the `kind` of a container. */
export type IommuKind = "spapr" | "type1" | "noiommu";

/**
 * What an answer that means failure says: `EBUSY: a group opens once: ...`, or the errno alone where nothing more is
 * known. sPAPR's calls also fail with positive numbers, which are no errnos. Without `iommu` only what is true on every
 * IOMMU is said.
 */
export function explain(call: string, answer: number, iommu?: IommuKind): string {
  if (answer > 0) return `the answer was ${answer}, which means failure`;
  const name = errnoName(answer);
  const hint = (iommu && byIommu[iommu][call]?.[name]) ?? everywhere[call]?.[name];
  return hint === undefined ? name : `${name}: ${hint}`;
}

/**
 * The error for a call that the kernel refused. `about` is what the message begins with, `hint` the call that `explain`
 * knows it by; both are the call's own name unless they are given.
 */
export function refusedByKernel(
  syscall: string,
  answer: number,
  { about = syscall, hint = syscall, iommu, facts }: RefusedCall = {},
): DmaWindowError {
  return new DmaWindowError("ERR_KERNEL", `${about}: ${explain(hint, answer, iommu)}`, {
    syscall,
    ...(answer < 0 ? { errno: answer } : {}),
    ...(facts === undefined ? {} : { facts }),
  });
}

interface RefusedCall {
  readonly about?: string;
  readonly hint?: string;
  /** On which IOMMU, where that is known: the words may differ. */
  readonly iommu?: IommuKind;
  readonly facts?: Readonly<Record<string, unknown>>;
}
