/** A plan as JSON: what a file, a page or another program is handed. `parsePlan` reads it back. */
import { hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import { object } from "../validate.ts";
import type { FullGrowth, PlannedPiece, WindowPlan } from "./types.ts";

/** Says what a file is: a trace begins likewise. */
export const PLAN_FORMAT = "dma-window plan";

/** Of the format. Whatever an older reader would misread makes another version. */
export const PLAN_VERSION = 1;

/** A list of memory as a stored plan has it: pictures name its region. */
export interface StoredList {
  readonly base: bigint;
  /** Bytes. */
  readonly length: bigint;
  /** Bytes. */
  readonly pageSize: bigint;
}

/** What {@link planToJson} gives: plain values of JSON, in the order of the plan's own fields. */
export type PlanJson = Readonly<Record<string, unknown>>;

/**
 * A plan as plain values: every field that it has and no other, addresses and sizes that may pass 2^53 as hex strings, other
 * figures as numbers, all of them exact. With `format` and `version` in front it is what `parsePlan` takes.
 *
 * @param lists The lists that it was made for. No program needs them of a plan; a picture says by them which region is whose.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no object.
 */
export function planToJson(plan: WindowPlan, lists?: readonly StoredList[]): PlanJson {
  object("plan", plan);
  return { format: PLAN_FORMAT, version: PLAN_VERSION, ...planFields(plan), ...listsField(lists) };
}

/** The plan's own fields: what `run --json` says of a plan is made of them too. */
export function planFields(plan: WindowPlan): PlanJson {
  const { window, alignment, pieces, deviceAddressBits } = plan;
  return {
    kind: plan.kind,
    ...(window === undefined ? {} : { window }),
    iovaMode: plan.iovaMode,
    start: hex(plan.start),
    size: hex(plan.size),
    needed: hex(plan.needed),
    pageShift: plan.pageShift,
    levels: plan.levels,
    tces: Number(plan.tces), // 2^52 at most: no page is smaller than 4 KiB
    // At most 2^36 TCEs of 8 bytes, and not many more for the levels above: far below 2^53.
    levelBytes: plan.levelBytes.map(Number),
    tableBytes: Number(plan.tableBytes),
    chargeBytes: Number(plan.chargeBytes),
    dmaMaskBits: plan.dmaMaskBits,
    holes: plan.holes.map(rangeFields),
    ...(alignment === undefined ? {} : { alignment: hex(alignment) }),
    ...(pieces === undefined ? {} : { pieces: pieces.map(pieceFields) }),
    ...(deviceAddressBits === undefined ? {} : { deviceAddressBits }),
    fullGrowth: growthFields(plan.fullGrowth),
    warnings: plan.warnings,
    rejected: plan.rejected.map(({ choice, reason }) => ({ choice, reason })),
  };
}

function listsField(lists: readonly StoredList[] | undefined): PlanJson {
  if (lists === undefined) return {};
  const fields = lists.map(({ base, length, pageSize }) => ({
    base: hex(base),
    length: hex(length),
    pageSize: hex(pageSize),
  }));
  return { lists: fields };
}

function growthFields({ memoryBytes, lockedBytes, lockable, maps, mapsAvailable, hugepages }: FullGrowth): PlanJson {
  return {
    memoryBytes: hex(memoryBytes),
    lockedBytes: hex(lockedBytes),
    lockable: lockable === null ? null : hex(lockable),
    maps: Number(maps), // one for each page at most, as with TCEs
    mapsAvailable,
    hugepages: hugepages.map(({ pageSize, needed, available }) => ({
      pageSize: hex(pageSize),
      needed: Number(needed),
      available: available === null ? null : Number(available),
    })),
  };
}

function rangeFields({ start, last }: AddressRange): PlanJson {
  return { start: hex(start), last: hex(last) };
}

function pieceFields({ length, pageSize }: PlannedPiece): PlanJson {
  return { length: hex(length), pageSize: hex(pageSize) };
}
