/** What an IOMMU is said to be, checked: a plan is made from it without asking anyone again. */
import { argumentRangeError, argumentTypeError } from "../errors.ts";
import type { HugepageFacts, IommuInfo, NodeFacts, SpaprInfo, Type1Info } from "../iommu.ts";
import { address, boolean, count, object, oneOf, pageShift } from "../validate.ts";

export function checkInfo(info: IommuInfo): void {
  object("info", info);
  oneOf("info.kind", info.kind, ["spapr", "type1", "noiommu"]);
  address("info.pageSizes", info.pageSizes);
  pageShift("info.cpuPageSize", info.cpuPageSize);
  const { lockedMemory } = info;
  object("info.lockedMemory", lockedMemory);
  if (lockedMemory.limit !== null) address("info.lockedMemory.limit", lockedMemory.limit);
  address("info.lockedMemory.used", lockedMemory.used);
  boolean("info.lockedMemory.privileged", lockedMemory.privileged);
  if (info.hugepages !== undefined) checkHugepages("info.hugepages", info.hugepages);
  if (info.nodes !== undefined) checkNodes(info.nodes);
  if (info.kind === "spapr") checkSpapr(info);
  if (info.kind === "type1") checkType1(info);
}

function checkNodes(nodes: NonNullable<IommuInfo["nodes"]>): void {
  if (!Array.isArray(nodes)) throw argumentTypeError("info.nodes", "an array", nodes);
  for (const [i, node] of (nodes as readonly NodeFacts[]).entries()) {
    const name = `info.nodes[${i}]`;
    object(name, node);
    count(`${name}.id`, node.id);
    boolean(`${name}.isNear`, node.isNear);
    checkHugepages(`${name}.hugepages`, node.hugepages);
  }
}

function checkHugepages(what: string, pools: NonNullable<IommuInfo["hugepages"]>): void {
  if (!Array.isArray(pools)) throw argumentTypeError(what, "an array", pools);
  for (const [i, pool] of (pools as readonly HugepageFacts[]).entries()) {
    const name = `${what}[${i}]`;
    object(name, pool);
    pageShift(`${name}.pageSize`, address(`${name}.pageSize`, pool.pageSize));
    count(`${name}.total`, pool.total);
    count(`${name}.available`, pool.available);
    if (pool.allowedBytes !== undefined) address(`${name}.allowedBytes`, pool.allowedBytes);
  }
}

function checkSpapr(info: SpaprInfo): void {
  oneOf("info.platform", info.platform, ["powernv", "pseries"]);
  boolean("info.dynamicWindows", info.dynamicWindows);
  count("info.levels", info.levels);
  object("info.defaultWindow", info.defaultWindow);
  address("info.defaultWindow.start", info.defaultWindow.start);
  address("info.defaultWindow.size", info.defaultWindow.size);
}

function checkType1({ version, ranges, rangesFrom, mapsAvailable }: Type1Info): void {
  if (count("info.version", version) !== 1 && version !== 2) {
    throw argumentRangeError("info.version", "1 or 2", version);
  }
  if (mapsAvailable !== undefined) count("info.mapsAvailable", mapsAvailable);
  if (rangesFrom !== undefined) oneOf("info.rangesFrom", rangesFrom, ["kernel", "reserved_regions", "architecture"]);
  if (!Array.isArray(ranges)) throw argumentTypeError("info.ranges", "an array", ranges);
  let least = 0n;
  for (const [i, range] of (ranges as Type1Info["ranges"]).entries()) {
    const name = `info.ranges[${i}]`;
    object(name, range);
    const start = address(`${name}.start`, range.start);
    if (start < least) throw argumentRangeError(`${name}.start`, "behind the range before it", start);
    const last = address(`${name}.last`, range.last);
    if (last < start) throw argumentRangeError(`${name}.last`, "its start or behind it", last);
    least = last + 1n;
  }
}
