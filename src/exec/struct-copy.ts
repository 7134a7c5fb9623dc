import { ERRNO } from "../errno.ts";
import type { Supervision } from "../supervision.ts";
import type { ProgramEvent } from "./event.ts";
import { changedRuns } from "./other-memory.ts";
import { type Shape, shapeOf } from "./structs.ts";

const NAME_MAX = 4096;
const ROOM = 16384;

/**
 * The struct of a call, out of the program's memory and back. The model works on a copy; what it changed there goes back, and no other byte: another
 * thread of the program may write beside it.
 */
export class StructCopy {
  readonly bytes = new Uint8Array(ROOM);
  readonly view = new DataView(this.bytes.buffer);
  readonly #native: Supervision;
  readonly #before = new Uint8Array(ROOM);
  #address = 0n;
  #thread = 0;
  /** How many bytes of the program's the copy has. */
  length = 0;

  constructor(native: Supervision) {
    this.#native = native;
  }

  /** False where the program has no such memory: the kernel answers EFAULT. */
  take(event: ProgramEvent, call: number): boolean {
    const { least, most } = shapeOf(call) as Shape;
    this.#begin(event);
    this.#have(event.data, most);
    if (this.length < least) return false;
    // Whoever has a struct of a fixed size has read it by now.
    const wanted = least === most ? most : Math.min(Math.max(this.view.getUint32(0, true), least), most);
    if (wanted > this.length) this.#read(event, wanted);
    return this.length >= Math.min(wanted, least);
  }

  /** A string that ends with a 0. False where it does not, in the program's memory or in a page's bytes. */
  takeName(event: ProgramEvent): boolean {
    this.#begin(event);
    this.#read(event, NAME_MAX);
    // The kernel's word for a name that is too long is the model's to say, where the program has a page of it.
    return this.length === NAME_MAX || this.bytes.subarray(0, this.length).includes(0);
  }

  /** 0, or -EFAULT. */
  giveBack(): number {
    for (const { from, to } of changedRuns(
      this.#before.subarray(0, this.length),
      this.bytes.subarray(0, this.length),
    )) {
      const written = this.#native.execWrite(this.#thread, this.#address + BigInt(from), this.bytes.subarray(from, to));
      if (written !== to - from) return -ERRNO.EFAULT;
    }
    return 0;
  }

  #begin(event: ProgramEvent): void {
    this.bytes.fill(0, 0, Math.max(this.length, 64));
    this.#address = event.argument(2);
    this.#thread = event.thread;
    this.length = 0;
  }

  #have(data: Uint8Array, most: number): void {
    this.length = Math.min(data.length, most);
    this.bytes.set(data.subarray(0, this.length));
    this.#before.set(this.bytes.subarray(0, this.length));
  }

  /** As much as there is of `wanted` bytes. */
  #read(event: ProgramEvent, wanted: number): void {
    const read = this.#native.execRead(event.thread, this.#address, this.bytes.subarray(0, wanted));
    this.length = Math.max(read, 0);
    this.#before.set(this.bytes.subarray(0, this.length));
  }
}
