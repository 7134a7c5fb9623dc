import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { ERRNO } from "../errno.ts";
import { type MemorySource, ModelUnknown } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";

const PAGE = 4096;
/** How much is copied of what goes: of all that a process gives back while devices reach it. */
const COPIES_MAX = 64 << 20;

/**
 * The memory of another process, for a model to run on. The process mmaps it itself: what the model is told of here is there already, so
 * these calls change nothing. A view is a copy, and goes back where it was changed when it ends.
 *
 * A device's pages are pinned: what the process gives back, and others, goes on to be the device's. So they are copied before they go, and
 * the copies are what a device reaches from then on:
 *
 *     copy(pages)   the process is about to give back what devices reach
 *     keep(owner)   the model lets its record of them go: the copies are the owner's
 *     kept(owner)   a device reaches a page that the process has not any more
 */
export class OtherMemory implements MemorySource {
  readonly identity = Object.freeze({});
  readonly #native: Supervision;
  readonly #pid: number;
  readonly #isThere: () => boolean;
  readonly #views = new Map<Uint8Array, { readonly address: bigint; readonly before: Uint8Array }>();
  /** By address: pages that are about to go. */
  readonly #copies = new Map<bigint, Uint8Array>();
  readonly #kept = new WeakMap<object, Map<bigint, Uint8Array>>();
  #copied = 0;

  /** `isThere`: the process is the program still whose memory it is, and executes no other. */
  constructor(native: Supervision, pid: number, isThere: () => boolean) {
    this.#native = native;
    this.#pid = pid;
    this.#isThere = isThere;
  }

  mmap(address: bigint): bigint {
    return address;
  }

  munmap(): number {
    return 0;
  }

  /** Pages from `address` on that devices reach are about to go. */
  copy(address: bigint, pages: number): void {
    for (let page = 0; page < pages && this.#copied < COPIES_MAX; page++) {
      const at = address + BigInt(page * PAGE);
      const bytes = new Uint8Array(PAGE);
      if (this.#read(at, bytes) !== PAGE) continue;
      if (!this.#copies.has(at)) this.#copied += PAGE;
      this.#copies.set(at, bytes);
    }
  }

  keep(owner: object, address: bigint, length: bigint): void {
    if (this.#copies.size === 0) return;
    const kept = this.#kept.get(owner) ?? new Map<bigint, Uint8Array>();
    this.#kept.set(owner, kept);
    for (const [at, bytes] of this.#copies) {
      if (at < address || at >= address + length) continue;
      kept.set(at, bytes);
      this.#copies.delete(at);
    }
  }

  kept(owner: object, address: bigint): Uint8Array | undefined {
    return this.#kept.get(owner)?.get(address);
  }

  view(address: bigint, length: bigint): Uint8Array {
    if (!this.#isThere())
      throw new ModelUnknown(`memory of process ${this.#pid}, which executes another program by now`);
    const view = new Uint8Array(Number(length));
    const bytes = this.#read(address, view);
    // It has ended: until its files are closed devices reach its pages, and nobody sees them.
    if (bytes === -ERRNO.ESRCH) return view;
    if (bytes !== view.length) throw this.#gone("read", address);
    this.#views.set(view, { address, before: view.slice() });
    return view;
  }

  unview(view: Uint8Array): void {
    const { address, before } = this.#views.get(view) ?? { address: 0n, before: view };
    this.#views.delete(view);
    for (const { from, to } of changedRuns(before, view)) {
      const bytes = this.#write(address + BigInt(from), view.subarray(from, to));
      if (bytes === -ERRNO.ESRCH) return;
      if (bytes !== to - from) throw this.#gone("write", address);
    }
  }

  physicalAddresses(): BigUint64Array {
    throw new ModelUnknown("the physical addresses of another process's memory");
  }

  /** As a device: what the process may do with its pages itself is not asked. */
  #read(address: bigint, into: Uint8Array): number {
    const bytes = this.#native.execRead(this.#pid, address, into);
    return bytes === into.length || bytes === -ERRNO.ESRCH
      ? bytes
      : this.#through((file) => readSync(file, into, 0, into.length, address));
  }

  #write(address: bigint, from: Uint8Array): number {
    const bytes = this.#native.execWrite(this.#pid, address, from);
    return bytes === from.length || bytes === -ERRNO.ESRCH
      ? bytes
      : // Below 2^53: addresses of a process are.
        this.#through((file) => writeSync(file, from, 0, from.length, Number(address)));
  }

  /** `/proc/PID/mem`, where protections do not count. (`fs/proc/base.c: mem_rw`, FOLL_FORCE) */
  #through(move: (file: number) => number): number {
    let file: number | undefined;
    try {
      file = openSync(`/proc/${this.#pid}/mem`, "r+");
      return move(file);
    } catch {
      return -ERRNO.EFAULT;
    } finally {
      if (file !== undefined) closeSync(file);
    }
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
