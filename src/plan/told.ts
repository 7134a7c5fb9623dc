/** A plan in a few lines, as `console.log` shows it: the sentences are counted, and stand in the plan itself. */
import { inBytes } from "../inspect.ts";
import type { HugepageGrowth, WindowPlan } from "./types.ts";

export function tellPlan(plan: WindowPlan): object {
  const { pageShift, levelBytes: _, pieces, holes, fullGrowth, warnings, rejected, ...facts } = plan;
  return {
    ...facts,
    pageSize: 1n << BigInt(pageShift),
    holes: holes.length === 0 ? undefined : holes,
    pieces: pieces?.length,
    fullGrowth: fullGrowth && { ...fullGrowth, hugepages: fullGrowth.hugepages.map(tellHugepages) },
    warnings: warnings?.length,
    rejected: rejected?.length,
  };
}

function tellHugepages({ pageSize, needed, available }: HugepageGrowth): object {
  return { pageSize: inBytes(pageSize), pages: needed, available };
}
