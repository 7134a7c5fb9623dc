/** What a kernel's machine says of its NUMA nodes, as far as a plan looks at them. */
import { DmaWindowError } from "../errors.ts";
import type { NodeFacts } from "../iommu.ts";
import type { Syscalls } from "../syscalls.ts";
import { borrowable } from "../system/hugepages.ts";
import { numaNodeOf, readNodes } from "../system/nodes.ts";

/** `undefined` where there is one node only, or nothing is known of nodes. */
export function nodeFacts(
  { files }: Pick<Syscalls, "files">,
  groups: readonly number[],
): readonly NodeFacts[] | undefined {
  if (files === undefined) return undefined;
  try {
    const nodes = readNodes(files);
    if (nodes.length < 2) return undefined;
    const near = new Set(groups.map((group) => numaNodeOf(group, files)));
    return nodes.map(({ id, hugepages }) => ({
      id,
      isNear: near.has(id),
      hugepages: hugepages.map(({ pageSize, total, available }) => ({
        pageSize,
        total,
        available: available + borrowable(files, pageSize),
      })),
    }));
  } catch (error) {
    // They are asked for a warning. That they cannot be had must not be in the way of what was asked besides.
    if (error instanceof DmaWindowError) return undefined;
    throw error;
  }
}
