/**
 * The limits of this process's cgroups on memory. They are facts for a plan and for an error, and for a refusal before the kernel
 * kills the process; whether there is memory is known when the pages are present.
 *
 *     /proc/self/cgroup      4:hugetlb:/a/b     version 1, or 0::/a/b: version 2
 *     /proc/self/mountinfo   where such a hierarchy is mounted, and which of its groups is the root there
 *     /sys/fs/cgroup/a/b     the files of the group; every level above it has a limit of its own
 *
 *     hugetlb.2MB.max, .current                    version 2   what is present; with .rsvd. what is promised to mappings
 *     hugetlb.2MB.limit_in_bytes, .usage_in_bytes  version 1   likewise
 *
 * What cannot be read is not known: nothing here throws, whatever a kernel's files do.
 */
import type { MachineFiles } from "../syscalls.ts";

type Files = Pick<MachineFiles, "text">;

/** A limit of a cgroup. All in bytes. */
export interface Limit {
  /** The file that says so. */
  readonly file: string;
  readonly limit: bigint;
  readonly used: bigint;
  /** Of `used`, what the kernel takes back before it refuses. */
  readonly reclaimable: bigint;
}

/** Where the files of a version are, and what they are called. */
const VERSIONS = [
  { isFirst: true, limit: "limit_in_bytes", used: "usage_in_bytes" },
  { isFirst: false, limit: "max", used: "current" },
] as const;

/** Version 1 says "no limit" by a number that no machine has (`include/linux/page_counter.h: PAGE_COUNTER_MAX`). */
const NO_LIMIT = 1n << 62n;

/**
 * The tightest limit on hugepages of that size; `undefined` where there is none. A touch is held to what is present, an mmap to what
 * is promised (`mm/hugetlb_cgroup.c: hugetlb_cgroup_charge_cgroup, hugetlb_cgroup_charge_cgroup_rsvd`).
 */
export function hugetlbLimit(
  files: Files,
  pageSize: bigint,
  what: "present" | "either" = "present",
): Limit | undefined {
  const kinds = what === "present" ? [""] : ["", "rsvd."];
  const names = kinds.map((kind) => `hugetlb.${sizeName(pageSize)}.${kind}`);
  return tightest(
    VERSIONS.flatMap(({ isFirst, limit, used }) =>
      groups(files, isFirst ? "hugetlb" : "").flatMap((group) =>
        names.map((name) => limitIn(files, `${group}/${name}`, limit, used)),
      ),
    ),
  );
}

/** The tightest limit on ordinary memory (`mm/memcontrol.c: try_charge_memcg`); `undefined` where there is none. */
export function memoryLimit(files: Files): Limit | undefined {
  const found = tightest(
    VERSIONS.flatMap(({ isFirst, limit, used }) =>
      groups(files, isFirst ? "memory" : "").map((group) => {
        const one = limitIn(files, `${group}/memory.`, limit, used);
        return one && { ...one, reclaimable: fileCache(files, `${group}/memory.stat`, isFirst ? "total_" : "") };
      }),
    ),
  );
  // Memory that may be swapped out is no reason to kill anybody.
  return found && { ...found, reclaimable: found.reclaimable + freeSwap(files) };
}

function limitIn(files: Files, prefix: string, limitName: string, usedName: string): Limit | undefined {
  const file = `${prefix}${limitName}`;
  const [limit, used] = [number(files, file), number(files, `${prefix}${usedName}`)];
  if (limit === undefined || used === undefined || limit >= NO_LIMIT) return undefined; // "max" is no number
  return { file, limit, used, reclaimable: 0n };
}

function tightest(limits: readonly (Limit | undefined)[]): Limit | undefined {
  const room = ({ limit, used, reclaimable }: Limit) => limit - used + reclaimable;
  const known = limits.filter((one) => one !== undefined);
  return known.sort((a, b) => (room(a) < room(b) ? -1 : Number(room(a) > room(b))))[0];
}

function fileCache(files: Files, path: string, prefix: string): bigint {
  const text = textOf(files, path) ?? "";
  return ["active_file", "inactive_file"]
    .map((name) => new RegExp(`^${prefix}${name} (\\d+)$`, "m").exec(text)?.[1] ?? "0")
    .reduce((sum, bytes) => sum + BigInt(bytes), 0n);
}

function freeSwap(files: Files): bigint {
  return BigInt(/^SwapFree: +(\d+) kB$/m.exec(textOf(files, "/proc/meminfo") ?? "")?.[1] ?? 0) << 10n;
}

/** The directories of this process's group and of those above it, in the hierarchy of a controller; `""`: version 2. */
function groups(files: Files, controller: string): string[] {
  const lines = (textOf(files, "/proc/self/cgroup") ?? "").split("\n");
  const line = lines.map((one) => /^\d+:([^:]*):(\/.*)$/.exec(one)).find((one) => isOf(one?.[1], controller));
  const mount = mountOf(files, controller);
  if (line === undefined || mount === undefined) return [];
  const path = line?.[2] as string;
  // A group outside of what is mounted here (another cgroup namespace) has no files; the mount's own root has.
  const below = mount.root === "/" ? path : path.startsWith(`${mount.root}/`) ? path.slice(mount.root.length) : "";
  const names = below.split("/").filter((part) => part !== "");
  const parts = names.includes("..") ? [] : names; // above a namespace's root nothing can be seen
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    [mount.point, ...parts.slice(0, parts.length - i)].join("/"),
  );
}

/** `36 25 0:31 / /sys/fs/cgroup/hugetlb rw - cgroup cgroup rw,hugetlb`; where nothing is said of mounts, the usual place. */
function mountOf(files: Files, controller: string): { root: string; point: string } | undefined {
  const mounts = textOf(files, "/proc/self/mountinfo");
  if (mounts === undefined) return { root: "/", point: `/sys/fs/cgroup${controller === "" ? "" : `/${controller}`}` };
  for (const line of mounts.split("\n")) {
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

function number(files: Files, path: string): bigint | undefined {
  const text = textOf(files, path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : undefined;
}

/** What cannot be read is not known: the words of an error must not hide the error. */
function textOf(files: Files, path: string): string | undefined {
  try {
    const answer = files.text(path);
    return typeof answer === "string" ? answer : undefined;
  } catch {
    return undefined;
  }
}
