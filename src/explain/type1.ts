/** Calls on a container of type1: x86 and Arm. */
import { guards } from "../guards.ts";
import { bytes, hex } from "../hex.ts";
import { memoryLimit } from "../system/cgroups.ts";
import { noDriver } from "./arguments/descriptors.ts";
import { mappedAlready, outsideRanges, wrapsMap, wrapsUnmap } from "./arguments/type1.ts";
import { type Asked, type Cause, causesOf, type Question } from "./cause.ts";
import { askedOfContainer, known, operand } from "./facts.ts";
import { lengthOf, lockedLimit, overLimit } from "./questions.ts";

const TYPE1 = ["type1"] as const;
const MAP = "drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map";
const UNMAP = "drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_unmap";
const PIN = "drivers/vfio/vfio_iommu_type1.c: vaddr_get_pfns, vfio_pin_pages_remote";

/** How many maps one container may have: a parameter that is read when the container is made. */
const entryLimit: Question = (machine) => {
  const limit = machine.parameter("vfio_iommu_type1", "dma_entry_limit");
  if (limit === undefined) return undefined;
  return {
    verdict: "likely",
    why: `the container holds as many maps as the kernel takes (dma_entry_limit of vfio_iommu_type1 is ${limit})`,
  };
};

/** Whether an IOVA of the request lies in a hole that a group of the machine shows: which groups the container has is not known. */
const reservedIova: Question = (machine, { iova, length }) => {
  if (typeof iova !== "bigint" || typeof length !== "bigint" || length === 0n) return undefined;
  const last = iova + length - 1n; // both from the call: below 2^65, as bigint exact
  for (const group of machine.names("/sys/kernel/iommu_groups") ?? []) {
    for (const line of machine.text(`/sys/kernel/iommu_groups/${group}/reserved_regions`)?.split("\n") ?? []) {
      const [from, to, kind] = line.trim().split(/\s+/);
      if (from === undefined || to === undefined || kind === undefined || kind === "direct-relaxable") continue;
      const [start, end] = [BigInt(from), BigInt(to)];
      if (iova > end || last < start) continue;
      const why = `the kernel does not allow these IOVAs: ${hex(start)}-${hex(end)} is kept (${kind}, reserved_regions of group ${group})`;
      return { verdict: "likely", why };
    }
  }
  return undefined;
};

/** The IOMMU's tables are charged to this process's cgroups (`GFP_KERNEL_ACCOUNT`). */
const memoryCgroup: Question = (machine) => {
  const tightest = memoryLimit(machine.files);
  if (tightest === undefined)
    return machine.text("/proc/self/cgroup") === undefined ? undefined : { verdict: "unlikely" };
  const { file, limit, used } = tightest;
  const allowed = `${file} allows ${bytes(limit)}, of which ${bytes(used)} are used`;
  return { verdict: "possible", why: `the kernel has no memory for the IOMMU's tables: ${allowed}` };
};

/** Not all of the memory can be pinned, for writing where the device may write. */
function cannotPin(asked: Asked): string | boolean | undefined {
  const [size, flags] = [operand(asked, "size"), operand(asked, "flags")];
  if (size === undefined || flags === undefined) return undefined;
  const there = known(asked, (flags & 2n) === 0n ? "readable" : "writable");
  return there === undefined ? undefined : there < size && `${bytes(there)} of ${bytes(size)} can be pinned`;
}

/** No range is known: from 39 bits on an IOVA is more than many IOMMUs have. */
const highIova: Question = (machine, asked) => {
  const found = reservedIova(machine, asked);
  const [iova, size] = [operand(asked, "iova"), operand(asked, "size")];
  if (found !== undefined || iova === undefined || size === undefined || known(asked, "ranges") !== undefined)
    return found;
  const bits = (iova + size - 1n).toString(2).length;
  if (bits <= 39) return undefined;
  return {
    verdict: "likely",
    why: `the IOVAs need ${bits} address bits: many desktops have 39, and others between 42 and 48; GET_INFO has the ranges`,
  };
};

const noIommu = {
  id: "no-iommu",
  iommu: TYPE1,
  source: `${noDriver.source}; drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_detach_group`,
  holds: askedOfContainer(false),
  why: "the container has no IOMMU any more: its last group has gone",
  next: "bind the devices to vfio-pci again, and open a new container",
} as const;

