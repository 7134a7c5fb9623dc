/** A plan as JSON: what a file, a page or another program is handed. `parsePlan` reads it back. */
import { argumentTypeError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import { count, object, oneOf, size } from "../validate.ts";
import { IOVA_MODES } from "./request.ts";
import type { FullGrowth, HugepageGrowth, PlannedPiece, Rejection, WindowPlan } from "./types.ts";

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
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE` for what is no plan, by the field that no plan has so.
 */
export function planToJson(plan: WindowPlan, lists?: readonly StoredList[]): PlanJson {
  return { format: PLAN_FORMAT, version: PLAN_VERSION, ...planFields(plan), ...listsField(lists) };
}

/** The plan's own fields: what `run --json` says of a plan is made of them too. */
export function planFields(plan: WindowPlan): PlanJson {
  object("plan", plan);
  const { window, alignment, pieces, deviceAddressBits } = plan;
  return {
    kind: oneOf("plan.kind", plan.kind, ["spapr", "type1", "noiommu"]),
    ...(window === undefined ? {} : { window: oneOf("plan.window", window, ["default"]) }),
    iovaMode: oneOf("plan.iovaMode", plan.iovaMode, IOVA_MODES),
    start: hexed("plan.start", plan.start),
    size: hexed("plan.size", plan.size),
    needed: hexed("plan.needed", plan.needed),
    pageShift: count("plan.pageShift", plan.pageShift),
    levels: count("plan.levels", plan.levels),
    tces: Number(size("plan.tces", plan.tces)), // 2^52 at most: no page is smaller than 4 KiB
    // At most 2^36 TCEs of 8 bytes, and not many more for the levels above: far below 2^53.
    levelBytes: each("plan.levelBytes", plan.levelBytes, (name, bytes) => Number(size(name, bytes))),
    tableBytes: Number(size("plan.tableBytes", plan.tableBytes)),
    chargeBytes: Number(size("plan.chargeBytes", plan.chargeBytes)),
    dmaMaskBits: count("plan.dmaMaskBits", plan.dmaMaskBits),
    holes: each("plan.holes", plan.holes, rangeFields),
    ...(alignment === undefined ? {} : { alignment: hexed("plan.alignment", alignment) }),
    ...(pieces === undefined ? {} : { pieces: each("plan.pieces", pieces, pieceFields) }),
    ...(deviceAddressBits === undefined
      ? {}
      : { deviceAddressBits: count("plan.deviceAddressBits", deviceAddressBits) }),
    fullGrowth: growthFields("plan.fullGrowth", plan.fullGrowth),
    warnings: each("plan.warnings", plan.warnings, text),
    rejected: each("plan.rejected", plan.rejected, rejectionFields),
  };
}

function listsField(lists: readonly StoredList[] | undefined): PlanJson {
  return lists === undefined ? {} : { lists: each("lists", lists, listFields) };
}

function listFields(name: string, list: StoredList): PlanJson {
  const { base, length, pageSize } = object(name, list) as StoredList;
  return {
    base: hexed(`${name}.base`, base),
    length: hexed(`${name}.length`, length),
    pageSize: hexed(`${name}.pageSize`, pageSize),
  };
}

function growthFields(name: string, growth: FullGrowth): PlanJson {
  const { memoryBytes, lockedBytes, lockable, maps, mapsAvailable, hugepages } = object(name, growth) as FullGrowth;
  return {
    memoryBytes: hexed(`${name}.memoryBytes`, memoryBytes),
    lockedBytes: hexed(`${name}.lockedBytes`, lockedBytes),
    lockable: lockable === null ? null : hexed(`${name}.lockable`, lockable),
    maps: Number(size(`${name}.maps`, maps)), // one for each page at most, as with TCEs
    mapsAvailable: mapsAvailable === null ? null : count(`${name}.mapsAvailable`, mapsAvailable),
    hugepages: each(`${name}.hugepages`, hugepages, hugepageFields),
  };
}

function hugepageFields(name: string, pool: HugepageGrowth): PlanJson {
  const { pageSize, needed, available } = object(name, pool) as HugepageGrowth;
  return {
    pageSize: hexed(`${name}.pageSize`, pageSize),
    needed: Number(size(`${name}.needed`, needed)),
    available: available === null ? null : Number(size(`${name}.available`, available)),
  };
}

function rangeFields(name: string, range: AddressRange): PlanJson {
  const { start, last } = object(name, range) as AddressRange;
  return { start: hexed(`${name}.start`, start), last: hexed(`${name}.last`, last) };
}

function pieceFields(name: string, piece: PlannedPiece): PlanJson {
  const { length, pageSize } = object(name, piece) as PlannedPiece;
  return { length: hexed(`${name}.length`, length), pageSize: hexed(`${name}.pageSize`, pageSize) };
}

function rejectionFields(name: string, rejection: Rejection): PlanJson {
  const { choice, reason } = object(name, rejection) as Rejection;
  return { choice: text(`${name}.choice`, choice), reason: text(`${name}.reason`, reason) };
}

/** An address or a size as hex. */
function hexed(name: string, value: bigint): string {
  return hex(size(name, value));
}

function text(name: string, value: string): string {
  if (typeof value !== "string") throw argumentTypeError(name, "a string", value);
  return value;
}

/** What `of` makes of each item, of which it is told the name. */
function each<T, R>(name: string, items: readonly T[], of: (name: string, item: T) => R): R[] {
  if (!Array.isArray(items)) throw argumentTypeError(name, "an array", items);
  // Array.from and not map, which passes over the holes of an array.
  return Array.from(items as readonly T[], (item, i) => of(`${name}[${i}]`, item));
}
