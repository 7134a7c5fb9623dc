import type { HugepagePool } from "./hugepage-pool.ts";

/**
 * What a machine says of its hugepages, read anew each time:
 *
 *     /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages     all, and free_, resv_, surplus_hugepages
 *     /sys/fs/cgroup/hugetlb.2MB.max, hugetlb.2MB.current        what the processes may have present, where that is limited
 */
export function poolFiles(pool: HugepagePool): [path: string, file: { readonly text: string }][] {
  const files: [string, { readonly text: string }][] = [];
  const file = (path: string, text: () => number | bigint | string) =>
    files.push([path, Object.defineProperty({ text: "" }, "text", { get: () => `${text()}\n` })]);
  for (const { pageShift: shift } of pool.all) {
    const directory = `/sys/kernel/mm/hugepages/hugepages-${2 ** (shift - 10)}kB`;
    file(`${directory}/nr_hugepages`, () => pool.total(shift));
    file(`${directory}/free_hugepages`, () => pool.free(shift));
    file(`${directory}/resv_hugepages`, () => 0);
    file(`${directory}/surplus_hugepages`, () => 0);
    if (pool.limit(shift) === undefined) continue;
    const name = `/sys/fs/cgroup/hugetlb.${sizeName(shift)}`;
    file(`${name}.max`, () => BigInt(pool.limit(shift) ?? 0) << BigInt(shift));
    file(`${name}.current`, () => BigInt(pool.present(shift)) << BigInt(shift));
  }
  if (pool.all.some(({ pageShift }) => pool.limit(pageShift) !== undefined)) {
    file("/proc/self/cgroup", () => "0::/");
    file("/proc/self/mountinfo", () => "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw");
  }
  return files;
}

/** `mm/hugetlb_cgroup.c: mem_fmt` */
function sizeName(shift: number): string {
  if (shift >= 30) return `${2 ** (shift - 30)}GB`;
  return shift >= 20 ? `${2 ** (shift - 20)}MB` : `${2 ** (shift - 10)}KB`;
}
