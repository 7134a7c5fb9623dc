import { DEVICE, type Entry, FileTree } from "./file-tree.ts";
import type { Group } from "./group.ts";
import type { HugepagePool } from "./memory/hugepage-pool.ts";
import { poolFiles } from "./memory/pool-files.ts";
import type { IommuSettings } from "./options.ts";
import { homeOf, type PciTold, pciFiles } from "./pci/sysfs.ts";

/** What the files of a machine tell of. */
export interface Told extends PciTold {
  readonly groups: readonly Group[];
  readonly iommu: IommuSettings;
  /** Of the CPU, in bytes. */
  readonly pageSize: number;
  /** Bytes. */
  readonly ram: bigint;
  readonly pool: HugepagePool;
  /** Its memory is another machine's: what there is of it, and where, is not told here. */
  readonly borrowsMemory: boolean;
}

/**
 * The files of a model's machine. Only what is named here is there:
 *
 *     /sys/kernel/iommu_groups/26/reserved_regions      IOVAs that are not given out: start, last and kind, a line each
 *     /sys/kernel/iommu_groups/26/devices/0000:00:1a.0  a link to the device
 *     /sys/kernel/iommu_groups/26/name                  vfio-noiommu, for a group that VFIO made up
 *     /sys/bus/pci/...                                  devices and drivers (pci/sysfs.ts)
 *     /sys/kernel/mm/hugepages/hugepages-2048kB/...     the pools (memory/pool-files.ts); not where memory is another machine's
 *     /sys/devices/system/node/node0                    a NUMA node: its pools, and one CPU; likewise
 *     /sys/module/vfio/parameters/...                   where there is a group without an IOMMU: that the unsafe mode is on
 *     /dev/vfio/vfio, /dev/vfio/26                      what is opened; a group's as long as VFIO has a device of it
 *     /run/...                                          what programs keep
 *     /proc/cpuinfo                                     which architecture it is
 *     /proc/iomem                                       its RAM, in one piece; not where memory is another machine's
 *
 * (`drivers/iommu/iommu.c: iommu_group_show_resv_regions, iommu_group_add_device`)
 */
export function machineFiles(told: Told): FileTree {
  const entries = new Map<string, Entry>([
    ["/dev/vfio/vfio", DEVICE],
    ["/proc/cpuinfo", { text: () => cpuOf(told) }],
    ...pciFiles(told),
  ]);
  for (const group of told.groups) for (const [path, entry] of groupFiles(group, told)) entries.set(path, entry);
  if (told.groups.some(({ noIommu }) => noIommu)) {
    entries.set("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", { text: () => "Y\n" });
    for (const module of ["vfio_pci", "vfio_iommu_type1"])
      entries.set(`/sys/module/${module}/initstate`, { text: () => "live\n" });
  }
  if (!told.borrowsMemory) {
    entries.set("/proc/iomem", {
      text: () => `00001000-${(told.ram - 1n).toString(16).padStart(8, "0")} : System RAM\n`,
    });
    for (const [path, text] of poolFiles(told.pool)) entries.set(path, { text });
  }
  return new FileTree(entries);
}

/** A group without an IOMMU is there while VFIO has its device, and any other always. */
function groupFiles(group: Group, { iommu, slots }: Told): [string, Entry][] {
  const { number, noIommu, path } = group;
  const at = `/sys/kernel/iommu_groups/${number}`;
  const isThere = () => !noIommu || !group.isGone;
  const regions = noIommu ? "" : reservedRegions(iommu);
  const members = slots.filter(({ device }) => device.group === group);
  return [
    ...(regions === undefined ? [] : [[`${at}/reserved_regions`, { text: () => regions, isThere }] as [string, Entry]]),
    ...(noIommu ? [[`${at}/name`, { text: () => "vfio-noiommu\n", isThere }] as [string, Entry]] : []),
    ...members.map((slot): [string, Entry] => [
      `${at}/devices/${slot.address}`,
      {
        link: () => `../../../../${homeOf(slot.address).slice("/sys/".length)}`,
        isThere: () => isThere() && slot.isThere,
      },
    ]),
    [path, { isThere: () => !group.isGone }],
  ];
}

/** `undefined` for a kernel without the file. */
function reservedRegions(iommu: IommuSettings): string | undefined {
  if (iommu.platform !== "type1") return "";
  const { reservedRegions: regions } = iommu.type1;
  if (regions === false) return undefined;
  const sixteen = (value: bigint) => `0x${value.toString(16).padStart(16, "0")}`;
  return regions.map(({ start, last, kind }) => `${sixteen(start)} ${sixteen(last)} ${kind}\n`).join("");
}

/** The lines by which an architecture is known. CPU pages of 4 KiB are an x86's here, as its IOMMU is. */
function cpuOf({ iommu: { platform }, pageSize }: Told): string {
  if (platform === "powernv" || platform === "pseries") return "processor\t: 0\ncpu\t\t: POWER9\n";
  if (pageSize === 4096) return "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n";
  return "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n";
}
