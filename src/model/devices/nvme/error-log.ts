import type { Command } from "./command.ts";
import { Io } from "./opcodes.ts";

/** Entries that are kept. */
export const ERROR_ENTRIES = 64;
const ENTRY_BYTES = 64;

/** No field of the command in particular. */
const NO_LOCATION = 0xffff;

/** The Error Information log: commands that did not succeed, the newest first. NVMe 1.4, 5.14.1.1. It outlives every reset. */
export class ErrorLog {
  readonly #ring = new Uint8Array(ERROR_ENTRIES * ENTRY_BYTES);
  readonly #view = new DataView(this.#ring.buffer);
  #count = 0;

  /** How many there were since the device was made. */
  get count(): number {
    return this.#count;
  }

  record(command: Command, status: number): void {
    const at = (this.#count % ERROR_ENTRIES) * ENTRY_BYTES;
    this.#count++;
    const queue = command.queue?.id ?? 0;
    const hasBlock = queue !== 0 && command.opcode !== Io.FLUSH && command.opcode !== Io.DATASET;
    this.#view.setBigUint64(at, BigInt(this.#count), true);
    this.#view.setUint16(at + 8, queue, true);
    this.#view.setUint16(at + 10, command.id, true);
    this.#view.setUint16(at + 12, status << 1, true);
    this.#view.setUint16(at + 14, NO_LOCATION, true);
    this.#view.setUint32(at + 16, hasBlock ? command.dw10 : 0, true);
    this.#view.setUint32(at + 20, hasBlock ? command.dw11 : 0, true);
    this.#view.setUint32(at + 24, command.nsid, true);
  }

  /** As Get Log Page gives it. */
  page(): Uint8Array {
    const page = new Uint8Array(this.#ring.length);
    const kept = Math.min(this.#count, ERROR_ENTRIES);
    for (let i = 0; i < kept; i++) {
      const at = ((this.#count - 1 - i) % ERROR_ENTRIES) * ENTRY_BYTES;
      page.set(this.#ring.subarray(at, at + ENTRY_BYTES), i * ENTRY_BYTES);
    }
    return page;
  }
}
