import type { MachineFiles } from "../syscalls.ts";
import { deviceFiles } from "./devices/device-files.ts";
import type { VfioDevice } from "./devices/vfio-device.ts";
import { EINVAL, EISDIR, ENOENT, ENOTDIR } from "./errno.ts";
import type { Group } from "./group.ts";
import type { HugepagePool } from "./memory/hugepage-pool.ts";
import { poolFiles } from "./memory/pool-files.ts";
import type { IommuSettings } from "./options.ts";

/** A file has its text, as it is at that moment; a link where it leads; a device neither. Directories follow from the paths. */
type Entry = ({ readonly text: () => string | undefined } | { readonly link: string } | { readonly device: true }) & {
  /** Not there as long as this says no. */
  readonly isThere?: () => boolean;
};

/** What the files of a machine tell of. */
export interface Told {
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
 *     /sys/bus/pci/devices/0000:00:1a.0/driver          a link to its driver
 *     /sys/bus/pci/devices/0000:00:1a.0/iommu_group     a link to its group
 *     /sys/bus/pci/devices/0000:00:1a.0/vendor ...      what it is (devices/device-files.ts); near the first node
 *     /sys/kernel/mm/hugepages/hugepages-2048kB/...     the pools (memory/pool-files.ts); not where memory is another machine's
 *     /sys/devices/system/node/node0                    a NUMA node: its pools, and one CPU; likewise
 *     /dev/vfio/vfio, /dev/vfio/26                      what is opened
 *     /proc/cpuinfo                                     which architecture it is
 *     /proc/iomem                                       its RAM, in one piece; not where memory is another machine's
 *
 * (`drivers/iommu/iommu.c: iommu_group_show_resv_regions, iommu_group_add_device`)
 */
export function machineFiles(told: Told): MachineFiles {
  const entries = new Map<string, Entry>([
    ["/dev/vfio/vfio", { device: true }],
    ["/proc/cpuinfo", { text: () => cpuOf(told) }],
  ]);
  for (const { number, noIommu } of told.groups) {
    const regions = noIommu ? "" : reservedRegions(told.iommu);
    if (regions === undefined) continue;
    entries.set(`/sys/kernel/iommu_groups/${number}/reserved_regions`, { text: () => regions });
  }
  for (const group of told.groups) {
    entries.set(group.path, { device: true, isThere: () => !group.isGone });
    for (const device of group.devices) addDevice(entries, device, group.number);
  }
  if (!told.borrowsMemory) {
    entries.set("/proc/iomem", {
      text: () => `00001000-${(told.ram - 1n).toString(16).padStart(8, "0")} : System RAM\n`,
    });
    for (const [path, text] of poolFiles(told.pool)) entries.set(path, { text });
  }
  const entryAt = (path: string) => {
    const entry = entries.get(path);
    const isThere = entry?.isThere?.() ?? true;
    return isThere && !(entry !== undefined && "text" in entry && entry.text() === undefined) ? entry : undefined;
  };
  const below = (path: string) => {
    const start = path.endsWith("/") ? path : `${path}/`;
    return [...entries.keys()]
      .filter((one) => one.startsWith(start) && entryAt(one) !== undefined)
      .map((one) => one.slice(start.length));
  };
  const missing = (path: string) => (below(path).length > 0 ? undefined : ENOENT);
  return {
    text(path) {
      const entry = entryAt(path);
      if (entry === undefined) return missing(path) ?? EISDIR;
      if ("text" in entry) return entry.text() ?? ENOENT;
      return "link" in entry ? EISDIR : EINVAL;
    },
    names(path) {
      const entry = entryAt(path);
      if (entry !== undefined && !("link" in entry)) return ENOTDIR;
      const found = below(path).map((rest) => rest.split("/")[0] as string);
      return missing(path) ?? [...new Set(found)].sort();
    },
    link(path) {
      const entry = entryAt(path);
      if (entry === undefined) return missing(path) ?? EINVAL;
      return "link" in entry ? entry.link : EINVAL;
    },
  };
}

/** A device that was pulled out has no files, and one that was unbound no driver. */
function addDevice(entries: Map<string, Entry>, device: VfioDevice, number: number): void {
  const { address, hardware } = device;
  const group = `/sys/kernel/iommu_groups/${number}`;
  const root = `pci${address.slice(0, 4)}:00`;
  const home = `/sys/devices/${root}/${address}`;
  const isThere = () => hardware.isPresent || device.isBound;
  entries.set(`${group}/devices/${address}`, { link: `../../../../devices/${root}/${address}`, isThere });
  entries.set(`/sys/bus/pci/devices/${address}`, { link: `../../../devices/${root}/${address}`, isThere });
  for (const at of [home, `/sys/bus/pci/devices/${address}`, `${group}/devices/${address}`]) {
    entries.set(`${at}/driver`, { link: "../../../bus/pci/drivers/vfio-pci", isThere: () => device.isBound });
    entries.set(`${at}/iommu_group`, { link: `../../../kernel/iommu_groups/${number}`, isThere });
    for (const [name, text] of deviceFiles(device)) entries.set(`${at}/${name}`, { text, isThere });
  }
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
