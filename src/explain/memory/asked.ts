/** Which memory was asked for, as far as the causes of a refusal depend on it. */
import type { Asked, Finding } from "../cause.ts";

/** Of a cause that cannot be here nothing is said at all. */
export const NOT_HERE: Finding = { verdict: "ruled out" };

/** Whether no page is taken: address space that is only kept needs none, and nobody writes to it. */
export function isOnlyKept({ onlyKept }: Asked): boolean {
  return onlyKept === true;
}

/** The size of the hugepages that were asked for; `undefined` where that is not known, 0 for pages of the CPU. */
export function hugePageOf({ pageSize, hugetlb }: Asked): bigint | undefined {
  if (hugetlb === false) return 0n;
  return typeof pageSize === "bigint" && hugetlb === true ? pageSize : undefined;
}
