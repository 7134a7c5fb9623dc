/**
 * What an allocator is asked: so many blocks are live, and each step frees one of them and allocates another in its place. Ours and
 * those in C are asked the same, step by step: the rivals read it in a file, as allocators.c has it.
 *
 *     | live | size of each, u32 | slot, size | slot, size | ...
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../harness/random.ts";

/**
 * Steps of one repeat. So many, because others have used the caches in between: what a repeat fetches back into them must be little
 * beside what it does.
 */
export const OPERATIONS = 65536;

/** A size each time that it is called. */
export type Sizes = (random: Random) => number;

export const SMALLEST = 64;
export const LARGEST = 65536;

/** Each octave as often as any other. */
export const logUniform: Sizes = (random) =>
  Math.min(LARGEST, Math.floor(SMALLEST * (LARGEST / SMALLEST) ** (random.below(2 ** 32) / 2 ** 32)));

/** Each size as often as any other. */
export const uniform: Sizes = (random) => SMALLEST + random.below(LARGEST - SMALLEST + 1);

/** So many bytes a block has of that distribution, in the mean. */
export const MEAN = {
  logUniform: (LARGEST - SMALLEST) / Math.log(LARGEST / SMALLEST),
  uniform: (LARGEST + SMALLEST) / 2,
} as const;

export function always(size: number): Sizes {
  return () => size;
}

export class Workload {
  readonly live: number;
  /** Of the blocks that are live before the first step. */
  readonly sizes: Uint32Array;
  /** Slot and size of each step. */
  readonly steps: Uint32Array;
  readonly #all: Uint32Array;
  #file: string | undefined;

  /** `steps`: how many there are until the first comes again; a multiple of {@link OPERATIONS}. */
  constructor(live: number, sizes: Sizes, steps: number, random: Random) {
    if (steps === 0 || steps % OPERATIONS !== 0) throw new Error(`${steps} steps are not a multiple of ${OPERATIONS}`);
    const all = new Uint32Array(1 + live + 2 * steps);
    all[0] = live;
    for (let i = 0; i < live; i++) all[1 + i] = sizes(random);
    for (let i = 0; i < steps; i++) {
      all[1 + live + 2 * i] = random.below(live);
      all[2 + live + 2 * i] = sizes(random);
    }
    this.live = live;
    this.#all = all;
    this.sizes = all.subarray(1, 1 + live);
    this.steps = all.subarray(1 + live);
  }

  get stepCount(): number {
    return this.steps.length / 2;
  }

  /** The file for the rivals, written when it is first asked for. It is gone when the bench ends. */
  file(): string {
    if (this.#file === undefined) {
      const directory = mkdtempSync(join(tmpdir(), "dma-window-workload-"));
      process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
      this.#file = join(directory, "workload");
      writeFileSync(this.#file, new Uint8Array(this.#all.buffer));
    }
    return this.#file;
  }
}
