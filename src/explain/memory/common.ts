/** Causes that several of the calls for memory have in common, and what each asks of the machine. */
import { guards } from "../../guards.ts";
import { bytes } from "../../hex.ts";
import { hugetlbLimit } from "../../system/cgroups.ts";
import type { Asked, Question } from "../cause.ts";
import { lengthOf } from "../questions.ts";
import { hugePageOf, isOnlyKept, NOT_HERE } from "./asked.ts";

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

export const poolCause = {
  id: "pool",
  source: "mm/hugetlb.c: hugetlb_acct_memory, alloc_hugetlb_folio",
  why: "the pool of that page size has not enough free hugepages",
  next: "write a larger number to /sys/kernel/mm/hugepages/hugepages-<size>kB/nr_hugepages (/proc/sys/vm/nr_hugepages is of one size only), or ask for fewer",
  ask: pool,
} as const;

export const cgroupCause = {
  id: "hugetlb-cgroup",
  source: "mm/hugetlb_cgroup.c: hugetlb_cgroup_charge_cgroup",
  why: "a hugetlb cgroup, as a container's, allows no more hugepages of that size (hugetlb.*.max, hugetlb.*.rsvd.max)",
  guards: guards.hugetlbCgroup,
  next: "raise that limit (Kubernetes: the pod's limit of hugepages), or ask for fewer",
  ask: hugetlbCgroup,
} as const;

export const mapCountCause = {
  id: "map-count",
  source: "mm/mmap.c: do_mmap; mm/vma.c: __split_vma",
  why: "the process would have too many pieces of address space",
  guards: guards.mapCount,
  next: "take larger ones, or raise /proc/sys/vm/max_map_count",
  ask: mapCount,
} as const;

export const sealed = {
  id: "sealed",
  since: "6.10",
  source: "mm/mseal.c: can_modify_mm",
  why: "the memory there is sealed (mseal)",
  next: "leave it where it is",
} as const;

export const outOfMemory = {
  id: "kernel-memory",
  ask: ((_, asked) => (isOnlyKept(asked) ? { verdict: "unlikely" } : undefined)) as Question,
  source: "mm/mmap.c: mmap_region; mm/memory.c: alloc_anon_folio",
  why: "the machine, or the memory cgroup, has no memory left for it",
  next: "free some (MemAvailable of /proc/meminfo; memory.max of the cgroup)",
} as const;
