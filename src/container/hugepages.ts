/** What a kernel's machine says of its hugepages, as far as a plan looks at it. */
import { DmaWindowError } from "../errors.ts";
import type { HugepageFacts } from "../iommu.ts";
import type { MachineFiles, Syscalls } from "../syscalls.ts";
import { hugetlbLimit, type Limit } from "../system/cgroups.ts";
import { type HugepagePool, readHugepages } from "../system/hugepages.ts";

/** `undefined` where nothing is known of pools: a program's own kernel, or a machine without hugetlb. */
export function hugepageFacts({ files }: Pick<Syscalls, "files">): readonly HugepageFacts[] | undefined {
  if (files === undefined) return undefined;
  try {
    const pools = readHugepages(files);
    return pools.length === 0 ? undefined : pools.map((pool) => factsOf(files, pool));
  } catch (error) {
    // They are asked for a warning. That they cannot be had must not be in the way of what was asked besides.
    if (error instanceof DmaWindowError) return undefined;
    throw error;
  }
}

function factsOf(files: MachineFiles, { pageSize, total, available, surplus }: HugepagePool): HugepageFacts {
  const allowed = hugetlbLimit(files, pageSize, "either");
  return {
    pageSize,
    total,
    available: available + borrowable(files, pageSize, surplus),
    ...(allowed === undefined ? {} : { allowedBytes: roomIn(allowed) }),
  };
}

function roomIn({ limit, used }: Limit): bigint {
  return limit > used ? limit - used : 0n;
}

/** Pages that the kernel takes from ordinary memory when the pool is empty, if there are any (mm/hugetlb.c: alloc_surplus_hugetlb_folio). */
function borrowable(files: MachineFiles, pageSize: bigint, surplus: number): number {
  const text = files.text(`/sys/kernel/mm/hugepages/hugepages-${pageSize / 1024n}kB/nr_overcommit_hugepages`);
  const most = typeof text === "string" && /^[0-9]{1,15}\n?$/.test(text) ? Number(text) : 0;
  return Math.max(0, most - surplus);
}
