/** Memory from the operating system: mmap, munmap, and what comes after them. */
import { guards } from "../guards.ts";
import { bytes } from "../hex.ts";
import { hugetlbLimit } from "../system/cgroups.ts";
import { type Asked, type Cause, causesOf, type Finding, type Question } from "./cause.ts";
import type { Machine } from "./machine.ts";
import { lengthOf, lockedLimit } from "./questions.ts";

/** Of a cause that cannot be here nothing is said at all. */
const NOT_HERE: Finding = { verdict: "ruled out" };

/** Whether no page is taken: address space that is only kept needs none, and nobody writes to it. */
function isOnlyKept({ onlyKept }: Asked): boolean {
  return onlyKept === true;
}

/** The size of the hugepages that were asked for; `undefined` where that is not known, 0 for pages of the CPU. */
function hugePageOf({ pageSize, hugetlb }: Asked): bigint | undefined {
  if (hugetlb === false) return 0n;
  return typeof pageSize === "bigint" && hugetlb === true ? pageSize : undefined;
}

function poolDirectory(pageSize: bigint, node: unknown): string {
  const root = typeof node === "number" ? `/sys/devices/system/node/node${node}/hugepages` : "/sys/kernel/mm/hugepages";
  return `${root}/hugepages-${pageSize >> 10n}kB`;
}

/** The pool of that page size, of the machine or of one NUMA node (`mm/hugetlb.c: hugetlb_acct_memory`). */
const pool: Question = (machine, asked) => {
  const pageSize = hugePageOf(asked);
  if (pageSize === 0n || isOnlyKept(asked)) return NOT_HERE;
  if (pageSize === undefined) return undefined;
  const directory = poolDirectory(pageSize, asked.node);
  const next = `write a larger number to ${directory}/nr_hugepages, or ask for fewer`;
  const pages = `${bytes(pageSize)} pages${typeof asked.node === "number" ? ` of NUMA node ${asked.node}` : ""}`;
  const [total, free, reserved = 0] = ["nr", "free", "resv"].map((name) =>
    machine.number(`${directory}/${name}_hugepages`),
  );
  if (total === undefined || free === undefined)
    return { verdict: "possible", why: `the pool of ${pages} has not enough free`, next };
  const available = Math.max(0, free - reserved);
  const promised = reserved === 0 ? "" : `, ${reserved} of these promised to others`;
  const wanted = pagesOf(asked, pageSize);
  const has = `the pool of ${pages} has ${free} of ${total} free${promised}`;
  if (wanted === undefined) return { verdict: "likely", why: has, next };
  const asks = `${has}, and ${wanted} ${wanted === 1 ? "is" : "are"} asked for`;
  // Where there are enough by now, another program may have had them a moment ago.
  return wanted > available
    ? { verdict: "sure", why: asks, next }
    : { verdict: "possible", why: `${asks}: it may have had fewer a moment ago`, next };
};

function pagesOf(asked: Asked, pageSize: bigint): number | undefined {
  const length = lengthOf(asked);
  return length === undefined ? undefined : Number((length + pageSize - 1n) / pageSize); // below 2^52: hugepages
}

const hugetlbCgroup: Question = (machine, asked) => {
  const pageSize = hugePageOf(asked);
  if (pageSize === 0n || isOnlyKept(asked)) return NOT_HERE;
  if (pageSize === undefined) return undefined;
  const tightest = hugetlbLimit(machine.files, pageSize, "either");
  if (tightest === undefined)
    return machine.text("/proc/self/cgroup") === undefined ? undefined : { verdict: "unlikely" };
  const { file, limit, used } = tightest;
  const length = lengthOf(asked);
  const verdict = length === undefined ? "likely" : used + length > limit ? "sure" : "unlikely";
  return { verdict, why: `${file} allows ${bytes(limit)}, of which ${bytes(used)} are used` };
};

/** RLIMIT_AS and RLIMIT_DATA (`mm/vma.c: may_expand_vm`), which count address space that nobody touches too. */
function addressSpace(name: string, size: string, what: string): Question {
  return (machine, asked) => {
    if (size === "VmData" && isOnlyKept(asked)) return NOT_HERE; // only what may be written counts
    const limit = machine.limit(name);
    if (limit === null) return NOT_HERE;
    const used = machine.statusBytes(size);
    if (limit === undefined || used === undefined) return undefined;
    const length = lengthOf(asked);
    const verdict = length === undefined ? "likely" : used + length > limit ? "sure" : "unlikely";
    return { verdict, why: `the process has ${bytes(used)} of ${what} of the ${bytes(limit)} that it may have` };
  };
}

