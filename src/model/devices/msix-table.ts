import { MSIX_ENTRY_BYTES, pendingBytes } from "./facts.ts";

/** Where messages go, as the kernel writes it. */
const ADDRESS = 0xfee0_0000;

/** Bit 0 of an entry's last word: the vector is masked. */
const MASKED = 1;

/**
 * The table of MSI-X in a device, and its pending bits. (PCI 3.0, 6.8.2)
 *
 *     | address (8) | data (4) | control (4): masked |   for each vector
 */
export class MsixTable {
  readonly entries: Uint8Array;
  readonly pending: Uint8Array;
  readonly #view: DataView;
  readonly vectors: number;

  constructor(vectors: number) {
    this.vectors = vectors;
    this.entries = new Uint8Array(vectors * MSIX_ENTRY_BYTES);
    this.pending = new Uint8Array(pendingBytes(vectors));
    this.#view = new DataView(this.entries.buffer);
    this.reset();
  }

  /** All are masked, and nothing is pending. */
  reset(): void {
    this.entries.fill(0);
    this.pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) this.mask(vector);
  }

  /** The kernel writes a message, and unmasks it. (`kernel/irq/msi.c`) */
  arm(vector: number): void {
    const at = vector * MSIX_ENTRY_BYTES;
    this.#view.setUint32(at, ADDRESS, true);
    this.#view.setUint32(at + 4, 0, true);
    this.#view.setUint32(at + 8, vector, true);
    this.#view.setUint32(at + 12, 0, true);
  }

  mask(vector: number): void {
    this.#view.setUint32(vector * MSIX_ENTRY_BYTES + 12, MASKED, true);
  }

  isMasked(vector: number): boolean {
    return (this.#view.getUint32(vector * MSIX_ENTRY_BYTES + 12, true) & MASKED) !== 0;
  }

  /** A program that writes to the mapped table can lead a message astray: the machine takes none but the kernel's. */
  isKernels(vector: number): boolean {
    const at = vector * MSIX_ENTRY_BYTES;
    const view = this.#view;
    return (
      view.getUint32(at, true) === ADDRESS &&
      view.getUint32(at + 4, true) === 0 &&
      view.getUint32(at + 8, true) === vector
    );
  }

  setPending(vector: number): void {
    this.pending[vector >> 3] = (this.pending[vector >> 3] as number) | (1 << (vector & 7));
  }

  /** Whether one was pending, which it is not any more. */
  takePending(vector: number): boolean {
    const bits = this.pending[vector >> 3] as number;
    this.pending[vector >> 3] = bits & ~(1 << (vector & 7));
    return (bits & (1 << (vector & 7))) !== 0;
  }
}
