/** What tests of queues need of a controller: a bar that writes down its doorbells, and whoever answers by hand. */

import { COMPLETION_BYTES, ENTRY_BYTES, QueuePair } from "../../examples/nvme/queue.mjs";
import type { CommandOwner, DmaMemory, Registers32 } from "../../examples/nvme/types.d.ts";

export const memoryAt = (iova: bigint, length: number): DmaMemory => ({
  bytes: new Uint8Array(length),
  iova,
  length,
  close() {},
});

/** Writes down who was told what. */
export class Owner implements CommandOwner {
  readonly completions: [tag: number, status: number, result: number][] = [];
  readonly failures: [tag: number, message: string][] = [];
  next: (() => void) | undefined;

  completed(tag: number, status: number, result: number): void {
    this.completions.push([tag, status, result]);
    this.next?.();
  }

  failed(tag: number, error: Error): void {
    this.failures.push([tag, error.message]);
  }

  describe(tag: number): string {
    return `command ${tag}`;
  }
}

export interface Answer {
  readonly identifier: number;
  readonly status?: number;
  readonly result?: number;
  /** Where the controller is in the submission queue. */
  readonly head?: number;
}

/** A pair of queues and the other side of it: what a controller reads and writes, and no more. */
export class Bench {
  readonly doorbells: [offset: number, value: number][] = [];
  readonly submission: DmaMemory;
  readonly completion: DmaMemory;
  readonly queue: QueuePair;
  /** Called at each doorbell: what a controller does at once. */
  rung: (offset: number, value: number) => void = () => {};
  #tail = 0;
  #phase = 1;

  constructor(depth: number, { id = 1, stride = 4 } = {}) {
    this.submission = memoryAt(0x1_0000n, (depth + 1) * ENTRY_BYTES);
    this.completion = memoryAt(0x2_0000n, (depth + 1) * COMPLETION_BYTES);
    const bar: Registers32 = {
      read32: () => 0,
      write32: (offset, value) => {
        this.doorbells.push([offset, value]);
        this.rung(offset, value);
      },
    };
    const { submission, completion } = this;
    this.queue = new QueuePair({ id, depth, bar, stride, submission, completion });
    this.queue.isOpen = true;
  }

  entry(index: number): DataView {
    return new DataView(this.submission.bytes.buffer, index * ENTRY_BYTES, ENTRY_BYTES);
  }

  identifier(index: number): number {
    return this.entry(index).getUint16(2, true);
  }

  answer({ identifier, status = 0, result = 0, head = 0 }: Answer): void {
    const entry = new DataView(this.completion.bytes.buffer, this.#tail * COMPLETION_BYTES, COMPLETION_BYTES);
    entry.setUint32(0, result, true);
    entry.setUint16(8, head, true);
    entry.setUint16(10, this.queue.id, true);
    entry.setUint16(12, identifier, true);
    entry.setUint16(14, (status << 1) | this.#phase, true);
    this.#tail = (this.#tail + 1) % this.queue.entries;
    if (this.#tail === 0) this.#phase ^= 1;
  }
}

/** A command whose words nobody looks at. */
export const NOTHING = { opcode: 0 };
