/** Lists, segments and the program's own memory come and go, while tables are attached to windows or not. */
import type { ListOptions } from "../../../src/memory/options.ts";
import { add, addList, allocate, closeTable, free, remove, removeList } from "../acts/memory.ts";
import type { Choices } from "../choices.ts";
import { OWN_PAGES } from "../ground.ts";
import { ownedBy } from "../placing.ts";
import type { Piece, TableTwin } from "../twins.ts";
import type { Outcome, World } from "../world.ts";
import { faultsOf } from "./faults.ts";

const COMING = ["MAP_DMA", "REGISTER_MEMORY", "mmap"];
const GOING = ["UNMAP_DMA", "UNREGISTER_MEMORY", "mmap"];
const LISTS = ["mmap", "munmap"];
const MOST_LISTS = 5;

export function addListStep(world: World, choices: Choices): Outcome | undefined {
  const table = choices.pick(world.tables);
  if (table.lists.length >= MOST_LISTS) return undefined;
  world.arm(faultsOf(choices, LISTS));
  return addList(world, table, anyList(world, choices));
}

function anyList({ cpuPage, hugePage, own, ownPage, isBare }: World, choices: Choices): ListOptions {
  const isHuge = isBare ? !choices.once(16) : choices.once(4);
  const pageSize = isHuge ? hugePage : cpuPage;
  const maxBytes = BigInt(isHuge && !isBare ? 2 + choices.below(3) : 6 + choices.below(24)) * pageSize;
  const flags = choices.weighted([
    [6, {}],
    [1, { external: true }],
    [1, { external: true, heap: true }],
  ] as const);
  const place = choices.weighted([
    [6, {}],
    [2, { near: 0x8000_0000n }],
    [isBare ? 6 : 2, { base: own + BigInt(choices.below(OWN_PAGES)) * ownPage }],
  ] as const);
  const odd = choices.once(16) ? { maxBytes: choices.pick([0n, 1n, maxBytes + 1n, 1n << 62n]) } : {};
  return { pageSize, maxBytes, ...flags, ...place, ...odd };
}

export function removeListStep(world: World, choices: Choices): Outcome | undefined {
  const table = choices.pick(world.tables);
  if (table.lists.length === 0) return undefined;
  world.arm(faultsOf(choices, LISTS));
  return removeList(world, table, choices.pick(table.lists));
}

export function allocateStep(world: World, choices: Choices): Outcome | undefined {
  const table = choices.pick(world.tables);
  if (table.lists.length === 0) return undefined;
  world.arm(faultsOf(choices, COMING, GOING));
  const kept = table.lists.filter((one) => one.kept);
  const own = choices.pick(kept.length === 0 || choices.once(20) ? table.lists : kept);
  const pages = choices.weighted([
    [20, 1 + choices.below(world.isBare ? 2 : 4)],
    [1, 40],
    [1, 0],
  ] as const);
  return allocate(world, table, own, pages);
}

export function addStep(world: World, choices: Choices): Outcome | undefined {
  const tables = world.tables.filter(({ lists }) => lists.some(({ kept }) => !kept));
  if (tables.length === 0) return undefined;
  const table = choices.pick(tables);
  world.arm(faultsOf(choices, COMING, GOING));
  const own = choices.pick(table.lists.filter(({ kept }) => !kept));
  const { base, length, pageSize } = own.list;
  const first = choices.below(Number(length / pageSize));
  const pages = 1 + (world.isBare && choices.below(4) > 0 ? 0 : choices.below(3));
  const va = base + BigInt(first) * pageSize + (choices.once(12) ? 8n : 0n);
  const physical = world.isBare ? (world.physicalOf(va) ?? 0n) : 0n;
  const iova = choices.weighted<bigint | undefined>([
    // Without an IOMMU one is right; the next page is as wrong as any.
    [world.isBare ? 6 : 0, physical],
    [world.isBare ? 5 : 0, physical + pageSize],
    [2, undefined],
    [2, BigInt(choices.below(64)) * pageSize],
    [1, 1n << 50n],
  ]);
  return add(world, table, own, { va, length: BigInt(pages) * pageSize, ...(iova === undefined ? {} : { iova }) });
}

export function freeStep(world: World, choices: Choices): Outcome | undefined {
  const table = choices.pick(world.tables);
  const all = table.pieces.filter(({ piece }) => piece.segment !== undefined && !isMappedBeside(world, table, piece));
  if (all.length === 0) return undefined;
  world.arm(faultsOf(choices, GOING, COMING));
  const { list, piece } = choices.pick(all);
  return free(world, table, list, piece);
}

export function removeStep(world: World, choices: Choices): Outcome | undefined {
  const all = world.tables.flatMap((table) => table.pieces.map((one) => ({ table, ...one })));
  const added = all.filter(({ piece }) => piece.segment === undefined);
  if (added.length === 0) return undefined;
  world.arm(faultsOf(choices, GOING, COMING));
  const { table, list, piece } = choices.pick(added);
  return remove(world, table, list, piece);
}

/**
 * Whether memory of a table is mapped by the program itself too, or left mapped by an attaching that failed. No program that is
 * right gives it up then: the device goes on with the old pages, and what comes to the address later passes for them.
 */
function isMappedBeside({ seats }: World, table: TableTwin, piece: Piece): boolean {
  const owns = ownedBy(table, piece);
  return seats.some((seat) =>
    [...seat.live].some(([page, entry]) => {
      const isInside = entry.vaPage >= piece.vaPage && entry.vaPage < piece.vaPage + piece.pages;
      return isInside && !owns(seat, page, entry);
    }),
  );
}

/** A table goes, and another one comes. */
export function closeTableStep(world: World, choices: Choices): Outcome | undefined {
  const table = choices.pick(world.tables);
  if (table.pieces.some(({ piece }) => isMappedBeside(world, table, piece))) return undefined;
  world.arm(faultsOf(choices, LISTS));
  const outcome = closeTable(world, table);
  if (!world.tables.includes(table)) world.addTable();
  return outcome;
}
