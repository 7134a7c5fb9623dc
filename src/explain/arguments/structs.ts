/** What calls with a struct check first: that all of it is there, and where a call has no flags, that none is set. */
import type { IommuKind, Row } from "../cause.ts";
import { flagsBeside, shorterThan } from "../facts.ts";

/** Of a struct of `least` bytes. */
export function tooShort(least: number, source: string, iommu?: readonly IommuKind[]): Row {
  return {
    id: "argsz",
    mistake: true,
    ...(iommu === undefined ? {} : { iommu }),
    source,
    why: `argsz is less than the struct has: ${least} bytes`,
    next: `set argsz to ${least}`,
    holds: shorterThan(least),
  };
}

export function noFlags(source: string, iommu: readonly IommuKind[]): Row {
  return {
    id: "flags",
    mistake: true,
    iommu,
    source,
    why: "there is a flag: the call has none",
    next: "set flags to 0",
    holds: flagsBeside(0n),
  };
}
