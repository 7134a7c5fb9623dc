/**
 * The driver of examples/nvme on this machine's controller: from the window to the disk, and back. What it reads is compared with what the
 * host has made, or this program has written; never is a status believed.
 */
import { readFileSync } from "node:fs";
import {
  type Container,
  type Device,
  DmaHeap,
  linuxKernel,
  MemsegTable,
  openContainer,
  planWindow,
  type Syscalls,
  type Window,
} from "dma-window";
import { Controller } from "../../../examples/nvme/controller.mjs";
import type { Namespace } from "../../../examples/nvme/namespace.mjs";
import type { Settings } from "../../../examples/nvme/settings.mjs";
import { BLOCK_BYTES, BY_HOST, type DiskFacts, fillBlocks, wrongBytesIn } from "../blocks.ts";
import { report } from "./say.ts";
import { MiB, type Site } from "./site.ts";

/** What the host says of the disk. */
export const disk = JSON.parse(readFileSync("/app/disk.json", "utf8")) as DiskFacts;

/** Who wrote which block last: the host, unless somebody here did. No other process writes. */
const writers = new Uint32Array(disk.blocks).fill(BY_HOST);
let writings = 0;

export interface SessionOptions extends Settings {
  /** The kernel, or something in front of it. */
  readonly kernel?: Syscalls;
  /** How large the window is to be: its place depends on that. */
  readonly windowBytes?: bigint;
  /** A window that is there first, and takes the first place. */
  readonly beside?: boolean;
  /** Bytes of memory that there can be. */
  readonly maxBytes?: bigint;
  /** By how much the heap grows at a time, in bytes. */
  readonly step?: bigint;
}

export class NvmeSession {
  readonly site: Site;
  readonly memory: MemsegTable;
  readonly list: ReturnType<MemsegTable["addList"]>;
  readonly container: Container;
  readonly window: Window;
  readonly heap: DmaHeap;
  readonly device: Device;
  #controller: Controller | undefined;
  #reads = 0;
  #writes = 0;
  #wrongBytes = 0;

  static async open(site: Site, options: SessionOptions = {}): Promise<NvmeSession> {
    const { kernel, windowBytes, beside, maxBytes, step, ...settings } = options;
    const session = new NvmeSession(site, options);
    try {
      session.#controller = await Controller.open(session.device, session.heap, {
        cpuPageBytes: Math.min(site.kernel.pageSize, Number(1n << BigInt(session.window.pageShift))),
        // An emulated machine on a busy host stands still for seconds.
        timeoutMs: 60_000,
        ...settings,
      });
    } catch (error) {
      session.#end();
      throw error;
    }
    return session;
  }

  private constructor(site: Site, options: SessionOptions) {
    const { kernel = linuxKernel(), windowBytes, beside = false, maxBytes = 64n * MiB, step } = options;
    this.site = site;
    this.memory = new MemsegTable({ kernel });
    this.list = this.memory.addList({ pageSize: site.page, maxBytes });
    this.container = openContainer({ kernel, devices: [site.nvme.name] });
    try {
      const { memory, container, list } = this;
      const first = beside ? container.createWindow(planWindow({ memory, info: container.info() })) : undefined;
      const plan = { memory, info: container.info(), ...(windowBytes !== undefined && { growTo: windowBytes }) };
      this.window = container.createWindow(planWindow(plan));
      first?.close();
      container.attach(memory);
      this.heap = new DmaHeap({ memory, list, window: this.window, ...(step !== undefined && { grow: { step } }) });
      this.device = container.device();
    } catch (error) {
      this.container.close();
      this.memory.close();
      throw error;
    }
  }

  get controller(): Controller {
    if (this.#controller === undefined) throw new Error("the controller is not open");
    return this.#controller;
  }

  get disk(): Namespace {
    const [only] = this.controller.namespaces;
    if (only === undefined) throw new Error("the controller has no namespace");
    return only;
  }

  /** Reads blocks, and gives how many bytes are not what they should be. */
  async read(first: number, blocks: number): Promise<number> {
    const bytes = new Uint8Array(blocks * BLOCK_BYTES);
    await this.disk.read(first, bytes);
    return this.compare(bytes, first);
  }

  /** The same without a copy: into memory of the heap. */
  async readDirect(first: number, blocks: number): Promise<number> {
    const memory = this.heap.buffer(blocks * BLOCK_BYTES);
    try {
      await this.disk.readDirect(first, memory);
      return this.compare(memory.bytes.slice(), first);
    } finally {
      memory.close();
    }
  }

  /** Counts what was read, and the bytes that are wrong. */
  compare(bytes: Uint8Array, first: number): number {
    const wrong = wrongIn(bytes, first);
    this.#reads += bytes.length / BLOCK_BYTES;
    this.#wrongBytes += wrong;
    return wrong;
  }

  /** Writes blocks with bytes of their own; what they hold from now on the host is told first. */
  async write(first: number, blocks: number): Promise<void> {
    await this.disk.write(first, newBytes(first, blocks));
    this.#writes += blocks;
  }

  async writeDirect(first: number, blocks: number): Promise<void> {
    const memory = this.heap.buffer(blocks * BLOCK_BYTES);
    try {
      memory.bytes.set(newBytes(first, blocks));
      await this.disk.writeDirect(first, memory);
      this.#writes += blocks;
    } finally {
      memory.close();
    }
  }

  async close(): Promise<void> {
    const { interrupts, missed } = this.controller;
    this.#count(interrupts, missed);
    try {
      await this.controller.close();
    } finally {
      this.#end();
    }
  }

  /** After the device was taken away: what can be closed is. */
  #end(): void {
    try {
      this.device.close();
      if (this.#controller === undefined || this.#controller.state === "closed") this.heap.close();
    } finally {
      this.container.close();
      this.memory.close();
    }
  }

  #count(interrupts: number, missed: number): void {
    report({
      kind: "nvme",
      reads: this.#reads,
      writes: this.#writes,
      wrongBytes: this.#wrongBytes,
      interrupts,
      missed,
    });
  }
}

/** How many bytes of blocks from `first` on are not what they should be. */
export function wrongIn(bytes: Uint8Array, first: number): number {
  let wrong = 0;
  // Neighbours that one writing wrote are compared at once.
  for (let at = 0, end = 0; at * BLOCK_BYTES < bytes.length; at = end) {
    const by = writers[first + at] as number;
    while (end * BLOCK_BYTES < bytes.length && writers[first + end] === by) end++;
    wrong += wrongBytesIn(bytes.subarray(at * BLOCK_BYTES, end * BLOCK_BYTES), first + at, by, disk.seed);
  }
  return wrong;
}

/** Bytes that the blocks have not had before: they are written now, and the host looks for them in the end. */
export function newBytes(first: number, blocks: number): Uint8Array {
  const by = ++writings;
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  fillBlocks(bytes, first, by, disk.seed);
  writers.fill(by, first, first + blocks);
  report({ kind: "written", first, blocks, by });
  return bytes;
}

/** A session from its beginning to its end. */
export async function withNvme(
  site: Site,
  options: SessionOptions,
  run: (session: NvmeSession) => Promise<void>,
): Promise<void> {
  const session = await NvmeSession.open(site, options);
  try {
    await run(session);
  } finally {
    await session.close();
  }
}
