/** A plan in a few lines, as `console.log` shows it: the sentences are counted, and stand in the plan itself. */
import { inBytes, readable, readableDeep } from "../inspect.ts";
import type { HugepageGrowth, WindowPlan } from "./types.ts";

/** The plan itself, and what is in it, to be shown so. */
export function shownPlan(plan: WindowPlan): WindowPlan {
  for (const growth of plan.fullGrowth.hugepages) readable(growth, "", tellHugepages);
  return readableDeep(readable(plan, "WindowPlan", tellPlan));
}

function tellPlan(plan: WindowPlan): object {
  const { pageShift, levelBytes: _, pieces, holes, fullGrowth, warnings, rejected, ...facts } = plan;
  return {
    ...facts,
    pageSize: 1n << BigInt(pageShift),
    holes: holes.length === 0 ? undefined : holes,
    pieces: pieces?.length,
    fullGrowth,
    warnings: warnings?.length,
    rejected: rejected?.length,
  };
}

function tellHugepages({ pageSize, needed, available }: HugepageGrowth): object {
  return { pageSize: inBytes(pageSize), pages: needed, available };
}
