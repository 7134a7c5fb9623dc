import { type MemorySource, ModelUnknown } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";

/**
 * The memory of another process, for a model to run on. The process mmaps it itself: what the model is told of here is there already, so
 * these calls change nothing. A view is a copy, and goes back where it was changed when it ends.
 */
export class OtherMemory implements MemorySource {
  readonly identity = Object.freeze({});
  readonly #native: Supervision;
  readonly #pid: number;
  readonly #views = new Map<Uint8Array, { readonly address: bigint; readonly before: Uint8Array }>();

  constructor(native: Supervision, pid: number) {
    this.#native = native;
    this.#pid = pid;
  }

  mmap(address: bigint): bigint {
    return address;
  }

  munmap(): number {
    return 0;
  }

  view(address: bigint, length: bigint): Uint8Array {
    const view = new Uint8Array(Number(length));
    const bytes = this.#native.execRead(this.#pid, address, view);
    if (bytes !== view.length) throw this.#gone("read", address);
    this.#views.set(view, { address, before: view.slice() });
    return view;
  }

  unview(view: Uint8Array): void {
    const { address, before } = this.#views.get(view) ?? { address: 0n, before: view };
    this.#views.delete(view);
    for (const { from, to } of changedRuns(before, view)) {
      const bytes = this.#native.execWrite(this.#pid, address + BigInt(from), view.subarray(from, to));
      if (bytes !== to - from) throw this.#gone("write", address);
    }
  }

  physicalAddresses(): BigUint64Array {
    throw new ModelUnknown("the physical addresses of another process's memory");
  }

  #gone(what: string, address: bigint): ModelUnknown {
    return new ModelUnknown(
      `a device's ${what} at 0x${address.toString(16)} of process ${this.#pid}, which has no memory there`,
    );
  }
}

/** Where `after` differs from `before`: the longest runs, each of bytes that all differ. */
export function changedRuns(before: Uint8Array, after: Uint8Array): { readonly from: number; readonly to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (let at = 0; at < after.length; at++) {
    if (before[at] === after[at]) continue;
    const from = at;
    while (at < after.length && before[at] !== after[at]) at++;
    runs.push({ from, to: at });
  }
  return runs;
}
