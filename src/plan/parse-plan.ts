/**
 * A plan out of JSON. It may have been stored by another version, edited by hand, or made up by somebody: every field is checked,
 * alone and against the others, so that what comes out is a plan as `planWindow` makes them.
 */
import { core } from "../core.ts";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import { type Complaint, Fields } from "./fields.ts";
import { PLAN_FORMAT, PLAN_VERSION, type StoredList } from "./plan-json.ts";
import { IOVA_MODES } from "./request.ts";
import { PAGE_SHIFT, pageWanted, type Shape, sizeWanted, startWanted } from "./shape.ts";
import { shownPlan } from "./told.ts";
import type { FullGrowth, PlannedPiece, Rejection, WindowPlan } from "./types.ts";

/** A plan that lists thousands of holes has some hundred KiB. */
export const PLAN_LENGTH_MAX = 1 << 24;

const COMPLAINT: Complaint = {
  code: "ERR_PLAN_MALFORMED",
  what: "the plan cannot be used",
  advice: "make it anew with dma-window plan --output FILE, or planToJson",
};

/** What `dma-window plan --json` says beside the plan: of the machine. */
const OF_THE_MACHINE = ["kernel", "platform", "noIommu", "plan", "system", "memory", "limits", "machine"];

/** The most that a table has levels on any machine (arch/powerpc/platforms/powernv/pci-ioda.c: POWERNV_IOMMU_MAX_LEVELS). */
const LEVELS_MAX = 5;

/** A stored plan, and the lists that it was made for, where it says so. */
export interface StoredPlan {
  readonly plan: WindowPlan;
  readonly lists: readonly StoredList[] | undefined;
}

/**
 * The plan in a text: what `dma-window plan --output` and `--json` write, and `planToJson` gives. `container.createWindow` takes
 * it, on the machine that it was made for or another one of its kind.
 *
 * @throws `ERR_PLAN_MALFORMED` for what is no plan: the message names the field and says what may stand there, `facts.field` has
 * its path. A key that no plan has is refused. `ERR_PLAN_VERSION` for one of a later version.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no text.
 */
export function parsePlan(text: string): WindowPlan {
  return parseStoredPlan(text).plan;
}

