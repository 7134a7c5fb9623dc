import type { HugepagePool } from "./hugepage-pool.ts";

/**
 * What a machine says of its hugepages, as it is at that moment: each file's path, and its text.
 *
 *     /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages     all, and free_, resv_, surplus_hugepages
 *     /sys/devices/system/node/node0/hugepages/...               those of a NUMA node; what is reserved is said of no node
 *     /sys/devices/system/node/online, node0/cpulist             the nodes, each with one CPU
 *     /sys/fs/cgroup/hugetlb.2MB.max, hugetlb.2MB.current        what the processes may have present, where that is limited
 *
 * (`mm/hugetlb.c: hugetlb_sysfs_init, hugetlb_register_node`, `mm/hugetlb_cgroup.c`) Nothing is reserved or borrowed in a model's
 * pools.
 */
export function* poolFiles(pool: HugepagePool): Generator<[path: string, text: () => string], void, void> {
  for (const { pageShift: shift } of pool.all) {
    const pages = `hugepages/hugepages-${2 ** (shift - 10)}kB`;
    const directory = `/sys/kernel/mm/${pages}`;
    yield [`${directory}/nr_hugepages`, () => `${pool.total(shift)}\n`];
    yield [`${directory}/free_hugepages`, () => `${pool.free(shift)}\n`];
    yield [`${directory}/resv_hugepages`, () => "0\n"];
    yield [`${directory}/surplus_hugepages`, () => "0\n"];
    for (let node = 0; node < pool.nodes; node++) {
      const own = `/sys/devices/system/node/node${node}/${pages}`;
      yield [`${own}/nr_hugepages`, () => `${pool.total(shift, node)}\n`];
      yield [`${own}/free_hugepages`, () => `${pool.free(shift, node)}\n`];
      yield [`${own}/surplus_hugepages`, () => "0\n"];
    }
    const limit = pool.limit(shift);
    if (limit === undefined) continue;
    const name = `/sys/fs/cgroup/hugetlb.${sizeName(shift)}`;
    yield [`${name}.max`, () => `${BigInt(limit) << BigInt(shift)}\n`];
    yield [`${name}.current`, () => `${BigInt(pool.present(shift)) << BigInt(shift)}\n`];
  }
  const all = pool.nodes === 1 ? "0\n" : `0-${pool.nodes - 1}\n`;
  for (const file of ["online", "possible", "has_memory"]) yield [`/sys/devices/system/node/${file}`, () => all];
  for (let node = 0; node < pool.nodes; node++) {
    yield [`/sys/devices/system/node/node${node}/cpulist`, () => `${node}\n`];
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
