/**
 * How many hugepages the cgroups of this process allow, at every level from its own up:
 *
 *     /sys/fs/cgroup/a/b/hugetlb.2MB.max, .current, .rsvd.max, .rsvd.current                      version 2
 *     /sys/fs/cgroup/hugetlb/a/b/hugetlb.2MB.limit_in_bytes, .usage_in_bytes, .rsvd. before both  version 1
 *
 * `rsvd` counts what mmap sets aside, the other what was touched. (`mm/hugetlb_cgroup.c: hugetlb_cgroup_charge_cgroup`)
 */
import type { Machine } from "./machine.ts";

/** A limit with what is used of it, in bytes. */
export interface HugetlbLimit {
  readonly file: string;
  readonly limit: bigint;
  readonly used: bigint;
}

/** No cgroup lies deeper on any machine that was seen; a path that is longer is not read. */
const DEPTH = 32;

/** The limit with the least room; `undefined` where there is none, or none can be read. */
export function tightestHugetlbLimit(machine: Machine, pageSize: bigint): HugetlbLimit | undefined {
  const found = directoriesOf(machine).flatMap((directory) => limitsIn(machine, directory, sizeName(pageSize)));
  return found.sort((a, b) => compare(a.limit - a.used, b.limit - b.used))[0];
}

/** /proc/self/cgroup: `0::/a/b` is version 2, `7:hugetlb:/a/b` version 1. */
function directoriesOf(machine: Machine): string[] {
  const directories: string[] = [];
  for (const line of machine.text("/proc/self/cgroup")?.split("\n") ?? []) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === "") directories.push(...levels("/sys/fs/cgroup", path));
    else if (controllers?.split(",").includes("hugetlb")) directories.push(...levels("/sys/fs/cgroup/hugetlb", path));
  }
  return directories;
}

function levels(root: string, path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  if (parts.length > DEPTH) return [root];
  return Array.from({ length: parts.length + 1 }, (_, i) => [root, ...parts.slice(0, parts.length - i)].join("/"));
}

function limitsIn(machine: Machine, directory: string, size: string): HugetlbLimit[] {
  const pairs = [
    ["max", "current"],
    ["rsvd.max", "rsvd.current"],
    ["limit_in_bytes", "usage_in_bytes"],
    ["rsvd.limit_in_bytes", "rsvd.usage_in_bytes"],
  ];
  return pairs.flatMap(([max, current]) => {
    const file = `${directory}/hugetlb.${size}.${max}`;
    const limit = machine.text(file)?.trim() ?? "max";
    const used = machine.text(`${directory}/hugetlb.${size}.${current}`)?.trim() ?? "";
    return /^\d+$/.test(limit) && /^\d+$/.test(used) ? [{ file, limit: BigInt(limit), used: BigInt(used) }] : [];
  });
}

/** As the kernel names the files: `64KB`, `2MB`, `1GB`. (`mm/hugetlb_cgroup.c: mem_fmt`) */
function sizeName(pageSize: bigint): string {
  if (pageSize >= 1n << 30n) return `${pageSize >> 30n}GB`;
  return pageSize >= 1n << 20n ? `${pageSize >> 20n}MB` : `${pageSize >> 10n}KB`;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
