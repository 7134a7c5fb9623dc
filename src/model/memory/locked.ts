import { keysOf, known } from "../../known.ts";
import type { LockedMemory } from "../../syscalls.ts";
import { boolean, object, size } from "../../validate.ts";

/** How much a process may lock. Read anew on every charge, so a program may change it while the model runs. */
export interface LockedMemoryLimits {
  /** RLIMIT_MEMLOCK in bytes; `null` when unlimited. */
  readonly limit: bigint | number | null;
  /** CAP_IPC_LOCK, in the initial user namespace: nothing is ever refused. In the model CAP_SYS_RAWIO comes with it. */
  readonly privileged: boolean;
}

const KEYS = keysOf<LockedMemoryLimits>({ limit: true, privileged: true });

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function checkLimits(name: string, limits: LockedMemoryLimits): LockedMemoryLimits {
  known(name, object(name, limits), KEYS);
  exactLimit(`${name}.limit`, limits.limit);
  boolean(`${name}.privileged`, limits.privileged);
  return limits;
}

function exactLimit(name: string, limit: bigint | number | null): bigint | null {
  return limit === null ? null : size(name, limit);
}

/**
 * VmLck: what a process has locked, in pages of the CPU. Pinned memory and TCE tables draw on the same account.
 *
 * Rule: `mm/util.c: __account_locked_vm`. The limit is rounded down to whole pages; exactly at the limit is fine.
 */
export class LockedAccount {
  /** What a child inherits. */
  limits: LockedMemoryLimits;
  readonly #pageSize: number;
  /** Pages of the CPU; below 2^52 + 2^52 for tables of any window size, so exact. */
  #pages = 0;
  /** Of those: charged for a table that was never made, and never given back. */
  #leakedPages = 0;
  #ended = false;

  constructor(limits: LockedMemoryLimits, pageSize: number) {
    this.limits = limits;
    this.#pageSize = pageSize;
  }

  /** False when the limit is in the way; nothing is charged then. */
  charge(pages: number): boolean {
    const { limit, privileged } = this.limits;
    // A JS number on both sides: a limit above 2^53 bytes loses low bits that are below one page anyway.
    if (!privileged && limit !== null && this.#pages + pages > Math.floor(Number(limit) / this.#pageSize)) return false;
    this.#pages += pages;
    return true;
  }

  /** A container can outlive its owner: nobody is paid back then. */
  release(pages: number): void {
    if (!this.#ended) this.#pages -= pages;
  }

  /** The charge stays, and nobody is left to give it back. */
  leak(pages: number): void {
    this.#leakedPages += pages;
  }

  /** The process has ended: its account with it. */
  end(): void {
    this.#ended = true;
    this.#pages = 0;
    this.#leakedPages = 0;
  }

  get leakedBytes(): bigint {
    return BigInt(this.#leakedPages) * BigInt(this.#pageSize);
  }

  /** A size in bytes as the kernel charges it: whole pages, the rest of the division is free. */
  pagesOf(bytes: bigint): number {
    return Number(bytes / BigInt(this.#pageSize));
  }

  bytesOf(pages: number): bigint {
    return BigInt(pages) * BigInt(this.#pageSize);
  }

  report(): LockedMemory {
    const { limit, privileged } = this.limits;
    return { limit: exactLimit("lockedMemory.limit", limit), used: this.bytesOf(this.#pages), privileged };
  }
}
