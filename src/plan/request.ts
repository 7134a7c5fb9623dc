/** The arguments of planWindow, checked one by one. */
import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { address, boolean, count, object, oneOf, pageShift } from "../validate.ts";
import { checkInfo } from "./check-info.ts";
import type { IovaMode, PlanRequest } from "./types.ts";

export const IOVA_MODES: readonly IovaMode[] = ["rebased", "va", "pa"];

export function checkRequest(request: PlanRequest): void {
  object("request", request);
  if (request.iovaMode !== undefined) oneOf("iovaMode", request.iovaMode, IOVA_MODES);
  if (request.growTo !== undefined) address("growTo", request.growTo);
  if (request.highestRam !== undefined) address("highestRam", request.highestRam);
  if (request.deviceAddressBits !== undefined) {
    const bits = count("deviceAddressBits", request.deviceAddressBits);
    if (bits < 1 || bits > 64) throw argumentRangeError("deviceAddressBits", "from 1 to 64", bits);
  }
  if (request.window !== undefined) oneOf("window", request.window, ["new", "default"]);
  object("memory", request.memory);
  if (request.memory.bytes !== undefined) address("memory.bytes", request.memory.bytes);
  if (!Array.isArray(request.memory.lists)) throw argumentTypeError("memory.lists", "an array", request.memory.lists);
  for (const [i, list] of request.memory.lists.entries()) checkList(`memory.lists[${i}]`, list);
  checkInfo(request.info);
}

function checkList(name: string, list: PlanRequest["memory"]["lists"][number]): void {
  object(name, list);
  const shift = BigInt(pageShift(`${name}.pageSize`, address(`${name}.pageSize`, list.pageSize)));
  const base = address(`${name}.base`, list.base);
  const length = address(`${name}.length`, list.length);
  const pageSize = 1n << shift;
  if (base % pageSize !== 0n) throw argumentRangeError(`${name}.base`, `a multiple of its page size ${pageSize}`, base);
  if (length === 0n || length % pageSize !== 0n) {
    throw argumentRangeError(`${name}.length`, `a multiple of its page size ${pageSize}, and not 0`, length);
  }
  if (base + length > 1n << 64n) throw argumentRangeError(`${name}.length`, "such that the list ends by 2^64", length);
  if (list.external !== undefined) boolean(`${name}.external`, list.external);
  if (list.heap !== undefined) boolean(`${name}.heap`, list.heap);
}
