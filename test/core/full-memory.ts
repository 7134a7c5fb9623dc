/** A core whose memory is full, and is given back block by block: so an allocation can be made to fail at every place. */
import { type Core, Status } from "../../src/core.ts";
import { agree } from "./support.ts";

/** Sizes of the blocks that the core's structures are made of, largest last. */
const sizes = [64, 128, 256, 512, 1024, 2048, 4096];

export class FullMemory {
  readonly core: Core;
  readonly #spare = new Map<number, number[]>();

  /** Keeps `each` blocks of every size back, and takes all the rest of the 4 GiB, which costs nothing: it is not touched. */
  constructor(core: Core, each: number) {
    this.core = core;
    for (const size of sizes)
      this.#spare.set(
        size,
        Array.from({ length: each }, () => core.acquireBytes(size)),
      );
    for (let bytes = 2 ** 31; bytes >= 64; bytes /= 2) while (core.acquireBytes(bytes) !== 0);
  }

  /** Lets the core have `each` blocks of every size. */
  give(each: number): void {
    for (const [size, blocks] of this.#spare) {
      for (const block of blocks.splice(0, each)) this.core.releaseBytes(block, size);
    }
  }

  /** Takes back what the core does not use. */
  takeBack(): void {
    for (const [size, blocks] of this.#spare) {
      for (let block = this.core.acquireBytes(size); block !== 0; block = this.core.acquireBytes(size))
        blocks.push(block);
    }
  }

  /**
   * Makes an attempt with 0, 1, 2... free blocks of every size, until its status is OK. Until then it must be refused for
   * want of memory, and `refused` looks at what it left behind. How often it was refused.
   */
  starve(attempt: () => number, refused: () => void): number {
    for (let each = 0; ; each++) {
      this.give(each);
      const status = attempt();
      if (status === Status.OK) return each;
      agree(status, Status.OUT_OF_MEMORY, () => `the status with ${each} blocks of each size`);
      refused();
      this.takeBack();
    }
  }
}
