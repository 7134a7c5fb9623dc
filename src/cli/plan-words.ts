/** A plan in words. It speaks of windows, TCEs and tables where the kernel has such. */
import { bytes, hex, roughly } from "../hex.ts";
import type { WindowPlan } from "../plan/index.ts";

/** What a sentence is about, and the sentence; an empty one goes on with the one before. */
export type Fact = readonly [label: string, text: string];

/** The plan's shape, what will not suffice, and what cannot be. */
export function factsOf(plan: WindowPlan): Fact[] {
  return [
    ...shapeOf(plan),
    ...plan.warnings.map((warning): Fact => ["warning", warning]),
    ...plan.rejected.map(({ choice, reason }): Fact => ["not", `${choice}: ${reason}`]),
  ];
}

/** The window that is planned, and what it takes. */
export function shapeOf(plan: WindowPlan): Fact[] {
  const where = `${bytes(plan.size)} at ${hex(plan.start)}, for ${roughly(plan.needed)} in IOVA mode ${plan.iovaMode}`;
  const page = bytes(1n << BigInt(plan.pageShift));
  const device: Fact = ["device", `needs ${plan.dmaMaskBits} address bits`];
  switch (plan.kind) {
    case "spapr":
      return [
        ["window", where],
        ["pages", `${page}, so ${plan.tces} TCEs in ${plan.levels} level${plan.levels === 1 ? "" : "s"}`],
        ["tables", `${tablesOf(plan)}; ${roughly(plan.chargeBytes)} count against RLIMIT_MEMLOCK`],
        device,
      ];
    case "type1":
      return [
        ["IOVAs", where],
        ...plan.holes.map(({ start, last }): Fact => ["", `but ${hex(start)}-${hex(last)}, which the IOMMU keeps`]),
        ["pages", page],
        device,
      ];
    case "noiommu":
      return [
        ["IOVAs", where],
        ["pages", `${page}: nothing pins memory here, and of all pages hugepages alone stay where they are`],
        ["device", `needs ${plan.dmaMaskBits} address bits, and reaches all memory`],
      ];
  }
}

function tablesOf({ levelBytes }: WindowPlan): string {
  return levelBytes.map((size, i) => `${bytes(size)}${i === 0 ? " of TCEs" : ""}`).join(" + ");
}
