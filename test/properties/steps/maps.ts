/** The program's own maps and unmaps: right ones, and every way to get them wrong. */
import type { MapRequest, UnmapRequest } from "../../../src/container/window.ts";
import { map, unmap } from "../acts/maps.ts";
import type { Choices } from "../choices.ts";
import { HUGE_PAGES, OWN_PAGES, SMALL_PAGES } from "../ground.ts";
import { addressOf, type Entry, type WindowTwin } from "../twins.ts";
import type { Outcome, World } from "../world.ts";
import { faultsOf } from "./faults.ts";

const MAP_CALLS = ["MAP_DMA", "MAP_DMA", "REGISTER_MEMORY"];
const UNMAP_CALLS = ["UNMAP_DMA", "UNREGISTER_MEMORY"];

export function anyWindow(world: World, choices: Choices): WindowTwin | undefined {
  const windows = world.seats.flatMap(({ windows }) => windows);
  return windows.length === 0 ? undefined : choices.pick(windows);
}

export function mapStep(world: World, choices: Choices): Outcome | undefined {
  const twin = anyWindow(world, choices);
  if (twin === undefined) return undefined;
  world.arm(faultsOf(choices, MAP_CALLS, UNMAP_CALLS));
  const count = choices.weighted([
    [6, 1],
    [2, 2],
    [1, 3],
    [1, 5],
  ] as const);
  const requests = Array.from({ length: count }, () => anyMap(world, choices, twin));
  return map(world, twin, requests);
}

function anyMap(world: World, choices: Choices, twin: WindowTwin): MapRequest {
  const memory = anyMemory(world, choices, twin);
  const { va, length } = memory;
  // Without an IOMMU one place alone is right.
  const place = world.isBare ? world.physicalOf(va) : placeIn(twin, choices);
  const iova = choices.weighted<bigint | undefined>([
    [16, undefined],
    [8, place],
    [world.isBare ? 1 : 3, borderOf(twin, choices, length)],
    [1, placeIn(twin, choices) + BigInt(choices.pick([0, 1, 512, 4095, 4096]))],
  ]);
  const [read, write] = choices.weighted([
    [24, [true, true]],
    [1, [true, false]],
    [1, [false, true]],
    [1, [false, false]],
  ] as const);
  return {
    ...memory,
    ...(iova === undefined ? {} : { iova: BigInt.asUintN(64, iova) }),
    ...(read && write ? {} : { read, write }),
  };
}

/** Memory: mostly whole pages that are there and large enough for the window. */
function anyMemory(world: World, choices: Choices, { unit }: WindowTwin): { va: bigint; length: bigint } {
  const { cpuPage, hugePage, ownPage, small, huge, own } = world;
  const page = addressOf(unit);
  const isLarge = page > cpuPage;
  // Memory in pages of the window, or in pages of the CPU that hold several of those.
  const grain = !isLarge && choices.once(4) ? page : isLarge ? page : cpuPage;
  const odd = choices.weighted([
    [40, "no"],
    [1, "va"],
    [1, "length"],
    [1, "other pages"],
    [2, "a table's"],
    [1, "far"],
  ] as const);
  const others = odd === "other pages";
  const from = world.isBare ? !others : isLarge !== (others && page <= 16n * cpuPage);
  const [base, bytes] = !from
    ? [small, BigInt(SMALL_PAGES + 2) * cpuPage]
    : world.isBare
      ? [own, BigInt(OWN_PAGES) * ownPage]
      : [huge, BigInt(HUGE_PAGES) * hugePage];
  // Not too far in: maps shall meet.
  const reach = Number(bytes / grain < 48n ? bytes / grain : 48n) || 1;
  const first = choices.below(reach);
  // Hugepages that follow one another do not do so in physical memory.
  const most = world.isBare && isLarge && choices.below(4) > 0 ? 1 : 6;
  const pages = 1 + choices.below(Math.min(most, reach - first));
  const whole = { va: base + BigInt(first) * grain, length: BigInt(pages) * grain };
  const { va, length } = whole;
  if (odd === "va") return { va: va + choices.pick([1n, 8n, 4096n, page >> 1n]), length };
  if (odd === "length") return { va, length: choices.pick([0n, 1n, length - 1n, length + 4096n, 1n << 40n]) };
  if (odd === "far") return { va: choices.pick([0n, (1n << 64n) - page, (1n << 63n) - page]), length };
  if (odd !== "a table's") return whole;
  const pieces = world.tables.flatMap((table) => table.pieces.map(({ piece }) => piece));
  if (pieces.length === 0) return whole;
  const piece = choices.pick(pieces);
  return { va: addressOf(piece.vaPage), length: addressOf(piece.pages) };
}

