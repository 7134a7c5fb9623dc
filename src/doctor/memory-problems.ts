/** What limits memory that is mapped for devices: RLIMIT_MEMLOCK, hugepages, cgroups, and addresses that the kernel hides. */
import { guards, sentence } from "../guards.ts";
import { bytes, roughly } from "../hex.ts";
import { blocking, type DoctorFacts, type DoctorProblem, limiting } from "./diagnosis.ts";
import type { PoolFacts } from "./memory.ts";

/** The pages that memory is made of by default, where the machine has no pool. */
const HUGEPAGE = 2n << 20n;
/** What `dma-window run` maps; less is a program's last resort. */
const COMFORT = 64n << 20n;

/** What a program asks for as an example, in the three ways in which the limit is set. */
const RAISE =
  "give this program what it will map and no more, such as 4 GiB: `LimitMEMLOCK=4G` in its systemd unit; for a user " +
  "`echo 'USER - memlock 4194304' > /etc/security/limits.d/vfio.conf` and a new login";

/** RLIMIT_MEMLOCK. Without an IOMMU nothing is pinned, and nothing is counted. */
export function memlockProblems({ process, container, memory }: DoctorFacts): DoctorProblem[] {
  const { soft, used, room } = process.memlock;
  if (room === null || room === undefined || soft === null || soft === undefined) return [];
  const smallest = memory.hugepages?.find(({ total }) => total > 0)?.pageSize ?? HUGEPAGE;
  if (room >= (smallest > COMFORT ? smallest : COMFORT)) return [];
  const inside = container === undefined ? "" : `; of a container: \`docker run --ulimit memlock=4294967296\``;
  const namespace =
    process.isInFirstUserNamespace === false ? ". CAP_IPC_LOCK of a user namespace does not count for VFIO" : "";
  const taken = used === undefined || used === 0n ? "" : `, of which ${bytes(used)} are locked already`;
  const what = `RLIMIT_MEMLOCK lets this process lock ${bytes(soft)}${taken}, and memory that is mapped for a device counts${namespace}`;
  const fix = `${sentence(guards.lockedMemory)}; ${RAISE}${inside}`;
  if (room >= smallest)
    return [limiting(what, `${fix}. \`dma-window plan --kernel linux --group N\` says how much full growth takes`)];
  return [blocking(`${what}: not one page of ${bytes(smallest)} can be mapped`, fix)];
}

/** `needed`: without an IOMMU hugepages alone stay where they are. */
export function hugepageProblems({ memory, kernel, container }: DoctorFacts, needed: boolean): DoctorProblem[] {
  const { hugepages } = memory;
  const make = needed ? blocking : limiting;
  if (hugepages === undefined) return [];
  const free = hugepages.filter((pool) => availableOf(pool) > 0);
  const page = bytes(kernel.pageSize ?? 4096);
  const instead = needed
    ? "without an IOMMU nothing else stays where it is"
    : `memory is mapped in pages of ${page} until then, with as many maps and entries more`;
  if (hugepages.length === 0) {
    return [
      make(
        `the kernel has no hugepages; ${instead}`,
        "start a kernel with CONFIG_HUGETLBFS, on a processor (or an MMU) that has them",
      ),
    ];
  }
  if (free.length === 0) {
    const size = hugepages.find((pool) => pool.pageSize === HUGEPAGE) ?? (hugepages[0] as PoolFacts);
    const name = `hugepages-${size.pageSize >> 10n}kB`;
    const wanted = (1n << 30n) / size.pageSize || 1n;
    // The file takes all pages that there are to be, and those that are there have somebody.
    const count = BigInt(size.total) + wanted;
    const more = size.total === 0 ? "" : "another ";
    const none = hugepages.every(({ total }) => total === 0) ? "there are no hugepages" : "no hugepage is free";
    const where = container === undefined ? "as root" : "as root, on the host";
    return [
      make(
        `${none}: ${instead}`,
        `pages that are set aside are lost to all else; for ${more}${roughly(wanted * size.pageSize)}, ${where}: \`echo ${count} > /sys/kernel/mm/hugepages/${name}/nr_hugepages\`; ` +
          `for every start: \`hugepagesz=${shortSize(size.pageSize)} hugepages=${count}\` on the kernel's command line`,
      ),
    ];
  }
  return [];
}

/** As the kernel's command line has it: `64K`, `2M`, `1G`. */
function shortSize(pageSize: bigint): string {
  if (pageSize < 1n << 20n) return `${pageSize >> 10n}K`;
  return pageSize < 1n << 30n ? `${pageSize >> 20n}M` : `${pageSize >> 30n}G`;
}

function availableOf({ free, reserved, borrowable }: PoolFacts): number {
  return Math.max(0, free - reserved) + borrowable;
}

/** What cgroups still allow: of hugepages by size, and of memory. */
export function cgroupProblems({ memory, container }: DoctorFacts, needed: boolean): DoctorProblem[] {
  const make = needed ? blocking : limiting;
  const found = (memory.hugepages ?? []).flatMap((pool): DoctorProblem[] => {
    const { limit, pageSize } = pool;
    if (limit === undefined || pool.total === 0 || limit.limit - limit.used >= pageSize) return [];
    const how =
      container === undefined
        ? `raise ${limit.file}`
        : "raise the limit of the container (Kubernetes: resources.limits.hugepages-2Mi)";
    return [
      make(
        `this process's cgroup allows ${bytes(limit.limit)} in hugepages of ${bytes(pageSize)}, ${bytes(limit.used)} of them used: not one page more`,
        `${guards.hugetlbCgroup}; ${how}`,
      ),
    ];
  });
  const { limit } = memory;
  const room = limit === undefined ? undefined : limit.limit - limit.used + limit.reclaimable;
  if (limit === undefined || room === undefined || room >= COMFORT) return found;
  const left = room > 0n ? roughly(room) : "none";
  const how = container === undefined ? `raise ${limit.file} (MemoryMax= of its unit)` : "`docker run --memory`";
  return [
    ...found,
    limiting(
      `this process's cgroup allows ${bytes(limit.limit)} of memory, and ${left} is left: beyond it the kernel ends a process`,
      `${guards.memoryCgroup}; ${how}`,
    ),
  ];
}

/** Where IOVAs have to be physical addresses (`needed`), and where they may be. */
export function physicalProblems({ memory, process, container }: DoctorFacts, needed: boolean): DoctorProblem[] {
  const { iomem, pagemap } = memory;
  const isHidden = iomem === "hidden" || iomem === "masked";
  if (!isHidden && (!needed || pagemap !== "hidden")) return [];
  const make = needed ? blocking : limiting;
  const files = [...(isHidden ? ["/proc/iomem"] : []), ...(pagemap === "hidden" ? ["/proc/self/pagemap"] : [])].join(
    " and ",
  );
  const why =
    process.isInFirstUserNamespace === false
      ? "this process is in a user namespace"
      : iomem === "masked" && container !== undefined
        ? "the container has an empty file there"
        : "this process has no CAP_SYS_ADMIN";
  const what = `physical addresses are hidden in ${files}: ${why}`;
  const guard = sentence(guards.physicalAddresses);
  const fix = needed
    ? `${guard}. Without an IOMMU a program has to know them: only one that root starts can, in no user namespace`
    : `leave it so: only \`--iova pa\` needs them, and the default, \`--iova rebased\`, does not. ${guard}; where pa is wanted, state \`--highest-ram ADDRESS\`, or have root start the program`;
  return [make(what, fix)];
}
