/** Lists and NUMA nodes: what a node's own pool has for the lists that are bound to it, and which node the devices are near. */
import { bytes } from "../hex.ts";
import type { IommuInfo, NodeFacts } from "../iommu.ts";
import { pages } from "./candidates.ts";
import { type Needs, shiftOf } from "./needs.ts";
import type { ExactList, ExactRequest } from "./types.ts";

/** A sentence for each node whose pool is too small, and one for lists that are not where the devices are. */
export function nodeWarnings({ info, memory }: ExactRequest, { lists }: Needs): string[] {
  const { nodes } = info;
  if (nodes === undefined) return [];
  const own = lists.filter(({ external }) => !external);
  const small = nodes.flatMap((node) => poolWarnings(node, own, memory.bytes, info));
  return [...small, ...nearWarnings(nodes, own)];
}

function poolWarnings(
  { id, hugepages }: NodeFacts,
  own: readonly ExactList[],
  there: bigint,
  info: IommuInfo,
): string[] {
  const bound = own.filter(({ node, pageSize }) => node === id && pageSize > BigInt(info.cpuPageSize));
  return [...new Set(bound.map(({ pageSize }) => pageSize))].flatMap((pageSize) => {
    const needed = bound.reduce((sum, list) => (list.pageSize === pageSize ? sum + list.length : sum), 0n) / pageSize;
    const { available = 0, total = 0 } = hugepages.find((pool) => pool.pageSize === pageSize) ?? {};
    // What is there has left its pool already. Of which node it is, nothing says: all of it may be of this one.
    const missing = needed - there / pageSize - BigInt(available);
    if (missing <= 0n) return [];
    const file = `/sys/devices/system/node/node${id}/hugepages/hugepages-${pageSize / 1024n}kB/nr_hugepages`;
    return [
      `the lists of ${pages(shiftOf({ pageSize }))} on node ${id} hold ${needed} pages in full growth, and its pool has ` +
        `${available} more of ${total}: allocate fails from ${bytes((needed - missing) * pageSize)} on. ` +
        `Write ${BigInt(total) + missing} to ${file}`,
    ];
  });
}

/** Devices reach memory of another node through the links between nodes: slower, and no error. */
function nearWarnings(nodes: readonly NodeFacts[], own: readonly ExactList[]): string[] {
  const near = nodes.filter(({ isNear }) => isNear).map(({ id }) => id);
  if (near.length === 0) return [];
  const where = `the devices are near node ${near.join(", ")}`;
  const far = [...new Set(own.map(({ node }) => node).filter((node) => node !== undefined && !near.includes(node)))];
  const warnings = far.map((node) => `${where}, and memory of node ${node} is farther: addList({ node: ${near[0]} })`);
  if (own.some(({ node }) => node === undefined)) {
    warnings.push(`${where}, and lists without a node get memory of any: addList({ node: ${near[0]} })`);
  }
  return warnings;
}
