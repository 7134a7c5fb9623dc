/** The arguments of planWindow, checked one by one. */
import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { CONTAINER, type IommuInfo } from "../iommu.ts";
import { keysOf, known, notMisspelt, taken } from "../known.ts";
import { address, boolean, count, object, oneOf, pageShift, size } from "../validate.ts";
import { checkInfo } from "./check-info.ts";
import type {
  ExactList,
  ExactRequest,
  Held,
  IovaMode,
  ListFacts,
  MappedFacts,
  MemoryFacts,
  PlanRequest,
} from "./types.ts";

export const IOVA_MODES: readonly IovaMode[] = ["rebased", "va", "pa"];

const KEYS = keysOf<PlanRequest>({
  memory: true,
  info: true,
  growTo: true,
  iovaMode: true,
  highestRam: true,
  deviceAddressBits: true,
  window: true,
});

const MEMORY_KEYS = keysOf<MemoryFacts>({ lists: true, bytes: true, mapped: true });
const LIST_KEYS = keysOf<ListFacts>({
  base: true,
  length: true,
  pageSize: true,
  external: true,
  heap: true,
  node: true,
});
/** What a MemsegTable's own lists say beside these. */
const MORE_OF_A_LIST = ["index", "pageShift", "kept"];

/**
 * Gives the request with every size as a bigint. What else the facts say of memory and IOMMU is not looked at, but for a key of
 * memory that is likely a misspelt one.
 */
export function checkRequest(asked: PlanRequest): ExactRequest {
  object("request", asked);
  known("request", asked, KEYS);
  const request = taken(asked, KEYS);
  if (request.iovaMode !== undefined) oneOf("iovaMode", request.iovaMode, IOVA_MODES);
  if (request.highestRam !== undefined) address("highestRam", request.highestRam);
  if (request.deviceAddressBits !== undefined) {
    const bits = count("deviceAddressBits", request.deviceAddressBits);
    if (bits < 1 || bits > 64) throw argumentRangeError("deviceAddressBits", "from 1 to 64", bits);
  }
  if (request.window !== undefined) oneOf("window", request.window, ["new", "default"]);
  const { growTo, ...rest } = request;
  const grown = growTo === undefined ? {} : { growTo: size("growTo", growTo) };
  checkInfo(request.info);
  const memory = exactMemory(request.memory, request.info);
  return { ...rest, ...grown, memory };
}

function exactMemory(memory: MemoryFacts, info: IommuInfo): ExactRequest["memory"] {
  notMisspelt("memory", object("memory", memory), MEMORY_KEYS);
  const { lists, bytes = 0n, mapped = [] } = memory;
  if (!Array.isArray(lists)) throw argumentTypeError("memory.lists", "an array", lists);
  // Array.from and not map, which passes over the holes of an array.
  const exact = Array.from(lists as readonly ListFacts[], (list, i) => exactList(`memory.lists[${i}]`, list));
  if (!Array.isArray(mapped)) throw argumentTypeError("memory.mapped", "an array", mapped);
  const held = Array.from(mapped as readonly MappedFacts[], (one, i) => exactMapped(`memory.mapped[${i}]`, one));
  return { lists: exact, bytes: size("memory.bytes", bytes), held: heldFor(info, held) };
}

function exactMapped(name: string, mapped: MappedFacts): Held & { readonly container: number } {
  const { container, bytes, pages, maps } = object(name, mapped) as MappedFacts;
  return {
    container: count(`${name}.container`, container),
    bytes: size(`${name}.bytes`, bytes),
    pages: size(`${name}.pages`, pages),
    maps: size(`${name}.maps`, maps),
  };
}

const NOTHING_HELD: Held = { bytes: 0n, pages: 0n, maps: 0n };

/**
 * sPAPR counts a registration once for the process, however many containers have it (arch/powerpc/mm/book3s64/iommu_api.c:
 * mm_iommu_do_alloc); type1 counts each map of each container (drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote).
 */
function heldFor(info: IommuInfo, mapped: readonly (Held & { readonly container: number })[]): Held {
  if (info.kind === "noiommu") return NOTHING_HELD;
  const counted = mapped.filter(({ container }) => info.kind === "spapr" || container === info[CONTAINER]);
  return counted.reduce<Held>((most, one) => (one.bytes > most.bytes ? one : most), NOTHING_HELD);
}

function exactList(name: string, list: ListFacts): ExactList {
  notMisspelt(name, object(name, list), LIST_KEYS, MORE_OF_A_LIST);
  const pageSize = 1n << BigInt(pageShift(`${name}.pageSize`, list.pageSize));
  const base = address(`${name}.base`, list.base);
  const length = size(`${name}.length`, list.length);
  if (base % pageSize !== 0n) throw argumentRangeError(`${name}.base`, `a multiple of its page size ${pageSize}`, base);
  if (length === 0n || length % pageSize !== 0n) {
    throw argumentRangeError(`${name}.length`, `a multiple of its page size ${pageSize}, and not 0`, length);
  }
  if (base + length > 1n << 64n) throw argumentRangeError(`${name}.length`, "such that the list ends by 2^64", length);
  const external = list.external !== undefined && boolean(`${name}.external`, list.external);
  const heap = list.heap !== undefined && boolean(`${name}.heap`, list.heap);
  if (list.node !== undefined) count(`${name}.node`, list.node);
  return { ...list, base, length, pageSize, external, heap };
}
