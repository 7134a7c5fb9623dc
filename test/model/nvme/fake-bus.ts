import type { Bus } from "../../../src/model/devices/plug.ts";
import type { DmaResult } from "../../../src/model/index.ts";

/** A transfer that a device made. */
export interface Transfer {
  readonly way: "read" | "write";
  readonly iova: bigint;
  readonly bytes: number;
}

/** Where the memory begins: above 4 GiB, so that whoever forgets half of an address is found out. */
export const MEMORY = 0x1_2340_0000n;

/** A bus with some memory behind it, and a list of all that came over it. What lies outside is not mapped. */
export class FakeBus implements Bus {
  readonly memory: Uint8Array;
  readonly transfers: Transfer[] = [];
  /** Vectors, in order. */
  readonly raised: number[] = [];
  /** The line, each time it changed. */
  readonly lines: boolean[] = [];
  /** The program is called as it hears of an interrupt. */
  heard: ((vector: number) => void) | undefined;
  mastering = true;
  #later: (() => void)[] = [];

  constructor(bytes = 8 << 20) {
    this.memory = new Uint8Array(bytes);
  }

  read(iova: bigint, into: Uint8Array): DmaResult {
    return this.#transfer("read", iova, into, (memory) => into.set(memory));
  }

  write(iova: bigint, from: Uint8Array): DmaResult {
    return this.#transfer("write", iova, from, (memory) => memory.set(from.subarray(0, memory.length)));
  }

  raise(vector: number): void {
    this.raised.push(vector);
    this.heard?.(vector);
  }

  line(raised: boolean): void {
    this.lines.push(raised);
  }

  later(work: () => void): void {
    this.#later.push(work);
  }

  /** What a reset does to whatever was to come later. */
  forget(): void {
    this.#later = [];
  }

  get waiting(): number {
    return this.#later.length;
  }

  /** One turn of the event loop. */
  turn(): boolean {
    const works = this.#later;
    this.#later = [];
    for (const work of works) work();
    return works.length > 0;
  }

  /** As many turns as there are. */
  settle(): void {
    for (let turns = 0; this.turn(); turns++) if (turns > 1e5) throw new Error("no end of turns");
  }

  #transfer(way: "read" | "write", iova: bigint, buffer: Uint8Array, move: (memory: Uint8Array) => void): DmaResult {
    if (!this.mastering) return { bytes: 0, fault: { iova, why: "bus mastering is off" as "not mapped" } };
    const at = Number(iova - MEMORY);
    const bytes = at < 0 || at >= this.memory.length ? 0 : Math.min(buffer.length, this.memory.length - at);
    this.transfers.push({ way, iova, bytes: buffer.length });
    if (bytes > 0) move(this.memory.subarray(at, at + bytes));
    return bytes === buffer.length ? { bytes } : { bytes, fault: { iova: iova + BigInt(bytes), why: "not mapped" } };
  }
}
