/** `mmap`: address space that is kept, and pages that are put into it. */
import { guards } from "../../guards.ts";
import { bytes } from "../../hex.ts";
import { type Cause, causesOf, type Question } from "../cause.ts";
import { lengthOf, lockedLimit } from "../questions.ts";
import { hugePageOf, isOnlyKept, NOT_HERE } from "./asked.ts";
import { cgroupCause, mapCountCause, outOfMemory, poolCause, sealed } from "./common.ts";

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

export const mmapCauses: readonly Cause[] = causesOf("mmap", {
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
});
