/** The disk behind a guest's NVMe controller: a file of the host's, which the host makes and looks at in the end. */
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { BLOCK_BYTES, BY_HOST, DISK_BLOCKS, type DiskFacts, fillBlocks, type Written, wrongBytesIn } from "./blocks.ts";

/** The same disk in every run, unless `DMA_WINDOW_SEED` says otherwise. */
export function diskFacts(environment: NodeJS.ProcessEnv = process.env): DiskFacts {
  return { seed: Number(environment.DMA_WINDOW_SEED ?? 1) >>> 0, blocks: DISK_BLOCKS };
}

export function makeDisk(path: string, { seed, blocks }: DiskFacts): void {
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  fillBlocks(bytes, 0, BY_HOST, seed);
  writeFileSync(path, bytes);
}

/** What is wrong with a disk: how many bytes, and in which blocks first. */
export interface Comparison {
  readonly wrongBytes: number;
  /** The first blocks that are wrong. */
  readonly where: readonly number[];
}

/** How many blocks are named. */
const NAMED = 8;
const AT_ONCE = 256;

/** Compares every byte with what the host has made and the guest says that it wrote, the last writing last. */
export function compareDisk(path: string, { seed, blocks }: DiskFacts, written: readonly Written[]): Comparison {
  const writers = new Uint32Array(blocks).fill(BY_HOST);
  for (const { first, blocks: count, by } of written) writers.fill(by, first, first + count);
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(AT_ONCE * BLOCK_BYTES);
    const where: number[] = [];
    let wrongBytes = 0;
    for (let first = 0; first < blocks; first += AT_ONCE) {
      const got = readSync(file, bytes, 0, bytes.length, first * BLOCK_BYTES);
      if (got !== bytes.length) throw new Error(`${path} ends ${bytes.length - got} bytes too early`);
      for (let i = 0; i < AT_ONCE; i++) {
        const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
        const wrong = wrongBytesIn(block, first + i, writers[first + i] as number, seed);
        wrongBytes += wrong;
        if (wrong > 0 && where.length < NAMED) where.push(first + i);
      }
    }
    return { wrongBytes, where };
  } finally {
    closeSync(file);
  }
}