/** vm.max_map_count: one area of address space for each line of /proc/self/maps (`mm/mmap.c: do_mmap`). */
const mapCount: Question = (machine) => {
  const most = machine.number("/proc/sys/vm/max_map_count");
  const maps = machine.text("/proc/self/maps");
  if (most === undefined || maps === undefined) return undefined;
  const count = maps.split("\n").length - 1;
  // Two areas more may come of one call, where it cuts one in three.
  return {
    verdict: count + 2 >= most ? "sure" : "ruled out",
    ...(count + 2 >= most ? { why: `the process has ${count} pieces of address space, and may have ${most}` } : {}),
  };
};

/** vm.overcommit_memory=2 (`mm/util.c: __vm_enough_memory`); hugepages do not count there. */
const overcommit: Question = (machine, asked) => {
  const pageSize = hugePageOf(asked);
  if ((pageSize !== undefined && pageSize > 0n) || isOnlyKept(asked)) return NOT_HERE;
  const mode = machine.number("/proc/sys/vm/overcommit_memory");
  if (mode === undefined) return undefined;
  if (mode !== 2) return mode === 1 ? NOT_HERE : { verdict: "possible" };
  const [limit, used] = [machine.meminfo("CommitLimit"), machine.meminfo("Committed_AS")];
  if (limit === undefined || used === undefined) return { verdict: "likely" };
  return {
    verdict: used + (lengthOf(asked) ?? 0n) > limit ? "sure" : "unlikely",
    why: `vm.overcommit_memory is 2, and ${bytes(used)} of the ${bytes(limit)} of CommitLimit are promised`,
  };
};

/** Only POWER keeps pages of a device a moment longer: they are unpinned after an RCU grace period. */
const onPower: Question = (machine, asked) => {
  if (hugePageOf(asked) === 0n || isOnlyKept(asked)) return NOT_HERE;
  const cpu = machine.text("/proc/cpuinfo");
  if (cpu === undefined) return undefined;
  return /POWER|PowerNV|pSeries/i.test(cpu) ? { verdict: "possible" } : NOT_HERE;
};

/** Which page sizes the kernel has (`mm/hugetlb.c: hugetlb_file_setup, hstate_sizelog`). */
const pageSizes: Question = (machine, asked) => {
  const pageSize = hugePageOf(asked);
  if (pageSize === 0n) return NOT_HERE;
  const names = machine.names("/sys/kernel/mm/hugepages");
  if (names === undefined) {
    return machine.lacks("/sys/kernel/mm/hugepages") && machine.names("/sys/kernel/mm") !== undefined
      ? { verdict: "likely", why: "the kernel has no hugepages at all (CONFIG_HUGETLBFS)" }
      : undefined;
  }
  if (pageSize === undefined) return undefined;
  if (names.includes(`hugepages-${pageSize >> 10n}kB`)) return { verdict: "unlikely" };
  const sizes = names.map((name) => /^hugepages-(\d+)kB$/.exec(name)?.[1]).filter((size) => size !== undefined);
  const known = sizes
    .map(BigInt)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((size) => bytes(size << 10n));
  return {
    verdict: "sure",
    why: `the kernel has no pages of that size (${bytes(pageSize)}), but of ${known.join(", ")}`,
  };
};

/** The nodes that are there, and those that this process may use. */
const nodes: Question = (machine, { node }) => {
  const online = machine.text("/sys/devices/system/node/has_memory")?.trim();
  const allowed = machine.status("Mems_allowed_list");
  if (typeof node !== "number" || (online === undefined && allowed === undefined)) return undefined;
  const here = [
    online === undefined ? "" : `nodes with memory are ${online}`,
    allowed === undefined ? "" : `this process may use ${allowed}`,
  ];
  return {
    verdict: "likely",
    why: `node ${node} has no memory, or is not for this process: ${here.filter(Boolean).join("; ")}`,
  };
};

/** A seccomp profile of container tools lets mbind through only with CAP_SYS_NICE. */
const filtered: Question = (machine: Machine) => {
  const mode = machine.status("Seccomp");
  if (mode === undefined) return undefined;
  return { verdict: mode === "0" ? "unlikely" : "likely" };
};

const poolCause = {
  id: "pool",
  source: "mm/hugetlb.c: hugetlb_acct_memory, alloc_hugetlb_folio",
  why: "the pool of that page size has not enough free hugepages",
  next: "write a larger number to /sys/kernel/mm/hugepages/hugepages-<size>kB/nr_hugepages (/proc/sys/vm/nr_hugepages is of one size only), or ask for fewer",
  ask: pool,
} as const;

