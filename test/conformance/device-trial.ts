import type { Syscalls } from "../../src/syscalls.ts";
import type { Device } from "./target.ts";

/** Bytes that a device moves at once. */
const SAMPLE = 16;

/** Finds out, through memory alone, what a device can reach: it does not know itself what became of a transfer. */
export class DeviceTrial {
  readonly #kernel: Syscalls;
  #pattern = 0;

  constructor(kernel: Syscalls) {
    this.#kernel = kernel;
  }

  /** Whether a device's write at `iova` changes memory at `va`. */
  stores(device: Device, iova: bigint, va: bigint): string {
    // The device may hold just what is there already: two tries with different bytes tell.
    for (let attempt = 0; attempt < 2; attempt++) {
      const before = this.fill(va);
      device.store(iova, SAMPLE);
      if (this.#read(va) !== before) return "written";
    }
    return "write stopped";
  }

  /**
   * Whether a device that reads at `iova` gets what is at `va`. It shows what it got at `scratch`, where it can write. What its
   * buffer held before may look like it, so here too there are two tries.
   */
  loads(device: Device, iova: bigint, va: bigint, scratchIova: bigint, scratch: bigint): string {
    for (let attempt = 0; attempt < 2; attempt++) {
      const there = this.fill(va);
      this.fill(scratch);
      device.load(iova, SAMPLE);
      device.store(scratchIova, SAMPLE);
      if (this.#read(scratch) !== there) return "read stopped";
    }
    return "read";
  }

  /** Fills a sample of memory with a byte that was not used just before, and says what is there now. */
  fill(va: bigint): string {
    this.#pattern = (this.#pattern % 255) + 1;
    const view = this.#kernel.view(va, BigInt(SAMPLE));
    view.fill(this.#pattern);
    this.#kernel.unview(view);
    return this.#read(va);
  }

  #read(va: bigint): string {
    const view = this.#kernel.view(va, BigInt(SAMPLE));
    const found = view.join();
    this.#kernel.unview(view);
    return found;
  }
}
