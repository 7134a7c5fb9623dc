/** The device of a group moves bytes, through whatever is mapped at that moment. */
import { hex } from "../../../src/hex.ts";
import type { Choices } from "../choices.ts";
import { moveThrough } from "../moving.ts";
import { addressOf, type Entry, type Seat } from "../twins.ts";
import type { Outcome, World } from "../world.ts";

const MOVED: Outcome = { done: true, error: undefined, left: [], word: "done" };

export function deviceStep(world: World, choices: Choices): Outcome | undefined {
  const seats = world.seats.filter(({ live }) => live.size > 0);
  if (seats.length === 0) return undefined;
  const seat = choices.pick(seats);
  const [iovaPage, entry] = choices.pick([...seat.live]);
  const offset = BigInt(choices.below(4096 - 8));
  const iova = addressOf(iovaPage) + offset;
  world.say(() => `the device of group ${seat.group} writes and reads at ${hex(iova)}`);
  if (!isStillMeant(world, seat, iovaPage, entry)) return undefined;
  if (!moveThrough(world, seat, iovaPage, offset, choices.below(256))) return undefined;
  world.say(() => "  done");
  return MOVED;
}

/**
 * Whether the memory at the address is that which was mapped. A program that frees memory of a table and keeps its own map of
 * it has the old pages there, and perhaps new ones at the address.
 */
function isStillMeant(world: World, seat: Seat, iovaPage: number, entry: Entry): boolean {
  if (entry.owner === 0) return world.isGround(entry.vaPage);
  const table = world.tables.find((one) => one.number === entry.owner);
  return table?.attachments.get(seat)?.window.has(iovaPage) === true;
}
