import type { HugepagePool } from "./hugepage-pool.ts";

/**
 * What a machine says of its hugepages, as it is at that moment: each file's path, and its text.
 *
 *     /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages     all, and free_, resv_, surplus_hugepages
 *     /sys/fs/cgroup/hugetlb.2MB.max, hugetlb.2MB.current        what the processes may have present, where that is limited
 *
 * (`mm/hugetlb.c`, `mm/hugetlb_cgroup.c`) Nothing is reserved or borrowed in a model's pools.
 */
export function* poolFiles(pool: HugepagePool): Generator<[path: string, text: () => string], void, void> {
  for (const { pageShift: shift } of pool.all) {
    const directory = `/sys/kernel/mm/hugepages/hugepages-${2 ** (shift - 10)}kB`;
    yield [`${directory}/nr_hugepages`, () => `${pool.total(shift)}\n`];
    yield [`${directory}/free_hugepages`, () => `${pool.free(shift)}\n`];
    yield [`${directory}/resv_hugepages`, () => "0\n"];
    yield [`${directory}/surplus_hugepages`, () => "0\n"];
    const limit = pool.limit(shift);
    if (limit === undefined) continue;
    const name = `/sys/fs/cgroup/hugetlb.${sizeName(shift)}`;
    yield [`${name}.max`, () => `${BigInt(limit) << BigInt(shift)}\n`];
    yield [`${name}.current`, () => `${BigInt(pool.present(shift)) << BigInt(shift)}\n`];
  }
  if (pool.all.every(({ pageShift }) => pool.limit(pageShift) === undefined)) return;
  yield ["/proc/self/cgroup", () => "0::/\n"];
  yield ["/proc/self/mountinfo", () => "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"];
}

/** `mm/hugetlb_cgroup.c: mem_fmt` */
function sizeName(shift: number): string {
  if (shift >= 30) return `${2 ** (shift - 30)}GB`;
  return shift >= 20 ? `${2 ** (shift - 20)}MB` : `${2 ** (shift - 10)}KB`;
}
