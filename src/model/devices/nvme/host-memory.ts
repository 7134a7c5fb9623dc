import type { Bus } from "../plug.ts";
import type { Command } from "./command.ts";
import { LEAST_PAGE } from "./registers.ts";
import { Status } from "./status.ts";

/** The bytes of an entry of a PRP list. */
const PRP_BYTES = 8;

/**
 * The memory that a command names by its PRPs. NVMe 1.4, 4.3: PRP1 may begin in the middle of a page of the host, all others are whole
 * pages. PRP2 is the second page, or where there are more, a list of them; the last place of a page of the list leads to the next
 * page of it when more follow.
 *
 *     PRP1 -> [ ..data]   PRP2 -> | PRP | PRP | PRP | next | -> | PRP | PRP |
 *
 * All PRPs are looked at before a byte is moved, so that a command with a wrong one changes nothing. Of a list no more is read than
 * the command needs.
 */
export class HostMemory {
  readonly #bus: Bus;
  #pageBytes = LEAST_PAGE;
  #list = new Uint8Array(0);
  #view = new DataView(this.#list.buffer);
  /** The first bytes of a list's page, by how many PRPs they are. */
  #firsts: Uint8Array[] = [];
  /** Where pieces begin: of the first `#count`. */
  readonly #addresses: bigint[] = [];
  #count = 0;
  /** Bytes of the first piece. */
  #firstBytes = 0;
  #index = 0;
  #within = 0;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** The host's page, as CC says it when the controller is enabled. */
  setPage(bytes: number): void {
    if (bytes === this.#list.length) return; // and the views stay as they are
    this.#pageBytes = bytes;
    this.#list = new Uint8Array(bytes);
    this.#view = new DataView(this.#list.buffer);
    this.#firsts = [];
  }

  get pageBytes(): number {
    return this.#pageBytes;
  }

  /** Takes a command's PRPs, for so many bytes, 1 or more. A status: anything but 0, and there is nothing to move. */
  open(command: Command, bytes: number): number {
    this.#index = 0;
    this.#within = 0;
    const page = this.#pageBytes;
    if ((command.prp1Low & 3) !== 0) return Status.INVALID_PRP_OFFSET;
    this.#addresses[0] = command.prp1;
    this.#count = 1;
    this.#firstBytes = page - (command.prp1Low & (page - 1));
    const rest = bytes - this.#firstBytes;
    if (rest <= 0) return Status.SUCCESS;
    const offset = command.prp2Low & (page - 1);
    if (rest > page) return this.#openList(command.prp2, offset, Math.ceil(rest / page));
    if (offset !== 0) return Status.INVALID_PRP_OFFSET;
    this.#addresses[1] = command.prp2;
    this.#count = 2;
    return Status.SUCCESS;
  }

  /** Where the next byte goes. */
  get here(): bigint {
    const address = this.#addresses[this.#index] as bigint;
    return this.#within === 0 ? address : address + BigInt(this.#within);
  }

  /** Bytes from there on that lie side by side. */
  get left(): number {
    return (this.#index === 0 ? this.#firstBytes : this.#pageBytes) - this.#within;
  }

  advance(bytes: number): void {
    if (bytes < this.left) {
      this.#within += bytes;
      return;
    }
    this.#index++;
    this.#within = 0;
  }

  /** Device to host: all of `from`, into what was opened for as many bytes. False when DMA fails. */
  write(from: Uint8Array): boolean {
    for (let done = 0; done < from.length; ) {
      const bytes = Math.min(this.left, from.length - done);
      const piece = bytes === from.length ? from : from.subarray(done, done + bytes);
      if (this.#bus.write(this.here, piece).fault !== undefined) return false;
      this.advance(bytes);
      done += bytes;
    }
    return true;
  }

  /** Host to device: fills `into`. False when DMA fails. */
  read(into: Uint8Array): boolean {
    for (let done = 0; done < into.length; ) {
      const bytes = Math.min(this.left, into.length - done);
      const piece = bytes === into.length ? into : into.subarray(done, done + bytes);
      if (this.#bus.read(this.here, piece).fault !== undefined) return false;
      this.advance(bytes);
      done += bytes;
    }
    return true;
  }

  /** Each page but the first gives at least 511 PRPs or is the last: so a list that leads to itself ends too. */
  #openList(start: bigint, offset: number, pages: number): number {
    if (offset % PRP_BYTES !== 0) return Status.INVALID_PRP_OFFSET;
    let address = start;
    let places = (this.#pageBytes - offset) / PRP_BYTES;
    for (let left = pages; ; ) {
      const chained = left > places;
      const read = chained ? places : left;
      this.#firsts[read] ??= this.#list.subarray(0, read * PRP_BYTES);
      if (this.#bus.read(address, this.#firsts[read] as Uint8Array).fault !== undefined)
        return Status.LIST_TRANSFER_ERROR;
      for (let place = 0; place < read; place++) {
        const at = place * PRP_BYTES;
        if ((this.#view.getUint32(at, true) & (this.#pageBytes - 1)) !== 0) return Status.INVALID_PRP_OFFSET;
        const prp = this.#view.getBigUint64(at, true);
        if (chained && place === read - 1) address = prp;
        else this.#addresses[this.#count++] = prp;
      }
      if (!chained) return Status.SUCCESS;
      left -= read - 1;
      places = this.#pageBytes / PRP_BYTES;
    }
  }
}
