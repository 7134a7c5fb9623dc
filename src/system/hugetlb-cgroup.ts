/**
 * How many bytes of hugepages of a size the cgroups of this process still allow (`mm/hugetlb_cgroup.c`). A page beyond that is
 * SIGBUS where it is touched first, so it is better known before. Every cgroup from the process's own up to the root has a say:
 *
 *     v2   /proc/self/cgroup  0::/a/b          /sys/fs/cgroup/a/b/hugetlb.2MB.max                     or "max"
 *                                                             hugetlb.2MB.current
 *     v1                      7:hugetlb:/a/b   /sys/fs/cgroup/hugetlb/a/b/hugetlb.2MB.limit_in_bytes
 *                                                                     hugetlb.2MB.usage_in_bytes
 *
 * The same with `.rsvd` before the last word limits what is promised to mappings.
 */
import type { MachineFiles } from "../syscalls.ts";

interface Hierarchy {
  readonly root: string;
  /** The process's own cgroup: `/`, or `/a/b`. */
  readonly path: string;
  readonly limit: string;
  readonly use: string;
}

/** Bytes; `undefined` where no cgroup limits them, or none says so. */
export function hugetlbAllowance(files: MachineFiles, pageSize: bigint): bigint | undefined {
  const name = `hugetlb.${sizeName(pageSize)}`;
  let least: bigint | undefined;
  for (const { root, path, limit, use } of hierarchiesOf(files)) {
    for (const directory of upwards(path)) {
      for (const kind of ["", "rsvd."]) {
        const most = readBytes(files, `${root}${directory}/${name}.${kind}${limit}`);
        const used = readBytes(files, `${root}${directory}/${name}.${kind}${use}`);
        if (most === undefined || used === undefined) continue;
        const left = most > used ? most - used : 0n;
        if (least === undefined || left < least) least = left;
      }
    }
  }
  return least;
}

/** A line for each hierarchy: its number, its controllers, the path (`kernel/cgroup/cgroup.c: proc_cgroup_show`). */
function hierarchiesOf(files: MachineFiles): Hierarchy[] {
  const text = files.text("/proc/self/cgroup");
  if (typeof text === "number") return [];
  return text.split("\n").flatMap((line): Hierarchy[] => {
    const [, controllers, path] = /^[0-9]+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) return [];
    if (controllers === "") return [{ root: "/sys/fs/cgroup", path, limit: "max", use: "current" }];
    if (!controllers.split(",").includes("hugetlb")) return [];
    return [{ root: "/sys/fs/cgroup/hugetlb", path, limit: "limit_in_bytes", use: "usage_in_bytes" }];
  });
}

/** `/a/b`, `/a` and the root, which is the empty string. Above a namespace's root (`/..`) nothing can be seen. */
function upwards(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  if (names.includes("..")) return [""];
  return names.map((_, i) => `/${names.slice(0, names.length - i).join("/")}`).concat("");
}

/** `2MB`, `1GB`, `64KB` (`mm/hugetlb_cgroup.c: mem_fmt`). */
function sizeName(pageSize: bigint): string {
  if (pageSize >= 1n << 30n) return `${pageSize >> 30n}GB`;
  return pageSize >= 1n << 20n ? `${pageSize >> 20n}MB` : `${pageSize >> 10n}KB`;
}

/** `undefined` for a file that is not there, and for "max". */
function readBytes(files: MachineFiles, path: string): bigint | undefined {
  const text = files.text(path);
  return typeof text === "string" && /^[0-9]+\n?$/.test(text) ? BigInt(text.trim()) : undefined;
}
