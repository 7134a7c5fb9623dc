import * as assert from "uvu/assert";
import type { Plugged } from "../../../src/model/devices/plug.ts";
import { type NvmeOptions, softwareNvme } from "../../../src/model/index.ts";
import { FakeBus, MEMORY } from "./fake-bus.ts";

export const PAGE = 4096;

/** A command in the words of the specification. */
export interface Fields {
  readonly opcode: number;
  readonly flags?: number;
  readonly id?: number;
  readonly nsid?: number;
  readonly prp1?: bigint;
  readonly prp2?: bigint;
  readonly dw10?: number;
  readonly dw11?: number;
  readonly dw12?: number;
  readonly dw13?: number;
}

export interface Completion {
  readonly id: number;
  /** Without the phase bit. */
  readonly status: number;
  readonly result: number;
  readonly head: number;
  readonly queue: number;
}

/** A submission queue and its completion queue, as the host keeps them. */
export interface Pair {
  readonly id: number;
  readonly completionId: number;
  readonly sq: bigint;
  readonly cq: bigint;
  readonly entries: number;
  readonly cqEntries: number;
  tail: number;
  head: number;
  phase: number;
}

export interface PairOptions {
  readonly entries?: number;
  readonly cqEntries?: number;
  readonly vector?: number;
  readonly interrupts?: boolean;
}

/** The entry of a submission queue, word by word. */
export function entryOf(fields: Fields, id: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fields.opcode | ((fields.flags ?? 0) << 8) | (id << 16), true);
  view.setUint32(4, fields.nsid ?? 0, true);
  view.setBigUint64(24, fields.prp1 ?? 0n, true);
  view.setBigUint64(32, fields.prp2 ?? 0n, true);
  view.setUint32(40, fields.dw10 ?? 0, true);
  view.setUint32(44, fields.dw11 ?? 0, true);
  view.setUint32(48, fields.dw12 ?? 0, true);
  view.setUint32(52, fields.dw13 ?? 0, true);
  return bytes;
}

/** A driver that does what it is told to, and nothing by itself. */
export class Rig {
  readonly bus: FakeBus;
  readonly device: Plugged;
  readonly stride: number;
  admin!: Pair;
  #next = MEMORY;
  #id = 0;

  constructor(options: NvmeOptions = {}, bus = new FakeBus()) {
    this.bus = bus;
    this.device = softwareNvme(options).plug(bus);
    this.stride = options.doorbellStride ?? 4;
  }

  r32(offset: number): number {
    return this.device.read(0, offset, 4) as number;
  }

  w32(offset: number, value: number): void {
    this.device.write(0, offset, 4, value >>> 0);
  }

  w64(offset: number, value: bigint): void {
    this.device.write(0, offset, 8, value);
  }

  get csts(): number {
    return this.r32(0x1c);
  }

