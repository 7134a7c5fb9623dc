/** What is done with containers and windows; each says what there is afterwards, in the twins. */
import { openContainer } from "../../../src/container/open.ts";
import type { Window } from "../../../src/container/window.ts";
import { hex } from "../../../src/hex.ts";
import type { WindowPlan } from "../../../src/plan/index.ts";
import { holds, nameOf, noteIdle } from "../noting.ts";
import { expectPiece, ownedBy, settlePiece } from "../placing.ts";
import { type AttachmentTwin, addressOf, type Seat, type TableTwin, WindowTwin } from "../twins.ts";
import type { Outcome, World } from "../world.ts";

/** `beside`: more groups for the same container. */
export function open(world: World, seat: Seat, ...beside: readonly number[]): Outcome {
  world.begin(() => `open a container for group ${seat.group}`);
  let opened: Seat["container"];
  const outcome = world.attempt(() => {
    opened = openContainer({ kernel: world.front, groups: [seat.group, ...beside], noIommu: world.isBare });
  });
  if (opened === undefined) return outcome;
  if (seat.container !== undefined) throw new Error("a group was opened twice");
  seat.empty();
  seat.container = opened;
  return outcome;
}

export function createWindow(world: World, seat: Seat, plan: WindowPlan): Outcome {
  const { size, pageShift, levels, iovaMode } = plan;
  world.begin(
    () =>
      `group ${seat.group}: create a window of ${hex(size)}, pages of 2^${pageShift}, ${levels} levels, ${iovaMode}`,
  );
  let window: Window | undefined;
  const outcome = world.attempt(() => {
    window = seat.container?.createWindow(plan);
  });
  const hadDefault = seat.defaultWindow !== "gone";
  if (window !== undefined) {
    seat.windows.push(new WindowTwin(seat, window));
    seat.defaultWindow = "gone";
    return outcome;
  }
  for (const one of outcome.left) {
    if (one.what === "window") seat.strays.push(one.start);
    if (one.what === "no default window") seat.defaultWindow = "gone";
  }
  // It is put back as a window like any other. Where it was never touched the kernel does not show it.
  if (hadDefault && seat.defaultWindow !== "gone") {
    const shown = world.model.snapshot().containers.find(({ groups }) => groups.includes(seat.group))?.windows;
    if (seat.defaultWindow === "lazy" && shown?.some(({ start }) => start === 0n)) seat.defaultWindow = "made";
  }
  return outcome;
}

export function attach(world: World, seat: Seat, window: WindowTwin, table: TableTwin): Outcome {
  world.begin(() => `attach table ${table.number} to ${nameOf(window)}`);
  const hole = window.window.largestHole;
  const outcome = world.attempt(() => seat.container?.attach(table.table, window.window));
  noteIdle(seat, outcome);
  const attachment: AttachmentTwin = { window, regions: new Map() };
  if (outcome.done) {
    if (table.attachments.has(seat)) throw new Error("attached twice");
    table.attachments.set(seat, attachment);
    for (const { list, piece } of table.pieces) expectPiece(world, table, seat, attachment, list, piece);
    return outcome;
  }
  if (outcome.left.length === 0 && window.window.largestHole !== hole) throw new Error("IOVAs stay set aside");
  if (outcome.left.length > 0) window.keepsAside = true;
  // What is left is mapped for a table that is not attached: only the window's end takes it away.
  for (const one of outcome.left) followLeft(world, table, seat, attachment, one);
  return outcome;
}

/** Follows the kernel where an error says that memory of a table is, or is not, mapped in one window. */
function followLeft(
  world: World,
  table: TableTwin,
  seat: Seat,
  at: AttachmentTwin,
  left: Outcome["left"][number],
): void {
  const attachments = new Map(table.attachments);
  table.attachments.clear();
  table.attachments.set(seat, at);
  let truths = 0;
  let last: unknown;
  for (const { list, piece } of table.pieces) {
    try {
      settlePiece(world, table, list, piece, left);
      truths++;
    } catch (error) {
      last = error;
    }
  }
  table.attachments.clear();
  for (const [one, attachment] of attachments) table.attachments.set(one, attachment);
  if (truths === 0 && ["mapped", "memory mapped", "not mapped again", "memory not mapped again"].includes(left.what))
    throw last;
}

