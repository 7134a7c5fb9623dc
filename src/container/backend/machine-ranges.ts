/**
 * The IOVAs that may be mapped, where VFIO does not say: before Linux 5.4 GET_INFO has no ranges, and MAP takes every IOVA
 * that the IOMMU can translate. Over the place where devices write their interrupts that is a trap: what a device sends
 * there is an interrupt, and never reaches memory. Two other sources say more, the first of them with certainty:
 *
 *     reserved_regions    the group's own file, since Linux 4.11
 *     architecture        where interrupts are written to on x86 and on Arm, which no machine can change
 */
import type { AddressRange, Type1Info } from "../../iommu.ts";
import { without } from "../../plan/ranges.ts";
import type { Syscalls } from "../../syscalls.ts";
import { forbidsMaps, readReservedRegions } from "../../system/reserved-regions.ts";

const EVERYTHING: readonly AddressRange[] = [{ start: 0n, last: 0xffff_ffff_ffff_ffffn }];

/** `drivers/iommu/intel/iommu.c: IOAPIC_RANGE_START`, `drivers/iommu/amd/amd_iommu_types.h: MSI_RANGE_START`. */
const X86: AddressRange = { start: 0xfee0_0000n, last: 0xfeef_ffffn };

/** `drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c, arm-smmu/arm-smmu.c: MSI_IOVA_BASE, MSI_IOVA_LENGTH`. */
const ARM: AddressRange = { start: 0x800_0000n, last: 0x80f_ffffn };

/** What a container of these groups may map. @throws `ERR_RESERVED_REGIONS_MALFORMED`. */
export function rangesOfMachine(
  kernel: Pick<Syscalls, "files" | "pageSize">,
  groups: readonly number[],
): Required<Pick<Type1Info, "ranges" | "rangesFrom">> {
  const { files } = kernel;
  const said = groups.map((group) => (files === undefined ? undefined : readReservedRegions(files, group)));
  const regions = said.flatMap((one) => one ?? []);
  // Every IOMMU of x86 and Arm names the place of the interrupts. Where that is missing, so may be anything else.
  const isTold = said.every((one) => one?.some(({ kind }) => kind === "msi"));
  const forbidden: readonly AddressRange[] = [...regions.filter(forbidsMaps), ...(isTold ? [] : interruptsOf(kernel))];
  return {
    ranges: forbidden.reduce((ranges, { start, last }) => without(ranges, { start, last }), EVERYTHING),
    rangesFrom: isTold ? "reserved_regions" : "architecture",
  };
}

/** By what the CPU says of itself; where it says nothing, both, unless pages of that size are no x86's. */
function interruptsOf({ files, pageSize }: Pick<Syscalls, "files" | "pageSize">): readonly AddressRange[] {
  const cpu = files?.text("/proc/cpuinfo");
  if (typeof cpu === "string") {
    if (/^cpu family\s*:/m.test(cpu)) return [X86]; // arch/x86/kernel/cpu/proc.c
    if (/^CPU implementer\s*:/m.test(cpu)) return [ARM]; // arch/arm64/kernel/cpuinfo.c
  }
  return pageSize === 4096 ? [ARM, X86] : [ARM];
}