export const type1Causes: readonly Cause[] = [
  ...causesOf("VFIO_IOMMU_GET_INFO", {
    EINVAL: [
      {
        id: "struct",
        summary: true,
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_get_info",
        why: "this kernel wants another struct, or the container has no IOMMU any more: its last group has gone",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        source: "drivers/vfio/vfio_main.c: vfio_info_cap_add",
        why: "the kernel has no memory for its list of capabilities",
        next: "free some",
      },
    ],
    EFAULT: [
      {
        id: "memory",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_get_info",
        why: "the kernel could not write its answer: wasm memory went away under the call, which is a defect of this library",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_MAP_DMA", {
    ENOMEM: [
      {
        id: "locked-memory",
        iommu: TYPE1,
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_lock_acct, vfio_pin_pages_remote",
        holds: overLimit,
        why: "more memory would be locked than RLIMIT_MEMLOCK allows, where every map counts, and memory that is mapped twice counts twice",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l; LimitMEMLOCK= of a unit; docker --ulimit memlock=-1), or run with CAP_IPC_LOCK",
        ask: lockedLimit(lengthOf),
      },
      {
        id: "kernel-memory",
        iommu: TYPE1,
        source: "drivers/iommu/iommu-pages.h: iommu_alloc_pages_node",
        why: "the kernel has no memory for the IOMMU's tables and its record of the map, or the memory cgroup allows no more",
        next: "free some, or map larger pages",
        ask: memoryCgroup,
      },
      {
        id: "migration",
        iommu: TYPE1,
        source: "mm/gup.c: migrate_longterm_unpinnable_folios",
        why: "pages lie where none may stay pinned (CMA, ZONE_MOVABLE), and there is no room to move them to",
        next: "use hugepages that were set aside at boot, or free memory",
      },
    ],
    EINVAL: [
      {
        id: "iova-range",
        iommu: TYPE1,
        source: `${MAP}, vfio_iommu_iova_dma_valid`,
        holds: outsideRanges,
        why: "the kernel does not allow these IOVAs: they pass the IOMMU's address width, or lie where interrupts or firmware's memory are",
        next: "plan the window with the container's info(), which has the ranges",
        ask: highIova,
      },
      {
        id: "alignment",
        summary: true,
        iommu: TYPE1,
        source: MAP,
        why: "address, IOVA or length are not whole pages of the IOMMU, or wrap at 2^64",
        next: "use multiples of the smallest page size of info()",
      },
      noIommu,
      {
        id: "iommu-driver",
        iommu: TYPE1,
        source: "drivers/iommu/iommu.c: __iommu_map",
        why: "the IOMMU's own driver refuses the pages",
        next: "see the kernel's log (dmesg)",
      },
    ],
    EEXIST: [
      {
        id: "mapped",
        iommu: TYPE1,
        source: MAP,
        holds: mappedAlready,
        why: "other memory is mapped at some of these IOVAs, not by this library: nothing was mapped",
        next: "let nobody else map into this container, as another thread or a child with the same descriptor",
      },
    ],
    ENOSPC: [
      {
        id: "entry-limit",
        iommu: TYPE1,
        holds: (asked) => {
          const left = known(asked, "mapsAvailable");
          return left === undefined ? undefined : left <= 0;
        },
        since: "5.1",
        source: MAP,
        why: "the container holds as many maps as the kernel takes (dma_entry_limit of vfio_iommu_type1)",
        guards: guards.dmaEntries,
        next: "map larger pieces (hugepages, whole segments), or raise it and open a new container",
        ask: entryLimit,
      },
    ],
    EFAULT: [
      {
        id: "not-there",
        iommu: TYPE1,
        source: PIN,
        holds: cannotPin,
        why: "the memory must be there, and writable where the device may write",
        next: "mmap all of it readable and writable first, or map it with the permission read",
      },
      {
        id: "no-hugepage",
        iommu: TYPE1,
        source: "mm/hugetlb.c: hugetlb_no_page",
        why: "hugepages were not populated, and the pool or the hugetlb cgroup has none left for them",
        next: "touch the pages first; see nr_hugepages, and hugetlb.*.max of the cgroup",
      },
      {
        id: "file-backed",
        iommu: TYPE1,
        since: "6.5",
        source: "mm/gup.c: writable_file_mapping_allowed",
        why: "it is a shared mapping of a file on a disk, which the kernel does not pin for ever",
        next: "use anonymous memory, hugetlbfs, or a file of tmpfs or memfd",
      },
      {
        id: "device-memory",
        iommu: TYPE1,
        source: "drivers/vfio/vfio_iommu_type1.c: follow_fault_pfn",
        why: "it is memory of a device (VM_PFNMAP) whose driver hands out no pages, or whose memory access is off at the moment",
        next: "map such memory only while its device is awake and enabled, or not at all",
      },
      {
        id: "secret-memory",
        iommu: TYPE1,
        source: "mm/gup.c: check_vma_flags, gup_fast_folio_allowed",
        why: "it is memory that nobody may pin (memfd_secret, a guest's private memory)",
        next: "use other memory",
      },
    ],
    EBUSY: [
      {
        id: "vaddr-invalid",
        iommu: TYPE1,
        since: "5.12",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_map",
        why: "maps of the container have lost their address (UNMAP with VADDR, for a program that is exchanged under its maps)",
        next: "give them their addresses again first, or open a new container",
      },
    ],
    EPERM: [
      {
        id: "other-process",
        iommu: TYPE1,
        since: "6.2",
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_change_dma_owner, vfio_dma_do_map",
        why: "the maps belong to another process: a container cannot be used after a fork",
        next: "open a container in this one",
      },
    ],
    EOVERFLOW: [
      {
        id: "wraps",
        iommu: TYPE1,
        since: "6.18",
        source: MAP,
        holds: wrapsMap,
        why: "address or IOVA run past 2^64",
        next: "map less",
      },
    ],
    EOPNOTSUPP: [
      {
        id: "dax",
        iommu: TYPE1,
        source: "mm/gup.c: check_vma_flags",
        why: "it is a file on persistent memory (fs-dax), which the kernel does not pin for ever",
        next: "use a dax device (/dev/dax), hugepages, or anonymous memory",
      },
    ],
    ERANGE: [
      {
        id: "address-width",
        iommu: TYPE1,
        source: "drivers/iommu/io-pgtable-arm.c: arm_lpae_map_pages",
        why: "the IOVA, or the memory's physical address, has more bits than the IOMMU's tables",
        next: "plan the window with the container's info(), which has the ranges",
      },
    ],
    EHWPOISON: [
      {
        id: "broken-page",
        iommu: TYPE1,
        source: "mm/gup.c: faultin_page",
        why: "a page of it is broken (a memory error of the hardware)",
        next: "use other memory, and see the kernel's log",
      },
    ],
    ESRCH: [
      {
        id: "process-gone",
        iommu: TYPE1,
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_lock_acct",
        why: "the process whose memory would be charged has ended",
        next: "open a container in this one",
      },
    ],
    EAGAIN: [
      {
        id: "pages-busy",
        iommu: TYPE1,
        source: "mm/gup.c: migrate_longterm_unpinnable_folios",
        why: "pages could not be moved to where they may stay pinned",
        next: "try again",
      },
    ],
  }),
  ...causesOf("VFIO_IOMMU_UNMAP_DMA", {
    EINVAL: [
      {
        id: "cut",
        summary: true,
        iommu: TYPE1,
        source: UNMAP,
        why: "a map of the kernel's would be cut, which it unmaps as a whole only; or these are no whole pages of the IOMMU",
        next: "unmap what was mapped in one call, in one call",
      },
      noIommu,
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        iommu: TYPE1,
        source: `${UNMAP}; drivers/iommu/intel/iommu.c: intel_iommu_unmap`,
        why: "the kernel has no memory",
        next: "free some, and unmap again",
      },
    ],
    EBUSY: [
      {
        id: "vaddr-invalid",
        iommu: TYPE1,
        since: "5.12",
        source: UNMAP,
        why: "a driver of a mediated device uses the pages, or maps of the container have lost their address",
        next: "close that device first",
      },
    ],
    EPERM: [
      {
        id: "other-process",
        iommu: TYPE1,
        source: UNMAP,
        why: "the map belongs to another process: a container cannot be used after a fork",
        next: "unmap it there",
      },
    ],
    EOVERFLOW: [
      {
        id: "wraps",
        iommu: TYPE1,
        since: "6.18",
        source: UNMAP,
        holds: wrapsUnmap,
        why: "the IOVAs run past 2^64",
        next: "unmap less",
      },
    ],
    EAGAIN: [
      {
        id: "pages-busy",
        iommu: TYPE1,
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_notify_dma_unmap",
        why: "a driver of a mediated device does not let go of the pages",
        next: "close that device, and unmap again",
      },
    ],
  }),
];