function placeIn({ window, unit }: WindowTwin, choices: Choices): bigint {
  return window.start + BigInt(choices.below(64)) * addressOf(unit);
}

/** At the window's end, before its start, and at the end of all addresses. */
function borderOf({ window, unit }: WindowTwin, choices: Choices, length: bigint): bigint {
  const end = window.start + window.size;
  const page = addressOf(unit);
  return choices.pick([
    end - length,
    end - length + page,
    end - page,
    end,
    window.start - page,
    (1n << 64n) - page,
    (1n << 64n) - length,
  ]);
}

export function unmapStep(world: World, choices: Choices): Outcome | undefined {
  const twin = anyWindow(world, choices);
  if (twin === undefined) return undefined;
  world.arm(faultsOf(choices, UNMAP_CALLS));
  const count = choices.weighted([
    [6, 1],
    [2, 2],
    [1, 3],
    [1, 5],
  ] as const);
  const requests = Array.from({ length: count }, () => anyUnmap(choices, twin)).filter((one) => one !== undefined);
  if (requests.length === 0) return undefined;
  return unmap(world, twin, requests);
}

function anyUnmap(choices: Choices, twin: WindowTwin): UnmapRequest | undefined {
  const { seat, unit, window } = twin;
  const page = addressOf(unit);
  const here = [...seat.live].filter(([one]) => twin.has(one));
  const own = here.filter(([, { owner }]) => owner === 0);
  if (own.length === 0 && choices.below(4) > 0) return undefined;
  const live = (own.length === 0 || choices.once(20) ? here : own).map(([one]) => one);
  if (live.length === 0 || choices.once(16)) {
    const iova = choices.weighted([
      [4, placeIn(twin, choices)],
      [1, borderOf(twin, choices, 2n * page)],
    ] as const);
    return {
      iova: BigInt.asUintN(64, iova),
      length: choices.pick([page, 2n * page, 0n, 1n, window.size, (1n << 64n) - page]),
    };
  }
  let first = choices.pick(live);
  // Back and on, as far as it is one run; and seldom a page more.
  const follows = (from: number, to: number) => {
    const [a, b] = [seat.live.get(from), seat.live.get(to)];
    return a !== undefined && b !== undefined && b.vaPage - a.vaPage === to - from && twin.has(to);
  };
  for (let back = choices.below(4); back > 0 && follows(first - unit, first); back--) first -= unit;
  let pages = 1;
  for (let more = choices.below(6); more > 0 && follows(first, first + pages * unit); more--) pages++;
  if (choices.once(12)) pages += 1 + choices.below(3);
  const entry = seat.live.get(first) as Entry;
  const va = choices.weighted<number | undefined>([
    [6, undefined],
    [3, entry.vaPage],
    [1, entry.vaPage + unit],
  ]);
  const odd = choices.once(24) ? choices.pick([1n, 2048n]) : 0n;
  return {
    iova: addressOf(first) + odd,
    length: BigInt(pages) * page,
    ...(va === undefined ? {} : { va: addressOf(va) }),
  };
}
