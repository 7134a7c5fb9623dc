import { hex } from "../../hex.ts";

/** What the sanitizer can say, by the names of the report. */
export const FINDING_KINDS = [
  ...([
    "given-back-while-reachable",
    "stale-access",
    "unmapped-another",
    "left-mapped",
    "zombie",
    "charge-left",
  ] as const),
  ...(["answer-ignored", "past-window-end", "registered-never-mapped", "never-unmapped", "not-modelled"] as const),
] as const;

export type FindingKind = (typeof FINDING_KINDS)[number];

/** Where it is: what there is of the three, in bytes. */
export interface FindingAddress {
  readonly va?: bigint;
  readonly iova?: bigint;
  readonly length: bigint;
}

/** Something that a program does wrong with DMA. */
export interface Finding {
  readonly kind: FindingKind;
  /** What happened, and what the program should have done. */
  readonly message: string;
  readonly addresses: readonly FindingAddress[];
  /** The calls of VFIO that led there, the last one last. */
  readonly calls: readonly string[];
  /** Where the program was, innermost first. */
  readonly stack: readonly string[];
}

/** The same before anybody has looked where the program is. */
export type Found = Omit<Finding, "stack">;

/** As the report has it. */
export function findingJson({ kind, message, addresses, calls, stack }: Finding): object {
  const shown = ({ va, iova, length }: FindingAddress) => ({
    ...(va === undefined ? {} : { va: hex(va) }),
    ...(iova === undefined ? {} : { iova: hex(iova) }),
    length: hex(length),
  });
  return { kind, message, addresses: addresses.map(shown), calls, stack };
}