export function detach(world: World, seat: Seat, table: TableTwin): Outcome {
  world.begin(() => `detach table ${table.number} from group ${seat.group}`);
  const attachment = table.attachments.get(seat) as AttachmentTwin;
  const owns = ownedBy(table);
  const outcome = world.attempt(
    () => seat.container?.detach(table.table),
    (of, page, entry) => of === seat && owns(of, page, entry),
  );
  noteIdle(seat, outcome);
  if (outcome.done || isDetached(outcome, table, attachment.window)) letGo(table, seat);
  else for (const one of outcome.left) followLeft(world, table, seat, attachment, one);
  return outcome;
}

/** The error is of something that came after, or beside: the window says that nothing is mapped, and will be held to it. */
function isDetached({ error }: Outcome, { pieces }: TableTwin, { window }: WindowTwin): boolean {
  if (error?.code === "ERR_STILL_REGISTERED") return true;
  if (error?.code !== "ERR_UNMAP_SIZE" && error?.code !== "ERR_INTERFACE") return false;
  return pieces.every(({ piece }) => window.translate(addressOf(piece.vaPage)) === undefined);
}

/** A table's memory is not mapped any more. */
function letGo(table: TableTwin, seat: Seat): void {
  const owns = ownedBy(table);
  for (const [page, entry] of seat.live) if (owns(seat, page, entry)) seat.delete(page);
  table.attachments.delete(seat);
}

export function closeWindow(world: World, twin: WindowTwin): Outcome {
  const { seat } = twin;
  world.begin(() => `close ${nameOf(twin)}`);
  const outcome = world.attempt(
    () => twin.window.close(),
    (of, page) => of === seat && twin.has(page),
  );
  noteIdle(seat, outcome);
  const attached = world.tables.filter((table) => table.attachments.get(seat)?.window === twin);
  if (twin.window.closed) {
    for (const table of attached) table.attachments.delete(seat);
    for (const page of [...seat.live.keys()]) if (twin.has(page)) seat.delete(page);
    seat.windows = seat.windows.filter((one) => one !== twin);
    return outcome;
  }
  const { error, left } = outcome;
  const removing = error?.syscall === "VFIO_IOMMU_SPAPR_TCE_REMOVE";
  if (error?.code === "ERR_WINDOW_IN_USE" || removing) {
    if (removing && !left.some((one) => one.what === "window" && one.start === twin.window.start))
      throw new Error("the window is left, and the error does not name it");
    for (const table of attached) table.attachments.delete(seat);
    for (const page of [...seat.live.keys()])
      if (twin.has(page) && !left.some((one) => one.what === "mapped" && holds(one, page))) seat.delete(page);
    return outcome;
  }
  // An attached memory could not be unmapped: everything is as it was, but for what is named.
  for (const one of left) {
    let last: unknown;
    const told = attached.some((table) => {
      const attachment = table.attachments.get(seat) as AttachmentTwin;
      try {
        followLeft(world, table, seat, attachment, one);
        return true;
      } catch (problem) {
        last = problem;
        return false;
      }
    });
    if (!told && last !== undefined) throw last;
  }
  return outcome;
}

export function closeContainer(world: World, seat: Seat): Outcome {
  const { container } = seat;
  world.begin(() => `close the container of group ${seat.group}`);
  const outcome = world.attempt(
    () => container?.close(),
    (of) => of === seat,
  );
  if (!container?.closed) throw new Error("the container is not closed");
  for (const table of world.tables) table.attachments.delete(seat);
  seat.empty();
  return outcome;
}
