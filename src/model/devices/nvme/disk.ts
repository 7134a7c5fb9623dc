/** Bytes of a namespace, in pages of 4 KiB: those of a Uint8Array, or such as exist from the first write on. */
export const DISK_PAGE = 4096;

const ZEROS = new Uint8Array(DISK_PAGE);

export class Disk {
  readonly bytes: number;
  readonly #whole: Uint8Array | undefined;
  /** Of the whole: views, each made once, so that reading makes no garbage. Without one: the pages that were written. */
  readonly #pages = new Map<number, Uint8Array>();

  /** @param of the bytes, or how many there are */
  constructor(of: Uint8Array | number) {
    this.#whole = typeof of === "number" ? undefined : of;
    this.bytes = typeof of === "number" ? of : of.length;
  }

  /** To be read, and not to be written. The last one may be shorter. */
  page(index: number): Uint8Array {
    return this.#pages.get(index) ?? (this.#whole === undefined ? ZEROS : this.#shown(this.#whole, index));
  }

  /** To be written. */
  writable(index: number): Uint8Array {
    const page = this.#pages.get(index);
    if (page !== undefined) return page;
    if (this.#whole !== undefined) return this.#shown(this.#whole, index);
    const fresh = new Uint8Array(DISK_PAGE);
    this.#pages.set(index, fresh);
    return fresh;
  }

  /** Makes bytes zero. Whole pages that only exist because they were written go. Cost: in proportion to the pages. */
  clear(start: number, bytes: number): void {
    for (let at = start; at < start + bytes; ) {
      const index = Math.floor(at / DISK_PAGE);
      const within = at - index * DISK_PAGE;
      const end = Math.min(DISK_PAGE, within + start + bytes - at);
      if (this.#whole !== undefined) this.#shown(this.#whole, index).fill(0, within, end);
      else if (end - within === DISK_PAGE) this.#pages.delete(index);
      else this.#pages.get(index)?.fill(0, within, end);
      at += end - within;
    }
  }

  #shown(whole: Uint8Array, index: number): Uint8Array {
    const page = this.#pages.get(index);
    if (page !== undefined) return page;
    const view = whole.subarray(index * DISK_PAGE, (index + 1) * DISK_PAGE);
    this.#pages.set(index, view);
    return view;
  }
}
