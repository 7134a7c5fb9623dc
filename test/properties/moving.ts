/** Bytes on their way: what a device writes is in the program's memory, and what the program writes a device reads. */
import { addressOf, type Entry, type Seat } from "./twins.ts";
import type { World } from "./world.ts";

const READ = 1;
const WRITE = 2;

/** Moves eight bytes both ways at an offset into a live page. False where the program cannot look at the memory. */
export function moveThrough(world: World, seat: Seat, iovaPage: number, offset: bigint, seed: number): boolean {
  const entry = seat.live.get(iovaPage);
  const memory = entry && memoryOf(world, addressOf(entry.vaPage) + offset);
  if (entry === undefined || memory === undefined) return false;
  try {
    moveBytes(world, seat, addressOf(iovaPage) + offset, entry, memory, seed);
    return true;
  } finally {
    world.model.unview(memory);
  }
}

function moveBytes(world: World, seat: Seat, iova: bigint, { access }: Entry, memory: Uint8Array, seed: number): void {
  const device = world.model.device(seat.group);
  const sent = Uint8Array.from({ length: 8 }, (_, i) => (seed + 31 * i + 1) & 0xff);
  memory.fill(0);
  const written = device.write(iova, sent).bytes;
  const mayWrite = (world.accessOf(access) & WRITE) !== 0;
  if (written !== (mayWrite ? 8 : 0))
    throw new Error(`${written} bytes went to memory that is mapped with access ${access}`);
  if (memory.some((byte, i) => byte !== (mayWrite ? sent[i] : 0))) throw new Error("other bytes came to memory");
  memory.set(sent.reverse());
  const got = new Uint8Array(8);
  const read = device.read(iova, got).bytes;
  // Some IOMMUs let a device read what it may only write.
  if ((access & READ) !== 0 && read !== 8) throw new Error(`${read} bytes came from memory that is mapped for reading`);
  if (read === 8 && got.some((byte, i) => byte !== sent[i])) throw new Error("other bytes came to the device");
}

/** Eight bytes of the program's memory; `undefined` where they may not be read and written. */
function memoryOf({ model }: World, va: bigint): Uint8Array | undefined {
  try {
    return model.view(va, 8n);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