  /** Memory that begins at a page. */
  memory(bytes: number, align = PAGE): bigint {
    const by = BigInt(align);
    const iova = ((this.#next + by - 1n) / by) * by;
    this.#next = iova + BigInt(bytes);
    assert.ok(this.#next <= MEMORY + BigInt(this.bus.memory.length), "the rig has no memory left");
    return iova;
  }

  bytes(iova: bigint, length: number): Uint8Array {
    const at = Number(iova - MEMORY);
    return this.bus.memory.subarray(at, at + length);
  }

  view(iova: bigint, length: number): DataView {
    const { buffer, byteOffset } = this.bytes(iova, length);
    return new DataView(buffer, byteOffset, length);
  }

  /** Enables the controller. */
  start({ entries = 16, cc = 0x0046_0001, align = PAGE } = {}): this {
    this.admin = this.#pair(0, { entries, align });
    this.w32(0x24, (entries - 1) | ((entries - 1) << 16));
    this.w64(0x28, this.admin.sq);
    this.w64(0x30, this.admin.cq);
    this.w32(0x14, cc);
    this.bus.settle();
    return this;
  }

  #pair(id: number, { entries = 16, cqEntries = entries, align = PAGE }: PairOptions & { align?: number }): Pair {
    const sq = this.memory(entries * 64, align);
    const cq = this.memory(cqEntries * 16, align);
    this.bytes(cq, cqEntries * 16).fill(0);
    return { id, completionId: id, sq, cq, entries, cqEntries, tail: 0, head: 0, phase: 1 };
  }

  /** Makes a pair of I/O queues. */
  pair(id: number, { vector = id, interrupts = true, ...sizes }: PairOptions = {}): Pair {
    const pair = this.#pair(id, sizes);
    const dw11 = 1 | (interrupts ? 2 : 0) | (vector << 16);
    this.good({ opcode: 5, prp1: pair.cq, dw10: id | ((pair.cqEntries - 1) << 16), dw11 });
    this.good({ opcode: 1, prp1: pair.sq, dw10: id | ((pair.entries - 1) << 16), dw11: 1 | (id << 16) });
    return pair;
  }

  /** A command that has to succeed. */
  good(fields: Fields, pair = this.admin): Completion {
    const completion = this.does(fields, pair);
    assert.is(completion.status, 0, `opcode ${fields.opcode}: status 0x${completion.status.toString(16)}`);
    return completion;
  }

  /** A command, and its completion. */
  does(fields: Fields, pair = this.admin): Completion {
    const id = this.submit(fields, pair);
    this.ring(pair);
    this.bus.settle();
    const completion = this.reap(pair);
    if (completion === undefined) throw new Error(`opcode ${fields.opcode} was not completed, CSTS ${this.csts}`);
    assert.is(completion.id, id);
    assert.is(completion.queue, pair.id);
    return completion;
  }

  status(fields: Fields, pair = this.admin): string {
    return `0x${this.does(fields, pair).status.toString(16)}`;
  }

  /** Puts an entry into the queue, and rings no bell. */
  submit(fields: Fields, pair: Pair): number {
    this.#id = (this.#id + 1) & 0xffff;
    const id = fields.id ?? this.#id;
    this.bytes(pair.sq + BigInt(pair.tail * 64), 64).set(entryOf(fields, id));
    pair.tail = (pair.tail + 1) % pair.entries;
    return id;
  }

  ring(pair: Pair, tail = pair.tail): void {
    this.w32(0x1000 + 2 * pair.id * this.stride, tail);
  }

  /** Consumes one completion, and says so to the controller unless `quietly`. */
  reap(pair: Pair, quietly = false): Completion | undefined {
    const view = this.view(pair.cq + BigInt(pair.head * 16), 16);
    const last = view.getUint32(12, true);
    if (((last >>> 16) & 1) !== pair.phase) return undefined;
    assert.is(view.getUint32(4, true), 0);
    pair.head = (pair.head + 1) % pair.cqEntries;
    if (pair.head === 0) pair.phase ^= 1;
    if (!quietly) this.consumed(pair);
    const [result, place] = [view.getUint32(0, true), view.getUint32(8, true)];
    return { id: last & 0xffff, status: last >>> 17, result, head: place & 0xffff, queue: place >>> 16 };
  }

  reapAll(pair: Pair): Completion[] {
    const found: Completion[] = [];
    for (let one = this.reap(pair, true); one !== undefined; one = this.reap(pair, true)) found.push(one);
    if (found.length > 0) this.consumed(pair);
    return found;
  }

  consumed(pair: Pair, head = pair.head): void {
    this.w32(0x1000 + (2 * pair.completionId + 1) * this.stride, head);
  }
}

/** Read, Write, Compare: blocks from a first one on. */
export function io(opcode: number, lba: number, blocks: number, prp1: bigint, prp2 = 0n, nsid = 1): Fields {
  return { opcode, nsid, prp1, prp2, dw10: lba >>> 0, dw11: Math.floor(lba / 2 ** 32), dw12: blocks - 1 };
}

export const WRITE = 1;
export const READ = 2;
export const COMPARE = 5;