const cgroupCause = {
  id: "hugetlb-cgroup",
  source: "mm/hugetlb_cgroup.c: hugetlb_cgroup_charge_cgroup",
  why: "a hugetlb cgroup, as a container's, allows no more hugepages of that size (hugetlb.*.max, hugetlb.*.rsvd.max)",
  guards: guards.hugetlbCgroup,
  next: "raise that limit (Kubernetes: the pod's limit of hugepages), or ask for fewer",
  ask: hugetlbCgroup,
} as const;

const mapCountCause = {
  id: "map-count",
  source: "mm/mmap.c: do_mmap; mm/vma.c: __split_vma",
  why: "the process would have too many pieces of address space",
  guards: guards.mapCount,
  next: "take larger ones, or raise /proc/sys/vm/max_map_count",
  ask: mapCount,
} as const;

const sealed = {
  id: "sealed",
  since: "6.10",
  source: "mm/mseal.c: can_modify_mm",
  why: "the memory there is sealed (mseal)",
  next: "leave it where it is",
} as const;

const outOfMemory = {
  id: "kernel-memory",
  ask: ((_, asked) => (isOnlyKept(asked) ? { verdict: "unlikely" } : undefined)) as Question,
  source: "mm/mmap.c: mmap_region; mm/memory.c: alloc_anon_folio",
  why: "the machine, or the memory cgroup, has no memory left for it",
  next: "free some (MemAvailable of /proc/meminfo; memory.max of the cgroup)",
} as const;

