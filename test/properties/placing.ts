/** Where memory of a table is mapped: worked out from the plan's IOVA mode, and from the first page that was seen. */
import { hex } from "../../src/hex.ts";
import type { Left } from "./residue.ts";
import {
  type AttachmentTwin,
  addressOf,
  type ListTwin,
  type Piece,
  pageOf,
  type Seat,
  type TableTwin,
} from "./twins.ts";
import type { Owns, World } from "./world.ts";

const READ_WRITE = 3;

/** Behind every window: no memory is there. */
const NOWHERE = 1n << 63n;

/** A list that is mapped with its table. */
export function isServed({ list }: ListTwin): boolean {
  return !list.external || list.heap;
}

/** Where each page of memory is mapped, one by one: they may lie apart. `undefined` where it is not mapped at all. */
type Place = ((vaPage: number) => number) | undefined;

/** The place of a piece of memory in a window. */
function placeOf(world: World, at: AttachmentTwin, own: ListTwin, piece: Piece): Place {
  if (!isServed(own)) return undefined;
  if (world.isBare) return (vaPage) => pageOf(world.physicalOf(addressOf(vaPage)) ?? NOWHERE);
  const first = firstOf(at, own, piece);
  return first === undefined ? undefined : (vaPage) => first + vaPage - piece.vaPage;
}

/** The first IOVA page of a piece, behind which the others follow. */
function firstOf({ window, regions }: AttachmentTwin, own: ListTwin, piece: Piece): number | undefined {
  const { iovaMode } = window.window;
  if (iovaMode === "pa") return piece.iova === undefined ? undefined : pageOf(piece.iova);
  const offset = piece.vaPage - pageOf(own.list.base);
  if (iovaMode === "va") return piece.vaPage;
  const region = regions.get(own);
  if (region !== undefined) return region + offset;
  const iova = window.window.translate(addressOf(piece.vaPage));
  if (iova === undefined) throw new Error(`the memory at ${hex(addressOf(piece.vaPage))} is not mapped`);
  regions.set(own, pageOf(iova) - offset);
  return pageOf(iova);
}

/** Puts a piece into the twin: all of it mapped, for the device to read and write. */
export function expectPiece(
  world: World,
  table: TableTwin,
  seat: Seat,
  at: AttachmentTwin,
  own: ListTwin,
  piece: Piece,
): void {
  const place = placeOf(world, at, own, piece);
  if (place === undefined) return;
  const { window } = at;
  for (let offset = 0; offset < piece.pages; offset += window.unit) {
    const vaPage = piece.vaPage + offset;
    const page = place(vaPage);
    if (page < window.startPage || page + window.unit > window.endPage)
      throw new Error("memory is mapped outside its window");
    const there = seat.live.get(page);
    if (there !== undefined && there.owner !== table.number)
      throw new Error(`memory is mapped over what is live at ${hex(addressOf(page))}`);
    seat.set(page, { vaPage, access: READ_WRITE, owner: table.number });
  }
}

/** The live pages that were mapped for a piece of a table. */
export function ownedBy(table: TableTwin, piece?: Piece): Owns {
  return (seat, page, { owner, vaPage }) => {
    if (owner !== table.number) return false;
    if (piece !== undefined && (vaPage < piece.vaPage || vaPage >= piece.vaPage + piece.pages)) return false;
    return table.attachments.get(seat)?.window.has(page) === true;
  };
}

/**
 * An error says that memory is still mapped, or not mapped again. Which of its pages, in which of the table's windows, only
 * the kernel can tell; the twin follows it, as long as the sentence is true of one window at least.
 */
export function settlePiece(world: World, table: TableTwin, own: ListTwin, piece: Piece, left: Left): void {
  const there = left.what === "memory mapped" || left.what === "mapped";
  if (!there && left.what !== "memory not mapped again" && left.what !== "not mapped again") return;
  let truths = 0;
  for (const [seat, attachment] of table.attachments) {
    const { window } = attachment;
    for (let offset = 0; offset < piece.pages; offset += window.unit) {
      const vaPage = piece.vaPage + offset;
      const page = pageIn(world, attachment, own, piece, vaPage);
      if (page === undefined) continue;
      const reached = world.mappedAt(seat, page);
      if ("iova" in left && (addressOf(page) < left.iova || addressOf(page) >= left.iova + left.length)) continue;
      if ((reached === addressOf(vaPage)) !== there) continue;
      truths++;
      if (there) seat.set(page, { vaPage, access: READ_WRITE, owner: table.number });
      else seat.delete(page);
    }
  }
  if (truths === 0) throw new Error(`not true: ${left.what} of the memory at ${hex(addressOf(piece.vaPage))}`);
}

function pageIn(world: World, at: AttachmentTwin, own: ListTwin, piece: Piece, vaPage: number): number | undefined {
  const { window, regions } = at;
  if (window.window.iovaMode === "rebased" && !regions.has(own)) {
    // Never seen before: where the library says that it is, which the kernel is asked to confirm.
    const iova = window.window.translate(addressOf(vaPage));
    return iova === undefined ? undefined : pageOf(iova);
  }
  return placeOf(world, at, own, piece)?.(vaPage);
}
