import { bytes, hex } from "../../hex.ts";
import type { ModelSnapshot } from "./snapshot.ts";

/** One sentence for each thing that is still held. A program that closed everything leaves none. */
export function leaksOf(snapshot: ModelSnapshot): string[] {
  const { descriptors, registers, listening, containers, zombies, charges } = snapshot;
  const held: string[] = [];
  for (const { fd, path } of descriptors) held.push(`descriptor ${fd} is open: ${path}`);
  for (const { device, bar, offset, length } of registers) {
    held.push(
      `${bytes(BigInt(length))} of registers are mapped: ${device}, BAR ${bar} at ${hex(BigInt(offset))}; they keep it open`,
    );
  }
  if (listening > 0) held.push(`${listening} listen for eventfds, and may keep the event loop alive`);
  for (const { id, windows, registrations, maps } of containers) {
    for (const { start, size, liveTces, tableBytes } of windows) {
      const live = liveTces === 0 ? "" : `, ${liveTces} live TCEs`;
      held.push(
        `container ${id} has a window at ${hex(start)} of ${bytes(size)}${live}; its table locks ${bytes(tableBytes)}`,
      );
    }
    for (const { iova, size } of maps) held.push(`container ${id} has ${bytes(size)} mapped at IOVA ${hex(iova)}`);
    for (const { va, size, mapped } of registrations) {
      held.push(`container ${id} has ${bytes(size)} registered at ${hex(va)}, mapped by ${mapped} TCEs`);
    }
  }
  for (const { va, size } of zombies) {
    held.push(
      `${bytes(size)} at ${hex(va)} stays pinned until the machine is started again: it was unregistered while mapped`,
    );
  }
  if (charges.leakedBytes > 0n) {
    held.push(`${bytes(charges.leakedBytes)} of locked memory stay charged for windows that could not be made`);
  }
  return held;
}