export const memoryCauses: readonly Cause[] = [
  ...causesOf("mmap", {
    ENOMEM: [
      poolCause,
      cgroupCause,
      {
        id: "address-space",
        source: "mm/vma.c: may_expand_vm (RLIMIT_AS)",
        why: "the process may have no more address space, which counts from when it is kept (ulimit -v)",
        guards: guards.addressSpace,
        next: "raise it (ulimit -v unlimited), or keep less: maxBytes of the lists",
        ask: addressSpace("Max address space", "VmSize", "address space"),
      },
      mapCountCause,
      {
        id: "overcommit",
        source: "mm/util.c: __vm_enough_memory",
        why: "the kernel promises no more memory than it has (vm.overcommit_memory)",
        guards: "that keeps programs from being killed when all promises are taken up",
        next: "free memory, add swap, or raise vm.overcommit_ratio",
        ask: overcommit,
      },
      {
        id: "data-size",
        source: "mm/vma.c: may_expand_vm (RLIMIT_DATA)",
        why: "the process may have no more writable memory of its own (ulimit -d)",
        guards: guards.addressSpace,
        next: "raise it (ulimit -d unlimited)",
        ask: addressSpace("Max data size", "VmData", "writable memory"),
      },
      {
        id: "no-room",
        source: "mm/mmap.c: __get_unmapped_area",
        why: "no piece of address space as long is free, or the address lies where no process may have any",
        next: "keep less at once, or leave near out",
      },
      outOfMemory,
      {
        id: "still-pinned",
        source: "arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_release",
        why: "on POWER hugepages that a device could use come back a moment after they are freed",
        next: "try again a little later",
        ask: onPower,
      },
    ],
    EINVAL: [
      {
        id: "page-size",
        source: "mm/hugetlb.c: hugetlb_file_setup",
        why: "the kernel has no pages of that size",
        next: "take a size of /sys/kernel/mm/hugepages; others are made at boot (hugepagesz=, default_hugepagesz=)",
        ask: pageSizes,
      },
      {
        id: "alignment",
        source: "mm/mmap.c: ksys_mmap_pgoff, do_mmap",
        why: "the length is 0, or the address is not on a page border",
        next: "use whole pages",
      },
    ],
    EEXIST: [
      {
        id: "taken",
        source: "mm/mmap.c: do_mmap (MAP_FIXED_NOREPLACE)",
        why: "something is mapped at that address already",
        next: "take another address, or let the kernel choose",
      },
    ],
    EPERM: [
      {
        id: "lowest-addresses",
        source: "security/commoncap.c: cap_mmap_addr",
        why: "this user may not have that memory: nobody maps below vm.mmap_min_addr",
        guards: "it keeps the kernel's own mistakes with null pointers harmless",
        next: "take a higher address",
      },
      sealed,
      {
        id: "locked-memory",
        source: "mm/mmap.c: do_mmap (can_do_mlock)",
        why: "all memory of this process is to be locked (mlockall), and RLIMIT_MEMLOCK lets it lock none",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l)",
        ask: lockedLimit(lengthOf),
      },
    ],
    EACCES: [
      {
        id: "security-module",
        source: "security/security.c: security_mmap_file",
        why: "a security policy (SELinux, AppArmor) forbids it",
        next: "see the kernel's log for a denial",
      },
    ],
    EAGAIN: [
      {
        id: "locked-memory",
        source: "mm/mmap.c: mlock_future_ok",
        why: "all memory of this process is to be locked (mlockall), and that would be more than RLIMIT_MEMLOCK allows",
        guards: guards.lockedMemory,
        next: "raise it (ulimit -l)",
        ask: lockedLimit(lengthOf),
      },
    ],
    EBUSY: [
      {
        id: "hash-slice",
        source: "arch/powerpc/mm/book3s64/slice.c: slice_get_unmapped_area",
        why: "on POWER with the hash MMU pages of another size lie in the same slice of address space (256 MiB below 4 GiB, 1 TiB above)",
        next: "keep lists of different page sizes that far apart (near)",
      },
    ],
    ENFILE: [
      {
        id: "open-files-of-all",
        source: "mm/hugetlb.c: hugetlb_file_setup; fs/file_table.c: alloc_empty_file",
        why: "hugepages take a file inside the kernel, and the machine has as many open as it may",
        guards: guards.openFilesOfAll,
        next: "close some, or raise /proc/sys/fs/file-max",
      },
    ],
  }),
  ...causesOf("munmap", {
    EINVAL: [
      {
        id: "cut",
        source: "mm/hugetlb.c: hugetlb_vm_op_split; mm/mmap.c: __vm_munmap",
        why: "a hugepage would be cut, or the range is no range of this process",
        next: "unmap whole pages of the size that is mapped there",
      },
    ],
    ENOMEM: [
      { ...mapCountCause, next: "unmap larger ones, or raise /proc/sys/vm/max_map_count" },
      { ...outOfMemory, why: "the kernel has no memory for its record of what stays" },
    ],
    EPERM: [sealed],
  }),
  ...causesOf("madvise", {
    EFAULT: [
      poolCause,
      cgroupCause,
      {
        id: "no-page",
        source: "mm/madvise.c: madvise_populate; mm/gup.c: faultin_page_range",
        why: "a page could not be had, where touching it would have been a SIGBUS",
        next: "ask for fewer, and see the limits on memory",
      },
    ],
    ENOMEM: [
      poolCause,
      cgroupCause,
      { ...outOfMemory, source: "mm/madvise.c: madvise_populate" },
      {
        id: "not-mapped",
        source: "mm/madvise.c: madvise_populate",
        why: "not all of the range is mapped",
        next: "let nobody unmap memory that is not theirs",
      },
    ],
    EINVAL: [
      {
        id: "too-old",
        before: "5.14",
        source: "mm/madvise.c: madvise_behavior_valid",
        why: "the kernel does not know MADV_POPULATE_WRITE",
        next: "populate by mmap, or by touching the pages",
      },
      {
        id: "not-writable",
        source: "mm/madvise.c: madvise_populate",
        why: "the memory is not writable, or is memory of a device",
        next: "populate memory that is mapped readable and writable",
      },
    ],
    EHWPOISON: [
      {
        id: "broken-page",
        source: "mm/madvise.c: madvise_populate",
        why: "a page is broken (a memory error of the hardware)",
        next: "see the kernel's log, and take the page out of the pool",
      },
    ],
    EPERM: [sealed],
  }),
  ...causesOf("mbind", {
    EINVAL: [
      {
        id: "node",
        source: "mm/mempolicy.c: mpol_set_nodemask",
        why: "the NUMA node is not there, has no memory, or is not among those that this process may use (cpuset)",
        next: "take one of readNodes()",
        ask: nodes,
      },
    ],
    EPERM: [
      {
        id: "seccomp",
        source: "kernel/seccomp.c: __seccomp_filter",
        why: "a seccomp profile, as of a container, refuses it",
        guards: "the profile keeps a container from moving memory of other nodes' users",
        next: "allow mbind alone in the profile, or run without node",
        ask: filtered,
      },
    ],
    ENOSYS: [
      {
        id: "no-numa",
        source: "mm/Makefile: CONFIG_NUMA",
        why: "the kernel was built without NUMA, or a sandbox does not have the call",
        next: "leave node out: all memory is of one node",
      },
    ],
    ENOMEM: [
      { ...outOfMemory, source: "mm/mempolicy.c: mpol_new", why: "the kernel has no memory for the policy" },
      mapCountCause,
    ],
    EFAULT: [
      {
        id: "not-mapped",
        source: "mm/mempolicy.c: queue_pages_test_walk",
        why: "not all of the range is mapped",
        next: "let nobody unmap memory that is not theirs",
      },
    ],
    EIO: [
      {
        id: "elsewhere",
        source: "mm/mempolicy.c: do_mbind (MPOL_MF_STRICT)",
        why: "pages of the range lie on another node already",
        next: "free them first",
      },
    ],
  }),
];
