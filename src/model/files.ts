import type { MachineFiles } from "../syscalls.ts";
import { EINVAL, EISDIR, ENOENT, ENOTDIR } from "./errno.ts";
import type { Group } from "./group.ts";
import type { IommuSettings } from "./options.ts";

/** A file has its text, a link where it leads. What is a directory follows from the paths. */
type Entry = { readonly text: string } | { readonly link: string };

/**
 * The files of a model's machine. Only what is named here, and its hugepages (memory/pool-files.ts), is there:
 *
 *     /sys/kernel/iommu_groups/26/reserved_regions      IOVAs that are not given out: start, last and kind, a line each
 *     /sys/kernel/iommu_groups/26/devices/0000:00:1a.0  a link to the device
 *     /sys/bus/pci/devices/0000:00:1a.0/driver          a link to its driver
 *     /sys/bus/pci/devices/0000:00:1a.0/iommu_group     a link to its group
 *
 * (`drivers/iommu/iommu.c: iommu_group_show_resv_regions, iommu_group_add_device`)
 */
export function machineFiles(
  groups: readonly Group[],
  iommu: IommuSettings,
  more: Iterable<readonly [string, Entry]>,
): MachineFiles {
  const entries = new Map<string, Entry>(more);
  for (const { number, device, noIommu } of groups) {
    const group = `/sys/kernel/iommu_groups/${number}`;
    const home = `/sys/devices/pci0000:00/${device}`;
    entries.set(`${group}/reserved_regions`, { text: noIommu ? "" : reservedRegions(iommu) });
    entries.set(`${group}/devices/${device}`, { link: `../../../../devices/pci0000:00/${device}` });
    entries.set(`/sys/bus/pci/devices/${device}`, { link: `../../../devices/pci0000:00/${device}` });
    for (const at of [home, `/sys/bus/pci/devices/${device}`, `${group}/devices/${device}`]) {
      entries.set(`${at}/driver`, { link: "../../../bus/pci/drivers/vfio-pci" });
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
      return "text" in entry ? entry.text : EISDIR;
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
