import { DmaWindowError } from "../errors.ts";
import { bytes } from "../hex.ts";
import { findNeeds, type Needs } from "./needs.ts";
import { planNoIommu } from "./noiommu.ts";
import { checkRequest } from "./request.ts";
import { planSpapr } from "./spapr.ts";
import { shownPlan } from "./told.ts";
import { planType1 } from "./type1.ts";
import type { ExactRequest, PlanRequest, Rejection, WindowPlan } from "./types.ts";

export { parsePlan } from "./parse-plan.ts";
export { type PlanJson, planToJson, type StoredList } from "./plan-json.ts";
export type {
  FullGrowth,
  HugepageGrowth,
  IovaMode,
  ListFacts,
  MappedFacts,
  MemoryFacts,
  PlannedPiece,
  PlanRequest,
  Rejection,
  WindowPlan,
} from "./types.ts";

/**
 * Sizes the one DMA window of a program: once, before anything is mapped, so large that all memory that will ever be
 * there fits. A pure function: it asks no kernel, and the same facts give the same plan.
 *
 * Takes the largest page that every list and the IOMMU allow, the power of two that holds what is needed, and the fewest
 * levels that the platform can make (type1: what is needed, where no power of two has a place); says for every other choice
 * why it cannot be, in numbers, and what of the machine will not suffice when all memory is there.
 *
 * @throws `ERR_PLAN_IMPOSSIBLE` when no choice is left; `facts.rejected` has them all, as the message does.
 * @throws `ERR_NOTHING_TO_MAP` when there is neither a list nor `growTo`.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE` for arguments that cannot be.
 */
export function planWindow(request: PlanRequest): WindowPlan {
  const exact = checkRequest(request);
  const needs = findNeeds(exact);
  const result = planFor(exact, needs);
  if ("start" in result) return shownPlan(result);
  const { lockedMemory } = request.info; // a budget is one of the reasons that there are
  const reasons = result.map(({ choice, reason }) => `  ${choice}: ${reason}`).join("\n");
  throw new DmaWindowError(
    "ERR_PLAN_IMPOSSIBLE",
    `no window can hold ${bytes(needs.last + 1n)} in IOVA mode ${needs.iovaMode}:\n${reasons || "  the IOMMU names no page size"}`,
    { facts: { needed: needs.last + 1n, iovaMode: needs.iovaMode, lockedMemory, rejected: result } },
  );
}

function planFor(request: ExactRequest, needs: Needs): WindowPlan | readonly Rejection[] {
  const { info } = request;
  if (request.window === "default" && info.kind !== "spapr") {
    return [
      { choice: "the default window", reason: `only sPAPR has one, and the info is of ${info.kind}: leave window out` },
    ];
  }
  switch (info.kind) {
    case "spapr":
      return planSpapr(request, info, needs);
    case "type1":
      return planType1(request, info, needs);
    case "noiommu":
      return planNoIommu(request, info, needs);
  }
}
