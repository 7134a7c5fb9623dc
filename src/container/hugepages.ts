/** What a kernel's machine says of its hugepages, as far as a plan looks at it. */
import { DmaWindowError } from "../errors.ts";
import type { HugepageFacts } from "../iommu.ts";
import type { MachineFiles, Syscalls } from "../syscalls.ts";
import { hugetlbLimit, type Limit } from "../system/cgroups.ts";
import { borrowable, type HugepagePool, readHugepages } from "../system/hugepages.ts";

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

function factsOf(files: MachineFiles, { pageSize, total, available }: HugepagePool): HugepageFacts {
  const allowed = hugetlbLimit(files, pageSize, "either");
  return {
    pageSize,
    total,
    available: available + borrowable(files, pageSize),
    ...(allowed === undefined ? {} : { allowedBytes: roomIn(allowed) }),
  };
}

function roomIn({ limit, used }: Limit): bigint {
  return limit > used ? limit - used : 0n;
}
