/** What is done with tables, lists and memory; each says what there is afterwards, in the twins. */
import { hex } from "../../../src/hex.ts";
import type { ListOptions } from "../../../src/memory/options.ts";
import type { Segment } from "../../../src/memory/segment.ts";
import type { Memseg, MemsegList } from "../../../src/memory/types.ts";
import { moveThrough } from "../moving.ts";
import { noteIdle } from "../noting.ts";
import { expectPiece, ownedBy, settlePiece } from "../placing.ts";
import { addressOf, type ListTwin, type Piece, pageOf, type Seat, type TableTwin } from "../twins.ts";
import type { Outcome, World } from "../world.ts";

export function addList(world: World, table: TableTwin, options: ListOptions): Outcome {
  world.begin(() => `table ${table.number}: add a list ${listWords(options)}`);
  let list: MemsegList | undefined;
  const outcome = world.attempt(() => {
    list = table.table.addList(options);
  });
  world.noteSpace(outcome.left);
  noteAside(table, outcome);
  if (list !== undefined) table.lists.push({ list, kept: options.base === undefined, pieces: [] });
  return outcome;
}

export function removeList(world: World, table: TableTwin, own: ListTwin): Outcome {
  world.begin(() => `table ${table.number}: remove the list at ${hex(own.list.base)}`);
  const outcome = world.attempt(() => table.table.removeList(own.list));
  world.noteSpace(outcome.left);
  noteAside(table, outcome);
  const gone = !table.table.lists.includes(own.list);
  if (gone !== (own.pieces.length === 0))
    throw new Error(`the list with ${own.pieces.length} memsegs ${gone ? "went" : "stayed"}`);
  if (!gone) return outcome;
  table.lists = table.lists.filter((one) => one !== own);
  for (const { regions } of table.attachments.values()) regions.delete(own);
  return outcome;
}

export function allocate(world: World, table: TableTwin, own: ListTwin, pages: number): Outcome {
  world.begin(() => `table ${table.number}: allocate ${pages} pages from the list at ${hex(own.list.base)}`);
  let segment: Segment | undefined;
  const outcome = world.attempt(() => {
    segment = table.table.allocate(own.list, pages);
  });
  world.noteSpace(outcome.left);
  came(table, own, segment && { vaPage: pageOf(segment.va), pages: pageOf(segment.length), segment }, outcome, world);
  const { code = "" } = outcome.error ?? {};
  if (code === "ERR_PHYSICAL_MISMATCH" || code === "ERR_NOT_CONTIGUOUS")
    throw new Error(`the table does not know where its own memory lies: ${code}`);
  // It is this memory that the device reaches, and not what was at the address before.
  if (segment !== undefined) for (const seat of table.attachments.keys()) moveInto(world, seat, pageOf(segment.va));
  return outcome;
}

export function add(world: World, table: TableTwin, own: ListTwin, memseg: Memseg): Outcome {
  const { va, length, iova } = memseg;
  const where = iova === undefined ? "" : ` with IOVA ${hex(iova)}`;
  world.begin(() => `table ${table.number}: add ${hex(va)}+${hex(length)}${where}`);
  const outcome = world.attempt(() => table.table.add(own.list, memseg));
  const piece = { vaPage: pageOf(va), pages: pageOf(length), ...(iova === undefined ? {} : { iova }) };
  came(table, own, outcome.done ? piece : undefined, outcome, world, piece);
  return outcome;
}

export function free(world: World, table: TableTwin, list: ListTwin, piece: Piece): Outcome {
  const segment = piece.segment as Segment;
  world.begin(() => `table ${table.number}: free ${hex(segment.va)}+${hex(segment.length)}`);
  const outcome = world.attempt(() => table.table.free(segment), ownedBy(table, piece));
  world.noteSpace(outcome.left);
  went(world, table, list, piece, outcome, segment.freed);
  return outcome;
}

export function remove(world: World, table: TableTwin, list: ListTwin, piece: Piece): Outcome {
  const va = addressOf(piece.vaPage);
  world.begin(() => `table ${table.number}: remove the memseg at ${hex(va)}`);
  const outcome = world.attempt(() => table.table.remove(va), ownedBy(table, piece));
  went(world, table, list, piece, outcome, table.table.find(va) === undefined);
  return outcome;
}

export function closeTable(world: World, table: TableTwin): Outcome {
  world.begin(() => `table ${table.number}: close`);
  const outcome = world.attempt(() => table.table.close());
  if (outcome.word === "ERR_ATTACHED") return outcome;
  world.noteSpace(outcome.left);
  world.tables = world.tables.filter((one) => one !== table);
  return outcome;
}

function moveInto(world: World, seat: Seat, vaPage: number): void {
  for (const [iovaPage, entry] of seat.live)
    if (entry.vaPage === vaPage) moveThrough(world, seat, iovaPage, 8n, iovaPage);
}

function noteAside(table: TableTwin, { left }: Outcome): void {
  if (left.some(({ what }) => what === "set aside"))
    for (const { window } of table.attachments.values()) window.keepsAside = true;
}

/** Memory has come, or has not: it is mapped wherever the table is attached, or nowhere. */
function came(
  table: TableTwin,
  own: ListTwin,
  piece: Piece | undefined,
  outcome: Outcome,
  world: World,
  failed?: Piece,
): void {
  for (const seat of world.seats) noteIdle(seat, outcome);
  if (piece !== undefined) {
    own.pieces.push(piece);
    for (const [seat, attachment] of table.attachments) expectPiece(world, table, seat, attachment, own, piece);
    return;
  }
  for (const one of outcome.left) {
    if (one.what !== "memory mapped" && one.what !== "mapped") continue;
    const left = failed ?? { vaPage: "va" in one ? pageOf(one.va) : 0, pages: pageOf(one.length ?? 0n) };
    settlePiece(world, table, own, left, one);
  }
}

/** Memory has gone, or has not: it is mapped nowhere, or everywhere as it was. */
function went(world: World, table: TableTwin, list: ListTwin, piece: Piece, outcome: Outcome, gone: boolean): void {
  for (const seat of world.seats) noteIdle(seat, outcome);
  if (outcome.done && !gone) throw new Error("it is still there");
  if (gone) {
    list.pieces = list.pieces.filter((one) => one !== piece);
    for (const seat of table.attachments.keys()) {
      const owns = ownedBy(table, piece);
      for (const [page, entry] of seat.live) if (owns(seat, page, entry)) seat.delete(page);
    }
    return;
  }
  for (const one of outcome.left) settlePiece(world, table, list, piece, one);
}

function listWords({ pageSize, maxBytes, base, near, external, heap }: ListOptions): string {
  const where = base !== undefined ? ` at ${hex(base)}` : near !== undefined ? ` near ${hex(near)}` : "";
  return `of ${hex(maxBytes)} in pages of ${hex(pageSize)}${where}${external ? ", external" : ""}${heap ? ", a heap" : ""}`;
}
