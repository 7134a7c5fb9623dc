/**
 * Tables of 0 to 70 memsegs, in which every number in turn is free, and then holds each memseg that a walk could take for
 * another: at the end of the space, on both sides of the sign bit, external, a heap's, with and without an IOVA.
 *
 *     number     0     1     2    ...    p    ...   n-1        n from 0 to 70, p from 0 to n-1
 *              | ... | ... | ... |   | free or |  | ... |
 *                                    | special |
 */
import { ListFlag, NO_ADDRESS } from "../../src/core.ts";
import type { ListTwin, MemsegTwin } from "../reference/memsegs.ts";

const TWO_64 = 1n << 64n;
const TWO_63 = 1n << 63n;
const PAGE = 4096n;
const MOST = 70;

/** What the cases are played to. A memseg that is removed leaves its number to the next one that is added. */
export interface WalkTable {
  add(memseg: MemsegTwin): void;
  remove(va: bigint): void;
  /** To be asked now. `looked` numbers are in use or were. */
  ask(looked: number): void;
}

const { EXTERNAL, HEAP } = ListFlag;

/** The lists of two kinds of tables: what lies at the end of the space is served in the one, and not in the other. */
export const listKinds: readonly (readonly ListTwin[])[] = [
  [0, 0, 0, 0, EXTERNAL, EXTERNAL | HEAP, 0],
  [0, HEAP, 0, EXTERNAL, EXTERNAL | HEAP, EXTERNAL, 0],
].map((flags) => {
  const list = (index: number, base: bigint, pages: bigint, pageShift: number): ListTwin => {
    return { base, length: pages << BigInt(pageShift), pageShift, flags: flags[index] as number };
  };
  return [
    list(0, 1n << 30n, 128n, 12),
    list(1, 1n << 40n, 128n, 21),
    list(2, TWO_63 - 64n * PAGE, 128n, 12),
    list(3, TWO_64 - (16n << 16n), 16n, 16),
    list(4, 1n << 62n, 128n, 12),
    list(5, 1n << 61n, 4n, 30),
    list(6, TWO_63 + (1n << 40n), 128n, 21),
  ];
});

/** The memsegs that fill a table: of two lists in turn, no two neighbours, in no order; every third without an IOVA. */
function filler(index: number): MemsegTwin {
  const list = index % 2;
  const { base, pageShift } = (listKinds[0] as readonly ListTwin[])[list] as ListTwin;
  const length = 1n << BigInt(pageShift);
  const va = base + BigInt((index * 29) % 127) * length;
  return { list, va, length, iova: index % 3 === 0 ? NO_ADDRESS : va + (1n << 50n) };
}

const specials: readonly MemsegTwin[] = (
  [
    [3, TWO_64 - (1n << 16n), 1n << 16n],
    [3, TWO_64 - (16n << 16n), 16n << 16n],
    [2, TWO_63 - PAGE, PAGE],
    [2, TWO_63, PAGE],
    [2, TWO_63 - 2n * PAGE, 4n * PAGE],
    [4, (1n << 62n) + PAGE, PAGE],
    [5, 1n << 61n, 1n << 32n],
    [1, (1n << 40n) + (127n << 21n), 1n << 21n],
  ] as const
).flatMap(([list, va, length]) =>
  [NO_ADDRESS, 0n, TWO_63, TWO_64 - length].map((iova) => ({ list, va, length, iova })),
);

/** All of a list that is another's with the sign bit set: a walk that loses that bit finds memory here, but not the highest. */
const mirror: MemsegTwin = { list: 6, va: TWO_63 + (1n << 40n), length: 128n << 21n, iova: NO_ADDRESS };

/**
 * Plays the cases of tables of up to `most` memsegs. The first memseg of all is the highest, so that a table reaches to 2^64
 * at once.
 */
export function playWalks(table: WalkTable, most = MOST): void {
  const [first] = specials as [MemsegTwin];
  table.add(first);
  table.ask(1);
  table.remove(first.va);
  for (let total = 0; total <= most; total++) {
    const used = Math.max(total, 1);
    table.ask(used);
    for (let number = 0; number < total; number++) {
      const { va } = filler(number);
      table.remove(va);
      table.ask(used);
      for (const [index, special] of specials.entries()) {
        // Which of four IOVAs it states matters to one walk only: with one number after the other, each in turn.
        if ((index + number) % 4 !== 0) continue;
        table.add(special);
        table.ask(used);
        table.remove(special.va);
      }
      table.add(filler(number));
    }
    if (total < most) table.add(filler(total));
  }
  for (let step = 2; step <= 9; step++) for (let phase = 0; phase < step; phase++) thinned(table, most, step, phase);
  table.add(mirror);
  table.ask(most + 1);
  table.add(first);
  table.ask(most + 2);
  table.remove(first.va);
  table.remove(mirror.va);
}

/** Asks while one number of every `step` is free; in the end each memseg has its number again. */
function thinned(table: WalkTable, most: number, step: number, phase: number): void {
  const gone: MemsegTwin[] = [];
  for (let number = phase; number < most; number += step) gone.push(filler(number));
  for (const { va } of gone) table.remove(va);
  table.ask(most);
  for (const memseg of gone.reverse()) table.add(memseg);
}
