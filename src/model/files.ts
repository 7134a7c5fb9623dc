import type { MachineFiles } from "../syscalls.ts";
import { EINVAL, EISDIR, ENOENT, ENOTDIR } from "./errno.ts";
import type { Group } from "./group.ts";
import type { HugepagePool } from "./memory/hugepage-pool.ts";
import type { IommuSettings } from "./options.ts";

/** A file has its text, as it is at that moment, a link where it leads. What is a directory follows from the paths. */
type Entry = { readonly text: string | (() => string) } | { readonly link: string };

/**
 * The files of a model's machine. Only what is named here is there:
 *
 *     /sys/kernel/iommu_groups/26/reserved_regions      IOVAs that are not given out: start, last and kind, a line each
 *     /sys/kernel/iommu_groups/26/devices/0000:00:1a.0  a link to the device
 *     /sys/bus/pci/devices/0000:00:1a.0/driver          a link to its driver
 *     /sys/bus/pci/devices/0000:00:1a.0/iommu_group     a link to its group
 *     /sys/bus/pci/devices/0000:00:1a.0/numa_node       0: devices are near the first node
 *     /sys/kernel/mm/hugepages                          the pools
 *     /sys/devices/system/node/node0                    a NUMA node: its pools, and one CPU
 *
 * (`drivers/iommu/iommu.c: iommu_group_show_resv_regions, iommu_group_add_device`)
 */
export function machineFiles(groups: readonly Group[], iommu: IommuSettings, pool: HugepagePool): MachineFiles {
  const entries = new Map<string, Entry>(hugepageFiles(pool));
  for (const { number, device, noIommu } of groups) {
    const group = `/sys/kernel/iommu_groups/${number}`;
    const home = `/sys/devices/pci0000:00/${device}`;
    entries.set(`${group}/reserved_regions`, { text: noIommu ? "" : reservedRegions(iommu) });
    entries.set(`${group}/devices/${device}`, { link: `../../../../devices/pci0000:00/${device}` });
    entries.set(`/sys/bus/pci/devices/${device}`, { link: `../../../devices/pci0000:00/${device}` });
    for (const at of [home, `/sys/bus/pci/devices/${device}`, `${group}/devices/${device}`]) {
      entries.set(`${at}/driver`, { link: "../../../bus/pci/drivers/vfio-pci" });
      entries.set(`${at}/numa_node`, { text: "0\n" });
      entries.set(`${at}/iommu_group`, { link: `../../../kernel/iommu_groups/${number}` });
    }
  }
  const below = (path: string) => {
    const start = path.endsWith("/") ? path : `${path}/`;
    return [...entries.keys()].filter((one) => one.startsWith(start)).map((one) => one.slice(start.length));
  };
  const missing = (path: string) => (below(path).length > 0 ? undefined : ENOENT);
  return {
    text(path) {
      const entry = entries.get(path);
      if (entry === undefined) return missing(path) ?? EISDIR;
      if ("link" in entry) return EISDIR;
      return typeof entry.text === "string" ? entry.text : entry.text();
    },
    names(path) {
      const entry = entries.get(path);
      if (entry !== undefined && "text" in entry) return ENOTDIR;
      const found = below(path).map((rest) => rest.split("/")[0] as string);
      return missing(path) ?? [...new Set(found)].sort();
    },
    link(path) {
      const entry = entries.get(path);
      if (entry === undefined) return missing(path) ?? EINVAL;
      return "link" in entry ? entry.link : EINVAL;
    },
  };
}

/** `mm/hugetlb.c: hugetlb_sysfs_init, hugetlb_register_node`: of a node nobody says what is promised. */
function* hugepageFiles(pool: HugepagePool): Generator<[string, Entry]> {
  const count = (read: () => number): Entry => ({ text: () => `${read()}\n` });
  const none = count(() => 0);
  for (const shift of pool.shifts) {
    const pages = `hugepages/hugepages-${2 ** (shift - 10)}kB`;
    const machine = `/sys/kernel/mm/${pages}`;
    yield [`${machine}/nr_hugepages`, count(() => pool.total(shift))];
    yield [`${machine}/free_hugepages`, count(() => pool.free(shift))];
    yield [`${machine}/resv_hugepages`, none];
    yield [`${machine}/surplus_hugepages`, none];
    for (let node = 0; node < pool.nodes; node++) {
      const directory = `/sys/devices/system/node/node${node}/${pages}`;
      yield [`${directory}/nr_hugepages`, count(() => pool.total(shift, node))];
      yield [`${directory}/free_hugepages`, count(() => pool.free(shift, node))];
      yield [`${directory}/surplus_hugepages`, none];
    }
  }
  const all = pool.nodes === 1 ? "0\n" : `0-${pool.nodes - 1}\n`;
  for (const file of ["online", "possible", "has_memory"]) yield [`/sys/devices/system/node/${file}`, { text: all }];
  for (let node = 0; node < pool.nodes; node++) {
    yield [`/sys/devices/system/node/node${node}/cpulist`, { text: `${node}\n` }];
  }
}

/** What lies between the ranges that the IOMMU allows is where interrupts are written to. */
function reservedRegions(iommu: IommuSettings): string {
  if (iommu.platform !== "type1") return "";
  const { ranges } = iommu.type1;
  const sixteen = (value: bigint) => `0x${value.toString(16).padStart(16, "0")}`;
  return ranges
    .slice(1)
    .map(({ start }, i) => `${sixteen((ranges[i]?.last ?? 0n) + 1n)} ${sixteen(start - 1n)} msi\n`)
    .join("");
}
