import type { Program } from "../program.ts";
import type { Answer } from "../row.ts";
import { words } from "../words.ts";

/** The answers to several tries that should all be alike: one of them, or all when they are not. */
export function alike(answers: readonly Answer[]): string {
  const different = [...new Set(answers.map((answer) => words(answer)))];
  return different.join(" or ");
}

/** Every single bit of 32 that is not in `known`. */
export function otherBits(known: number): number[] {
  return Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter((bit) => (bit & known) === 0);
}

/** The same on every kernel: 16 pages of 4 KiB, one of 64 KiB. */
export const zombieBytes = 0x1_0000n;

/**
 * Leaves 64 KiB at the program's memory unregistered while they are mapped at IOVA 0: a zombie. The next `charged()` counts
 * from here.
 */
export function zombie(p: Program): Program {
  const answers = [p.register(p.va, zombieBytes), p.map(p.va, 0n, zombieBytes), p.unregister(p.va, zombieBytes)];
  if (answers.some((answer) => answer !== 0)) throw new Error(`no zombie: ${words(answers)}`);
  p.charged();
  return p;
}
