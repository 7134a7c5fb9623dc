import type { Machine } from "./machines.ts";
import { type Completion, entryOf, type Fields, PAGE } from "./rig.ts";

/** Queues as the host keeps them. */
export interface Ring {
  readonly id: number;
  readonly sq: bigint;
  readonly cq: bigint;
  readonly entries: number;
  tail: number;
  head: number;
  phase: number;
}

/** A driver for any machine, one command at a time. */
export class Host {
  readonly machine: Machine;
  readonly rings: Ring[] = [];
  #next: bigint;
  #id = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.#next = machine.base;
  }

  /** Pages, one after the other: the same ones on every machine, counted from its base on. */
  pages(count: number): bigint {
    const iova = this.#next;
    this.#next += BigInt(count * PAGE);
    return iova;
  }

  ring(id: number, entries = 16): Ring {
    const ring = { id, sq: this.pages(1), cq: this.pages(1), entries, tail: 0, head: 0, phase: 1 };
    this.rings[id] = ring;
    return ring;
  }

  async start(cc = 0x0046_0001): Promise<number> {
    const { sq, cq, entries } = this.ring(0);
    const { machine } = this;
    await machine.writeRegister(0x14, 0);
    await machine.writeRegister(0x24, (entries - 1) | ((entries - 1) << 16));
    await machine.writeRegister(0x28, Number(sq & 0xffff_ffffn));
    await machine.writeRegister(0x2c, Number(sq >> 32n));
    await machine.writeRegister(0x30, Number(cq & 0xffff_ffffn));
    await machine.writeRegister(0x34, Number(cq >> 32n));
    await machine.store(cq, new Uint8Array(PAGE));
    await machine.writeRegister(0x14, cc);
    await machine.pass();
    return machine.readRegister(0x1c);
  }

  /** A completion; `undefined`: none came. */
  async command(fields: Fields, queue = 0): Promise<Completion | undefined> {
    const ring = this.rings[queue] as Ring;
    const { machine } = this;
    this.#id = (this.#id + 1) & 0xffff;
    await machine.store(ring.sq + BigInt(ring.tail * 64), entryOf(fields, this.#id));
    ring.tail = (ring.tail + 1) % ring.entries;
    await machine.writeRegister(0x1000 + 8 * queue, ring.tail);
    return this.reap(queue);
  }

  async reap(queue = 0): Promise<Completion | undefined> {
    const ring = this.rings[queue] as Ring;
    const { machine } = this;
    for (let tries = 0; tries < this.machine.patience; tries++) {
      const bytes = await machine.load(ring.cq + BigInt(ring.head * 16), 16);
      const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
      const last = view.getUint32(12, true);
      if (((last >>> 16) & 1) === ring.phase) {
        ring.head = (ring.head + 1) % ring.entries;
        if (ring.head === 0) ring.phase ^= 1;
        await machine.writeRegister(0x1000 + 8 * queue + 4, ring.head);
        const place = view.getUint32(8, true);
        const answer = { result: view.getUint32(0, true), head: place & 0xffff, queue: place >>> 16 };
        return { id: last & 0xffff, status: last >>> 17, ...answer };
      }
      await machine.pass();
    }
    return undefined;
  }
}
