/**
 * The arena: blocks of powers of two, bumped off once and then kept in one free list per size. Heaps, pools and columns of
 * JavaScript lie in them. A block's first 64 bytes hold its shift, and its content is aligned to 64 bytes and zero.
 */
import { ARENA, ARENA_END, ARENA_LISTS, ARENA_USED } from "./memory";

const HEADER: u32 = 64;

/** At least `bytes`, all zero; 0 when there is no room. */
export function arenaTake(bytes: u32): u32 {
  if (bytes > ARENA_END >> 1) return 0;
  const shift = 32 - clz<u32>(bytes + (HEADER - 1));
  const head = ARENA_LISTS + (shift << 2);
  let at = load<u32>(head);
  if (at != 0) {
    store<u32>(head, load<u32>(at));
    memory.fill(at + HEADER, 0, (1 << shift) - HEADER);
  } else {
    const used = load<u32>(ARENA_USED);
    at = ARENA + used;
    if ((<u32>1) << shift > ARENA_END - at) return 0;
    store<u32>(ARENA_USED, used + (1 << shift)); // never written to before, so zero
  }
  store<u32>(at, shift, 4);
  return at + HEADER;
}

/** What was taken goes back. */
export function arenaGive(pointer: u32): void {
  const at = pointer - HEADER;
  const head = ARENA_LISTS + (load<u32>(at, 4) << 2);
  store<u32>(at, load<u32>(head));
  store<u32>(head, at);
}
