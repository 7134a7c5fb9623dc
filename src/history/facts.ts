/** What is known where a call failed: its operands, and of its surroundings what the calls before it have made (history.ts). */
import type { Asked } from "../explain/cause.ts";
import type { KnownWindow, Range } from "../explain/facts.ts";
import { IommuType } from "../syscalls.ts";
import type { TraceCall } from "../trace/index.ts";
import type { Span, Spans } from "../trace/spans.ts";
import type { TracedContainer } from "./files.ts";
import type { History } from "./history.ts";
import { operandsOf } from "./operands.ts";

/** So many ranges stand beside a call in its facts: those that touch it. */
const RANGES_MAX = 64;

/** The operands of a call, and what is known of its surroundings. */
export function factsOf(history: History, call: TraceCall): Asked {
  const operands = operandsOf(call, history.memory);
  const container = history.containerOf(call);
  const known: Record<string, unknown> = {
    cpuPage: BigInt(history.header.pageSize),
    ...fileFacts(history, call),
    ...(container === undefined ? {} : containerFacts(history, container, operands)),
    ...memoryFacts(history, operands),
    ...(history.platform === undefined ? {} : { platform: history.platform }),
  };
  const { limit, privileged } = history.header.lockedMemory;
  if (limit !== null && !privileged && history.locked !== undefined) {
    known.lockable = limit > history.locked ? limit - history.locked : 0n;
  }
  return { ...known, ...operands };
}

/** What descriptors lead to. */
function fileFacts({ files }: History, { call, fields }: TraceCall): Record<string, unknown> {
  if (call === "open") {
    const group = [...files.values()].filter((file) => file.kind === "group" && file.path === fields.path);
    const found = group.at(-1);
    return found?.kind === "group" ? { groupOpen: found.isOpen, deviceOpen: found.devices > 0 } : {};
  }
  const kind = (fd: unknown) => {
    const file = files.get(fd);
    if (file === undefined) return typeof fd === "number" ? "closed" : undefined;
    return file.isOpen ? file.kind : "closed";
  };
  const file = files.get(fields.fd);
  const others = [fields.container, ...(Array.isArray(fields.eventfds) ? fields.eventfds : [])];
  const odd = others.map(kind).find((one) => one !== undefined && one !== "eventfd");
  const other = fields.container === undefined ? (odd ?? "eventfd") : kind(fields.container);
  return {
    ...("fd" in fields && file !== undefined ? { file: kind(fields.fd) } : {}),
    ...(fields.container === undefined && fields.eventfds === undefined ? {} : { other }),
    ...(file?.kind === "group" ? { groupHasContainer: file.container !== undefined } : {}),
    ...(file?.kind === "group" ? { deviceOpen: file.devices > 0 } : {}),
    ...(file?.kind === "group" && file.container === undefined ? { hasIommu: false } : {}),
    ...(file?.kind === "device" ? { interrupts: file.interrupts, vectorsOn: file.vectorsOn } : {}),
    ...(file?.kind === "device" && file.vectors.has(Number(fields.index))
      ? { vectors: file.vectors.get(Number(fields.index)) }
      : {}),
  };
}

/** What is in the container, and lies where the call asks. */
function containerFacts(history: History, container: TracedContainer, asked: Asked): Record<string, unknown> {
  const { vaddr, iova, size, start } = asked as Record<string, bigint | undefined>;
  const around = <T extends Range>(spans: Spans<T>, from: bigint | undefined) =>
    from === undefined || size === undefined ? [] : some(spans.within(from, from + (size === 0n ? 1n : size)));
  const others = [...history.containers].filter((one) => one !== container);
  const type = container.type;
  return {
    hasIommu: type !== undefined,
    hasGroup: container.groups.size > 0,
    groups: container.groups.size,
    claimed: container.claimed,
    registeredAny: container.registeredAny,
    ...windowFacts(container, start),
    registrations: around(container.registrations, vaddr),
    elsewhere: others.flatMap((one) => around(one.registrations, vaddr)),
    zombies: around(history.zombies, vaddr),
    maps: around(container.maps, iova),
    ...(container.ranges === undefined ? {} : { ranges: container.ranges }),
    ...(container.pageSizes === undefined ? {} : { pageSizes: container.pageSizes }),
    ...(container.levels === undefined ? {} : { maxLevels: container.levels }),
    ...(container.mapsAvailable === undefined ? {} : { mapsAvailable: container.mapsAvailable - container.count }),
    ...(type === IommuType.TYPE1 ? { type1: 1 } : type === IommuType.TYPE1v2 ? { type1: 2 } : {}),
  };
}

function memoryFacts({ memory }: History, { vaddr, size }: Asked): Record<string, unknown> {
  if (typeof vaddr !== "bigint" || typeof size !== "bigint") return {};
  const there = memory.at(vaddr, size);
  if (there === undefined) return {};
  return { readable: there.readable, writable: there.writable, memoryPage: there.page };
}

/** The windows that a call may find, the default one with them, which the call itself would make; to TCE_REMOVE by its start alone. */
function windowFacts(
  { windows, pending }: TracedContainer,
  removed: bigint | undefined,
): { windows?: readonly KnownWindow[] } {
  if (pending === "unknown") return {};
  if (pending === "gone" || (removed !== undefined && removed !== pending.start)) return { windows };
  return { windows: [pending, ...windows] };
}

function some<T>(spans: Iterable<Span<T>>): T[] {
  const found: T[] = [];
  for (const { value } of spans) {
    found.push(value);
    if (found.length === RANGES_MAX) break;
  }
  return found;
}
