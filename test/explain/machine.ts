/** Machines that consist of nothing but their files. */
import type { MachineFiles } from "../../src/syscalls.ts";
import { no } from "../support/faulty.ts";

/** Texts by path; a value that begins with `->` is a link. What is a directory follows from the paths. */
export function machine(entries: Readonly<Record<string, string>>): MachineFiles {
  const below = (path: string) =>
    Object.keys(entries)
      .filter((one) => one.startsWith(`${path}/`))
      .map((one) => one.slice(path.length + 1).split("/")[0] as string);
  return {
    text: (path) => (entries[path]?.startsWith("->") === false ? entries[path] : no.ENOENT),
    names: (path) => (below(path).length === 0 ? no.ENOENT : [...new Set(below(path))].sort()),
    link: (path) => (entries[path]?.startsWith("->") ? entries[path].slice(2) : no.ENOENT),
  };
}

/** A group with one device, which has this driver. */
export function groupWith(group: number, device: string, driver?: string): Record<string, string> {
  const at = `/sys/kernel/iommu_groups/${group}`;
  return {
    [`${at}/devices/${device}/vendor`]: "0x8086\n",
    ...(driver === undefined ? {} : { [`${at}/devices/${device}/driver`]: `->../../../bus/pci/drivers/${driver}` }),
    [`${at}/reserved_regions`]: "0x00000000fee00000 0x00000000feefffff msi\n",
  };
}

export function limits(rows: Readonly<Record<string, string>>): string {
  const lines = Object.entries(rows).map(
    ([name, soft]) => `${name.padEnd(26)}${soft.padEnd(21)}unlimited            bytes`,
  );
  return `${["Limit                     Soft Limit           Hard Limit           Units", ...lines].join("\n")}\n`;
}
