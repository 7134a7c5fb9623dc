/**
 * The queues of examples/nvme, and in place of a controller one that completes at once: it reads a command's number, writes
 * the completion, and does nothing else. What is left is the driver's, and its two doorbells, which are registers of a mapped file.
 */
import { strict as assert } from "node:assert";
import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";
import { Nvm } from "../../examples/nvme/commands.mjs";
import { IoBuffers } from "../../examples/nvme/prp.mjs";
import { COMPLETION_BYTES, ENTRY_BYTES, QueuePair } from "../../examples/nvme/queue.mjs";
import type { CommandOwner, Registers32 } from "../../examples/nvme/types.d.ts";

const ENTRY = ENTRY_BYTES / 4;
const COMPLETION = COMPLETION_BYTES / 4;
const PAGE = 4096;

/** Of each command: blocks of 512 bytes, in one page. */
export const BLOCKS = 8;
export const NAMESPACE = 1;

/** Whose commands they are: counts what is done, and remembers any status. */
export class Owner implements CommandOwner {
  done = 0;
  statuses = 0;

  completed(_tag: number, status: number): void {
    this.done++;
    this.statuses |= status;
  }

  failed(): void {}

  describe(): string {
    return "a command";
  }
}

/** Rings in ordinary memory, and who answers. */
export class Instant {
  readonly submission: Uint32Array;
  readonly completion: Uint32Array;
  readonly #depth: number;
  #head = 0;
  #tail = 0;
  #phase = 1;

  constructor(depth: number) {
    this.#depth = depth;
    this.submission = new Uint32Array((depth + 1) * ENTRY);
    this.completion = new Uint32Array((depth + 1) * COMPLETION);
  }

  /** Completes the next `count` commands. Gives the number that it read last. */
  answer(count: number): number {
    const { submission, completion } = this;
    const depth = this.#depth;
    let identifier = 0;
    for (let i = 0; i < count; i++) {
      identifier = (submission[this.#head * ENTRY] as number) >>> 16;
      this.#head = this.#head === depth ? 0 : this.#head + 1;
      const at = this.#tail * COMPLETION;
      completion[at] = 0;
      completion[at + 2] = this.#head | (1 << 16);
      completion[at + 3] = identifier | (this.#phase << 16);
      this.#tail = this.#tail === depth ? 0 : this.#tail + 1;
      if (this.#tail === 0) this.#phase ^= 1;
    }
    return identifier;
  }
}

/** A queue of the driver's, open, with that controller behind it. */
export function queueWith(instant: Instant, depth: number, bar: Registers32): QueuePair {
  const memory = (words: Uint32Array, iova: bigint) => {
    const bytes = new Uint8Array(words.buffer);
    return { bytes, iova, length: bytes.length, close: () => {} };
  };
  const submission = memory(instant.submission, 0x1_0000n);
  const completion = memory(instant.completion, 0x2_0000n);
  const queue = new QueuePair({ id: 1, depth, bar, stride: 4, submission, completion });
  queue.isOpen = true;
  return queue;
}

/** Buffers of a page as the driver has them, with IOVAs from 2^59 on, where numbers are 128 apart. */
export function buffers(count: number): { readonly all: IoBuffers; readonly close: () => void } {
  const kernel = modelKernel({ platform: "pseries" });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 16 << 20 });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const heap = new DmaHeap({ memory, list, window });
  const all = new IoBuffers(heap, { bytes: PAGE, count, pageBytes: PAGE });
  for (let i = 0; i < count; i++) all.pool.get();
  return {
    all,
    close: () => {
      all.close();
      heap.close();
      container.close();
      memory.close();
    },
  };
}

/** What {@link QueuePair.putBlocks} is to have written for commands 0 on, of the buffers in their order. */
export function checkEntries(ring: Uint32Array, count: number, { pool }: IoBuffers): void {
  for (let i = 0; i < count; i++) {
    const words = Array.from(ring.subarray(i * ENTRY, (i + 1) * ENTRY));
    const iova = pool.iovas[i % pool.count] as bigint;
    const prp1 = [Number(iova & 0xffff_ffffn), Number(iova >> 32n)];
    words[0] = (words[0] as number) & 0xffff; // but its number
    assert.deepEqual(words, [Nvm.READ, NAMESPACE, 0, 0, 0, 0, ...prp1, 0, 0, i, 0, BLOCKS - 1, 0, 0, 0]);
  }
}
