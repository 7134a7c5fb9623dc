/**
 * Where the core's objects lie in its memory, for rivals that read them there: as assembly/window.ts, bitmap.ts, radix.ts and
 * memsegs.ts have it. Were they laid out otherwise, the rivals would answer something else than the core, and the bench stop.
 *
 *     Window    ... | live, 16 bytes | reserved, 16 bytes | va -> iova | ...
 *                                                         ^ windowTables
 *     Table     | stated | lists | list capacity | lists used | va | lengths | list | capacity | used | free | live | numbers |
 *               ^ tableTables, a radix of 12 bytes, in place; the last too. Between them u32; va, lengths and list are columns
 */
import type { Core } from "../../src/core.ts";

export interface WindowLayout {
  /** Bitmaps. */
  readonly live: number;
  readonly reserved: number;
  /** The radix of va -> iova. */
  readonly toIova: number;
}

export interface TableLayout {
  readonly lists: number;
  readonly listsUsed: number;
  readonly va: number;
  readonly lengths: number;
  readonly list: number;
  /** Numbers in use, those that are free again included. */
  readonly used: number;
  /** The radix of va -> iova, as memsegs state it. */
  readonly stated: number;
  /** The radix of va -> number. */
  readonly numbers: number;
}

export function windowLayout(core: Core, window: number): WindowLayout {
  const toIova = core.windowTables(window);
  return { live: toIova - 32, reserved: toIova - 16, toIova };
}

export function tableLayout(core: Core, table: number): TableLayout {
  const at = core.tableTables(table);
  const [lists = 0, , listsUsed = 0, va = 0, lengths = 0, list = 0, , used = 0] = core.u32(at + 12, 8);
  return { lists, listsUsed, va, lengths, list, used, stated: at, numbers: at + 52 };
}