/** The same with the lists. */
export function parseStoredPlan(text: string): StoredPlan {
  if (typeof text !== "string") throw argumentTypeError("text", "the text of a plan (a string)", text);
  if (text.length > PLAN_LENGTH_MAX) throw unusable(`it has more than ${bytes(PLAN_LENGTH_MAX)}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw unusable("it is no JSON");
  }
  const fields = new Fields(document, COMPLAINT);
  checkVersion(fields);
  const plan = shownPlan(planOf(fields));
  checkRoom(fields, plan);
  const lists = fields.has("lists") ? fields.objects("lists", listOf) : undefined;
  fields.pass(...OF_THE_MACHINE);
  fields.end();
  return { plan, lists };
}

function unusable(why: string): DmaWindowError {
  return new DmaWindowError(COMPLAINT.code, `${COMPLAINT.what}: ${why}; ${COMPLAINT.advice}`);
}

function checkVersion(fields: Fields): void {
  if (fields.value("format") !== PLAN_FORMAT) throw fields.wrong("format", `be ${JSON.stringify(PLAN_FORMAT)}`);
  const version = fields.count("version", 1, 2 ** 31);
  if (version <= PLAN_VERSION) return;
  throw new DmaWindowError(
    "ERR_PLAN_VERSION",
    `the plan has version ${version}, and this program reads ${PLAN_VERSION}: use the dma-window that made it, or a later one`,
    { facts: { version } },
  );
}

function planOf(fields: Fields): WindowPlan {
  const kind = fields.oneOf("kind", ["spapr", "type1", "noiommu"]);
  const isDefault = fields.has("window") && fields.oneOf("window", ["default"]) === "default";
  if (isDefault && kind !== "spapr") throw fields.refusal("window", "be left out: only sPAPR has a default window");
  const iovaMode = fields.oneOf("iovaMode", IOVA_MODES);
  const pageShift = fields.count("pageShift", PAGE_SHIFT.least, PAGE_SHIFT.most);
  const shape = shapeOf(fields, { kind, isDefault, pageShift });
  const levels = levelsOf(fields, kind);
  const last = shape.start + shape.size - 1n;
  const dmaMaskBits = fields.count("dmaMaskBits", 1, 64);
  if (dmaMaskBits !== core.maskBits(last)) {
    throw fields.wrong("dmaMaskBits", `be ${core.maskBits(last)}, for a window that ends at ${hex(last)}`);
  }
  const growth = fields.object("fullGrowth", growthOf);
  return {
    kind,
    ...(isDefault ? { window: "default" as const } : {}),
    iovaMode,
    ...shape,
    pageShift,
    ...levels,
    dmaMaskBits,
    holes: holesOf(fields, kind, shape.start, last),
    ...placeOf(fields, kind, 1n << BigInt(pageShift)),
    ...reachOf(fields, dmaMaskBits),
    fullGrowth: growth,
    warnings: fields.has("warnings") ? fields.list("warnings", (item, path) => textOf(item, path)) : [],
    rejected: fields.objects("rejected", rejectionOf),
  };
}

function shapeOf(
  fields: Fields,
  pages: Pick<Shape, "kind" | "isDefault" | "pageShift">,
): Pick<WindowPlan, "start" | "size" | "needed" | "tces"> {
  const [start, size, needed] = [fields.hex("start"), fields.hex("size"), fields.hex("needed")];
  const shape = { ...pages, start, size };
  const length = sizeWanted(shape);
  if (length !== undefined) throw fields.wrong("size", `be ${length}`);
  const place = startWanted(shape);
  if (place !== undefined) throw fields.wrong("start", `be ${place}`);
  if (needed === 0n || needed > size) throw fields.wrong("needed", `be from 1 byte to the window's ${bytes(size)}`);
  const tces = fields.hex("tces");
  const count = size >> BigInt(pages.pageShift);
  if (tces !== count) throw fields.wrong("tces", `be ${count}: the pages of the window`);
  return { start, size, needed, tces };
}

function levelsOf(
  fields: Fields,
  kind: WindowPlan["kind"],
): Pick<WindowPlan, "levels" | "levelBytes" | "tableBytes" | "chargeBytes"> {
  const levels = kind === "spapr" ? fields.count("levels", 1, LEVELS_MAX) : fields.count("levels", 0, 0);
  const levelBytes = fields.list("levelBytes", sizeOf);
  if (levelBytes.length !== levels) throw fields.refusal("levelBytes", `have a size for each of ${levels} levels`);
  const [tableBytes, chargeBytes] = [fields.hex("tableBytes"), fields.hex("chargeBytes")];
  const sum = levelBytes.reduce((all, one) => all + one, 0n);
  if (tableBytes !== sum) throw fields.wrong("tableBytes", `be ${sum}: all of levelBytes together`);
  if (kind !== "spapr" && chargeBytes !== 0n) throw fields.wrong("chargeBytes", `be 0: nothing is charged on ${kind}`);
  return { levels, levelBytes, tableBytes, chargeBytes };
}

function holesOf(fields: Fields, kind: WindowPlan["kind"], start: bigint, last: bigint): AddressRange[] {
  let least = start;
  const holes = fields.objects("holes", (hole) => {
    const range = { start: hole.hex("start"), last: hole.hex("last") };
    if (range.start < least)
      throw hole.wrong("start", `be ${hex(least)} or higher: holes lie in the window, ascending`);
    if (range.last < range.start || range.last > last) {
      throw hole.wrong("last", `be from its start to the window's end ${hex(last)}`);
    }
    least = range.last + 1n;
    return range;
  });
  if (kind === "type1" || holes.length === 0) return holes;
  throw fields.refusal("holes", "be empty: only type1 has IOVAs in a window that may not be mapped");
}

/** What is planned for lies beside the holes: all of it, where it is laid out anew; where IOVAs are addresses, something. */
function checkRoom(fields: Fields, { iovaMode, size, pageShift, holes, pieces, needed }: WindowPlan): void {
  if (holes.length === 0) return;
  const room = holes.reduce((left, hole) => left - (hole.last - hole.start + 1n), size);
  const laidOut = pieces === undefined ? needed : pieces.reduce((sum, { length }) => sum + length, 0n);
  const filled = iovaMode === "rebased" ? laidOut : 1n << BigInt(pageShift);
  if (filled <= room) return;
  throw fields.refusal("holes", `leave ${bytes(filled)} of the window's ${bytes(size)}; they leave ${bytes(room)}`);
}

/** By what a window of type1 finds another place. */
function placeOf(fields: Fields, kind: WindowPlan["kind"], page: bigint): Pick<WindowPlan, "alignment" | "pieces"> {
  const alignment = fields.has("alignment") ? pagesIn(fields, "alignment", page) : undefined;
  const pieces = fields.has("pieces") ? fields.objects("pieces", (piece) => pieceOf(piece, page)) : undefined;
  if (kind !== "type1" && (alignment ?? pieces) !== undefined) {
    const name = alignment === undefined ? "pieces" : "alignment";
    throw fields.refusal(name, "be left out: only type1 looks for a place by it");
  }
  return { ...(alignment === undefined ? {} : { alignment }), ...(pieces === undefined ? {} : { pieces }) };
}

function pieceOf(fields: Fields, page: bigint): PlannedPiece {
  const length = fields.hex("length");
  if (length === 0n) throw fields.wrong("length", "be at least 1");
  return { length, pageSize: pagesIn(fields, "pageSize", page) };
}

function pagesIn(fields: Fields, name: string, page: bigint): bigint {
  const size = fields.hex(name);
  const wanted = pageWanted(size, page);
  if (wanted !== undefined) throw fields.wrong(name, `be ${wanted}`);
  return size;
}

function reachOf(fields: Fields, dmaMaskBits: number): Pick<WindowPlan, "deviceAddressBits"> {
  if (!fields.has("deviceAddressBits")) return {};
  const deviceAddressBits = fields.count("deviceAddressBits", 1, 64);
  if (deviceAddressBits >= dmaMaskBits) return { deviceAddressBits };
  throw fields.wrong("deviceAddressBits", `be at least ${dmaMaskBits}, which the window's end needs`);
}

function growthOf(fields: Fields): FullGrowth {
  return {
    memoryBytes: fields.hex("memoryBytes"),
    lockedBytes: fields.hex("lockedBytes"),
    lockable: fields.isNull("lockable") ? null : fields.hex("lockable"),
    maps: fields.hex("maps"),
    mapsAvailable: fields.isNull("mapsAvailable") ? null : fields.count("mapsAvailable", 0, Number.MAX_SAFE_INTEGER),
    hugepages: fields.objects("hugepages", (pool) => ({
      pageSize: pagesIn(pool, "pageSize", 4096n),
      needed: pool.hex("needed"),
      available: pool.isNull("available") ? null : pool.hex("available"),
    })),
  };
}

function rejectionOf(fields: Fields): Rejection {
  return { choice: fields.text("choice"), reason: fields.text("reason") };
}

function listOf(fields: Fields): StoredList {
  const pageSize = pagesIn(fields, "pageSize", 4096n);
  const [base, length] = [fields.hex("base"), fields.hex("length")];
  if (base % pageSize !== 0n) throw fields.wrong("base", `be a multiple of its page size ${hex(pageSize)}`);
  if (length === 0n || length % pageSize !== 0n) {
    throw fields.wrong("length", `be whole pages of ${hex(pageSize)}, and not 0`);
  }
  if (base + length > 1n << 64n) throw fields.wrong("length", "be such that the list ends by 2^64");
  return { base, length, pageSize };
}

/** An item that stands in a list by itself. */
function sizeOf(item: unknown, path: string): bigint {
  return new Fields({ [path]: item }, COMPLAINT).hex(path);
}

function textOf(item: unknown, path: string): string {
  return new Fields({ [path]: item }, COMPLAINT).text(path);
}
