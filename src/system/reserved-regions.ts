/**
 * The IOVAs that an IOMMU group keeps to itself, a line each, since Linux 4.11
 * (`drivers/iommu/iommu.c: iommu_group_show_resv_regions`):
 *
 *     /sys/kernel/iommu_groups/26/reserved_regions
 *     0x00000000fee00000 0x00000000feefffff msi                where interrupts are written to
 *     0x0000000077800000 0x000000007f9fffff direct             firmware's: mapped to itself, and must stay so (RMRR)
 *     0x000000007c000000 0x000000007fffffff direct-relaxable   the same, until a driver takes the device over
 *     0x000000fd00000000 0x000000ffffffffff reserved           never translated
 */

import { DmaWindowError } from "../errors.ts";
import { readable } from "../inspect.ts";
import type { MachineFiles } from "../syscalls.ts";

export interface ReservedRegion {
  readonly start: bigint;
  readonly last: bigint;
  /** `msi`, `direct`, `direct-relaxable`, `reserved`; a later kernel may know others. */
  readonly kind: string;
}

const linePattern = /^0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) ([a-z-]+)$/;

/**
 * The regions of a group; `undefined` where the machine does not say.
 *
 * @throws `ERR_RESERVED_REGIONS_MALFORMED` (facts: path, line, text) for a line that the kernel would not write.
 */
export function readReservedRegions(files: MachineFiles, group: number): readonly ReservedRegion[] | undefined {
  const path = `/sys/kernel/iommu_groups/${group}/reserved_regions`;
  const text = files.text(path);
  if (typeof text === "number") return undefined;
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line, i) => {
    const [, start, last, kind] = linePattern.exec(line) ?? [];
    const region = { start: BigInt(`0x${start ?? 1}`), last: BigInt(`0x${last ?? 0}`), kind: kind ?? "" };
    if (region.start <= region.last) return readable(region);
    throw new DmaWindowError(
      "ERR_RESERVED_REGIONS_MALFORMED",
      `line ${i + 1} of ${path} is not START LAST KIND: ${JSON.stringify(line.slice(0, 80))}`,
      { facts: { path, line: i + 1, text: line } },
    );
  });
}

/**
 * Whether VFIO keeps maps out of the region: all but those that end when a driver takes the device over
 * (`drivers/vfio/vfio_iommu_type1.c: vfio_iommu_resv_exclude`).
 */
export function forbidsMaps({ kind }: ReservedRegion): boolean {
  return kind !== "direct-relaxable";
}
