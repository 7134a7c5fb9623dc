/**
 * What the machine says of memory that this process may have: hugetlb pools, and the limits of its cgroups. They are facts for an
 * error, and for a refusal before the kernel kills the process; whether there is memory is known when the pages are present.
 *
 *     /proc/self/cgroup      4:hugetlb:/a/b     version 1, or 0::/a/b: version 2
 *     /proc/self/mountinfo   where such a hierarchy is mounted, and which of its groups is the root there
 *     /sys/fs/cgroup/a/b     the files of the group; every level above it has a limit of its own
 */
import type { MachineFiles } from "../syscalls.ts";

/** A limit of a cgroup. All in bytes. */
export interface Limit {
  /** The file that says so. */
  readonly file: string;
  readonly limit: bigint;
  readonly used: bigint;
  /** Of `used`, what the kernel takes back before it refuses. */
  readonly reclaimable: bigint;
}

/** The pool of hugepages of one size (`mm/hugetlb.c: hugetlb_sysfs_add_hstate`). */
export interface Pool {
  readonly directory: string;
  readonly total: bigint;
  readonly free: bigint;
  /** Of the free ones: promised to mappings that have not touched them yet. */
  readonly reserved: bigint;
}

/** The pool of pages of that size; `undefined` where nothing is said of one. */
export function poolOf(files: MachineFiles, pageSize: bigint): Pool | undefined {
  const directory = `/sys/kernel/mm/hugepages/hugepages-${pageSize >> 10n}kB`;
  const [total, free, reserved] = ["nr", "free", "resv"].map((name) => number(files, `${directory}/${name}_hugepages`));
  if (total === undefined || free === undefined) return undefined;
  return { directory, total, free, reserved: reserved ?? 0n };
}

/** The tightest limit on hugepages of that size that are present (`mm/hugetlb_cgroup.c`); `undefined` where there is none. */
export function hugetlbLimit(files: MachineFiles, pageSize: bigint): Limit | undefined {
  const size = `hugetlb.${sizeName(pageSize)}`;
  return tightest([
    ...groups(files, "hugetlb").map((group) =>
      limitIn(files, `${group}/${size}`, ".limit_in_bytes", ".usage_in_bytes"),
    ),
    ...groups(files, "").map((group) => limitIn(files, `${group}/${size}`, ".max", ".current")),
  ]);
}

/** The tightest limit on ordinary memory (`mm/memcontrol.c: try_charge_memcg`); `undefined` where there is none. */
export function memoryLimit(files: MachineFiles): Limit | undefined {
  const found = tightest([
    ...groups(files, "memory").map((group) => {
      const limit = limitIn(files, `${group}/memory`, ".limit_in_bytes", ".usage_in_bytes");
      return limit && { ...limit, reclaimable: fileCache(files, `${group}/memory.stat`, "total_") };
    }),
    ...groups(files, "").map((group) => {
      const limit = limitIn(files, `${group}/memory`, ".max", ".current");
      return limit && { ...limit, reclaimable: fileCache(files, `${group}/memory.stat`, "") };
    }),
  ]);
  // Memory that may be swapped out is no reason to kill anybody.
  return found && { ...found, reclaimable: found.reclaimable + freeSwap(files) };
}

function limitIn(files: MachineFiles, prefix: string, limitName: string, usedName: string): Limit | undefined {
  const file = `${prefix}${limitName}`;
  const [limit, used] = [number(files, file), number(files, `${prefix}${usedName}`)];
  if (limit === undefined || used === undefined) return undefined; // "max" is no number
  return { file, limit, used, reclaimable: 0n };
}

function tightest(limits: readonly (Limit | undefined)[]): Limit | undefined {
  const room = ({ limit, used, reclaimable }: Limit) => limit - used + reclaimable;
  const known = limits.filter((one) => one !== undefined);
  return known.sort((a, b) => (room(a) < room(b) ? -1 : Number(room(a) > room(b))))[0];
}

function fileCache(files: MachineFiles, path: string, prefix: string): bigint {
  const text = textOf(files, path) ?? "";
  return ["active_file", "inactive_file"]
    .map((name) => new RegExp(`^${prefix}${name} (\\d+)$`, "m").exec(text)?.[1] ?? "0")
    .reduce((sum, bytes) => sum + BigInt(bytes), 0n);
}

function freeSwap(files: MachineFiles): bigint {
  return BigInt(/^SwapFree: +(\d+) kB$/m.exec(textOf(files, "/proc/meminfo") ?? "")?.[1] ?? 0) << 10n;
}

/** The directories of this process's group and of those above it, in the hierarchy of a controller; `""`: version 2. */
function groups(files: MachineFiles, controller: string): string[] {
  const lines = (textOf(files, "/proc/self/cgroup") ?? "").split("\n");
  const line = lines.map((one) => /^\d+:([^:]*):(\/.*)$/.exec(one)).find((one) => isOf(one?.[1], controller));
  const mount = mountOf(files, controller);
  if (line === undefined || mount === undefined) return [];
  const path = line?.[2] as string;
  // A group outside of what is mounted here (another cgroup namespace) has no files; the mount's own root has.
  const below = mount.root === "/" ? path : path.startsWith(`${mount.root}/`) ? path.slice(mount.root.length) : "";
  const parts = below.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    [mount.point, ...parts.slice(0, parts.length - i)].join("/"),
  );
}

/** `36 25 0:31 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb` */
function mountOf(files: MachineFiles, controller: string): { root: string; point: string } | undefined {
  for (const line of (textOf(files, "/proc/self/mountinfo") ?? "").split("\n")) {
    const [, root, point, type, options] = /^\S+ \S+ \S+ (\S+) (\S+) .* - (\S+) \S+ (\S+)/.exec(line) ?? [];
    const isIt = controller === "" ? type === "cgroup2" : type === "cgroup" && isOf(options, controller);
    if (isIt && root !== undefined && point !== undefined) return { root, point };
  }
  return undefined;
}

function isOf(list: string | undefined, controller: string): boolean {
  return controller === "" ? list === "" : (list?.split(",").includes(controller) ?? false);
}

/** As the kernel names the files: `64KB`, `2MB`, `1GB` (`mm/hugetlb_cgroup.c: mem_fmt`). */
function sizeName(pageSize: bigint): string {
  if (pageSize >= 1n << 30n) return `${pageSize >> 30n}GB`;
  return pageSize >= 1n << 20n ? `${pageSize >> 20n}MB` : `${pageSize >> 10n}KB`;
}

function number(files: MachineFiles, path: string): bigint | undefined {
  const text = textOf(files, path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined;
}

/** What cannot be read is not known: the words of an error must not hide the error. */
function textOf(files: MachineFiles, path: string): string | undefined {
  try {
    const answer = files.text(path);
    return typeof answer === "string" ? answer : undefined;
  } catch {
    return undefined;
  }
}
