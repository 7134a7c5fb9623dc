/** The NVMe driver on the software kernel: a machine with a software controller, which carries out commands as doorbells are written. */
import { strict as assert } from "node:assert";
import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow, softwareNvme } from "dma-window";
import { Nvm } from "../../examples/nvme/commands.mjs";
import { Controller } from "../../examples/nvme/controller.mjs";
import type { IoBuffers } from "../../examples/nvme/prp.mjs";
import { COMPLETION_BYTES, ENTRY_BYTES, type QueuePair } from "../../examples/nvme/queue.mjs";
import { completionDoorbell, submissionDoorbell } from "../../examples/nvme/registers.mjs";
import type { Work } from "../harness/loop.ts";
import { BLOCKS, NAMESPACE, Owner } from "./nvme-queue.ts";

export type Platform = "powernv" | "pseries" | "type1";

/** Commands under way at once. */
export const DEPTH = 32;
/** Reads in one repeat. */
export const READS = 1024;

const ADDRESS = "0000:01:00.0";
const READ_BYTES = 4096;
/** Places of the disk that are read: 4 MiB. */
const PLACES = 1024;
const STRIDE = 4;

/** Every word of the disk is another one. It is read only, and so it is one for all machines. */
function makeDisk(): Uint8Array {
  const words = new Uint32Array((PLACES * READ_BYTES) / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e37_79b1);
  return new Uint8Array(words.buffer);
}

let disk: Uint8Array | undefined;

/** What is under a driver of it, open. */
export class NvmeMachine {
  readonly #disk: Uint8Array;
  readonly #kernel;
  readonly #ends: (() => unknown)[] = [];
  readonly #window;
  readonly #list;
  readonly #heap;
  readonly #container;

  constructor(platform: Platform) {
    disk ??= makeDisk();
    this.#disk = disk;
    this.#kernel = modelKernel({ platform, devices: [softwareNvme({ address: ADDRESS, disk: this.#disk })] });
    const memory = new MemsegTable({ kernel: this.#kernel });
    this.#list = memory.addList({ pageSize: 2 << 20, maxBytes: 64 << 20 });
    this.#container = openContainer({ kernel: this.#kernel, devices: [ADDRESS] });
    this.#window = this.#container.createWindow(planWindow({ memory, info: this.#container.info() }));
    this.#container.attach(memory);
    this.#heap = new DmaHeap({ memory, list: this.#list, window: this.#window });
    this.#ends.push(
      () => memory.close(),
      () => this.#container.close(),
      () => this.#heap.close(),
    );
  }

  /** The driver, with one queue. */
  async open(): Promise<Controller> {
    const device = await this.#container.openDevice(ADDRESS);
    const settings = { queues: 1, depth: DEPTH, completions: "poll", transferBytes: READ_BYTES } as const;
    const controller = await Controller.open(device, this.#heap, settings);
    this.#ends.push(() => controller.close());
    return controller;
  }

  /** Reads by the driver: so many places, one after the other. */
  reads(name: string, controller: Controller, places: number): Work {
    const owner = new Owner();
    const queue = controller.queues[0] as QueuePair;
    const { pool, prps }: IoBuffers = controller.buffers;
    const handles = Array.from({ length: DEPTH }, () => pool.get());
    const slots = handles.map((handle) => pool.slot(handle));
    this.#ends.push(() => {
      for (const handle of handles) pool.put(handle);
    });
    return {
      name,
      once: `for (let i = 0; i < ${READS}; ) {
        for (let k = 0; k < ${DEPTH}; k++, i++) {
          queue.putBlocks(owner, i, ${Nvm.READ}, ${NAMESPACE}, (i & ${places - 1}) * ${BLOCKS}, ${BLOCKS}, prps, slots[k], 1);
        }
        queue.ring();
        sum += queue.poll();
      }`,
      scope: { queue, owner, prps, slots },
      expected: READS,
      spoil: () => {
        for (const handle of handles) pool.bytes(handle).fill(0x5a);
      },
      verify: () => {
        assert.equal(owner.statuses | queue.inFlight | queue.stale, 0);
        const first = (READS - DEPTH) & (places - 1);
        for (const [k, handle] of handles.entries()) this.#check(pool.bytes(handle), first + k);
      },
    };
  }

  #check(bytes: Uint8Array, place: number): void {
    const wanted = this.#disk.subarray(place * READ_BYTES, (place + 1) * READ_BYTES);
    assert.ok(
      Buffer.from(bytes.buffer, bytes.byteOffset, READ_BYTES).equals(wanted),
      `place ${place} is not as the disk has it`,
    );
  }

  /**
   * The same without the driver: the entries lie in the ring for good, and nobody looks at completions. Two doorbells for as many commands
   * as are under way at once. The driver's own queue is closed: it would take what lies there for its own.
   */
  alone(name: string, controller: Controller): Work {
    const queue = controller.queues[0] as QueuePair;
    queue.isOpen = false;
    const { submissionIova, completionIova, entries } = queue;
    const { iovas } = controller.buffers.pool;
    const ring = this.#words(submissionIova, entries * ENTRY_BYTES);
    const completions = this.#words(completionIova, entries * COMPLETION_BYTES);
    for (let i = 0; i < entries; i++) {
      const iova = iovas[i % DEPTH] as bigint;
      const words = [Nvm.READ | (i << 16), NAMESPACE, 0, 0, 0, 0, Number(iova & 0xffff_ffffn), Number(iova >> 32n)];
      ring.set([...words, 0, 0, (i % DEPTH) * BLOCKS, 0, BLOCKS - 1, 0, 0, 0], (i * ENTRY_BYTES) / 4);
    }
    const scope = {
      bar: this.#container.device(ADDRESS).bar(0),
      next: new Uint32Array(1),
      completions,
      submission: submissionDoorbell(queue.id, STRIDE),
      completion: completionDoorbell(queue.id, STRIDE),
    };
    return {
      name,
      once: `for (let i = 0; i < ${READS}; i += ${DEPTH}) {
        next[0] = (next[0] + ${DEPTH}) % ${entries};
        bar.write32(submission, next[0]);
        bar.write32(completion, next[0]);
        sum += ${DEPTH};
      }`,
      scope,
      expected: READS,
      spoil: () => completions.fill(0xffff_ffff),
      verify: () => {
        for (let i = 0; i < entries; i++)
          assert.equal((completions[i * 4 + 3] as number) >>> 17, 0, "a command failed");
      },
    };
  }

  #words(iova: bigint, bytes: number): Uint32Array {
    const va = BigInt.asUintN(64, iova - this.#window.iovaOffset(this.#list));
    const view = this.#kernel.view(va, BigInt(bytes));
    return new Uint32Array(view.buffer, view.byteOffset, bytes / 4);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}
