/** A system as sysfs, /dev and the device tree show it, for tests. */
import { join } from "node:path";
import { type Entry, withTree } from "../../system/temp-tree.ts";
import type { Roots } from "./machine.ts";

/** A device in a group, as sysfs has it. */
export function device(
  group: number,
  name: string,
  driver: string | undefined,
  id = "0x15b3 0x1017",
): Record<string, Entry> {
  const [vendor = "", number = ""] = id.split(" ");
  return {
    [`groups/${group}/devices/${name}`]: { link: `../../../bus/${name}` },
    [`bus/${name}/vendor`]: `${vendor}\n`,
    [`bus/${name}/device`]: `${number}\n`,
    ...(driver === undefined ? {} : { [`bus/${name}/driver`]: { link: `../../drivers/${driver}` } }),
  };
}

export function pool(kib: number, total: number, free: number, reserved = 0): Record<string, Entry> {
  const counts = { nr_hugepages: total, free_hugepages: free, resv_hugepages: reserved, surplus_hugepages: 0 };
  const entries = Object.entries(counts).map(([file, count]) => [`hugepages/hugepages-${kib}kB/${file}`, `${count}\n`]);
  return Object.fromEntries(entries);
}

/** Vendor and device number of QEMU's edu. */
export const edu = "0x1234 0x11e8";
/** A group that can be used. */
export const ready = { ...device(26, "0000:01:00.0", "vfio-pci"), "vfio/26": "" };

/** Calls `use` with where such a system says what there is. */
export function rooted(entries: Readonly<Record<string, Entry>>, use: (roots: Roots) => void): void {
  withTree(entries, (root) =>
    use({
      groups: join(root, "groups"),
      nodes: join(root, "vfio"),
      hugepages: join(root, "hugepages"),
      deviceTree: join(root, "tree"),
    }),
  );
}
