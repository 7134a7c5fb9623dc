/** DMA that is checked: every byte that a device moves, both ways. */
import type { Syscalls } from "../../../src/syscalls.ts";
import { EDU_BUFFER, type Edu } from "./edu.ts";

/** Memory, and where a device finds it. At least {@link EDU_BUFFER} bytes of it. */
export interface Place {
  readonly va: bigint;
  readonly iova: bigint;
}

/** Bytes that differ from place to place and from transfer to transfer: the same on every run. */
function fillWith(bytes: Uint8Array, seed: number): void {
  let state = (Math.imul(seed, 0x9e3779b9) ^ 0x5bd1e995) >>> 0 || 1;
  for (let at = 0; at < bytes.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
}

export class Traffic {
  readonly #kernel: Syscalls;
  readonly #device: Edu;
  /** Where the device shows what it has read. Mapped throughout. */
  readonly #scratch: Place;
  #seed = 0;
  /** Bytes that were not what they had to be. */
  wrongBytes = 0;

  constructor(kernel: Syscalls, device: Edu, scratch: Place) {
    this.#kernel = kernel;
    this.#device = device;
    this.#scratch = scratch;
  }

  /** The device reads a place, and then writes another: how many bytes of the second are not those of the first. */
  copy(from: Place, to: Place): number {
    const sent = this.#fill(from.va);
    this.#fill(to.va);
    this.#device.load(from.iova, EDU_BUFFER);
    this.#device.store(to.iova, EDU_BUFFER);
    const wrong = differing(sent, this.#read(to.va));
    this.wrongBytes += wrong;
    return wrong;
  }

  /** Whether the device can write a place: its bytes are others afterwards. Fails on a write that came halfway. */
  writes(place: Place): boolean {
    const sent = this.#fill(this.#scratch.va);
    this.#device.load(this.#scratch.iova, EDU_BUFFER);
    const before = this.#fill(place.va);
    this.#device.store(place.iova, EDU_BUFFER);
    return this.#allOrNothing(this.#read(place.va), sent, before, "written");
  }

  /** Whether the device can read a place: what it shows afterwards is what was there. */
  reads(place: Place): boolean {
    const there = this.#fill(place.va);
    this.#fill(this.#scratch.va);
    this.#device.load(place.iova, EDU_BUFFER);
    this.#device.store(this.#scratch.iova, EDU_BUFFER);
    return differing(there, this.#read(this.#scratch.va)) === 0;
  }

  #allOrNothing(now: Uint8Array, all: Uint8Array, nothing: Uint8Array, what: string): boolean {
    if (differing(now, all) === 0) return true;
    const wrong = differing(now, nothing);
    if (wrong === 0) return false;
    this.wrongBytes += wrong;
    throw new Error(`${wrong} bytes of ${EDU_BUFFER} were ${what}, and the others were not`);
  }

  #fill(va: bigint): Uint8Array {
    const view = this.#kernel.view(va, BigInt(EDU_BUFFER));
    fillWith(view, ++this.#seed);
    const copy = view.slice();
    this.#kernel.unview(view);
    return copy;
  }

  #read(va: bigint): Uint8Array {
    const view = this.#kernel.view(va, BigInt(EDU_BUFFER));
    const copy = view.slice();
    this.#kernel.unview(view);
    return copy;
  }
}

function differing(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) count++;
  return count;
}
