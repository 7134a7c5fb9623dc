import { readFileSync } from "node:fs";
import type { ModelKernel } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { KnownMemory } from "./known-memory.ts";
import { OtherMemory } from "./other-memory.ts";

/** CAP_IPC_LOCK. */
const LOCK_ALL = 1n << 14n;
const NO_LIMIT = 2n ** 64n - 1n;

/** One process that makes calls of VFIO, or rather one memory: what it is to the model. */
export class Program {
  /** The number of the process. */
  readonly pid: number;
  readonly kernel: ModelKernel;
  /** The same, with a recorder of its calls in front where somebody wants them. */
  readonly calls: Syscalls;
  readonly memory: KnownMemory;
  /** A descriptor in the model of a file that has nothing to do with VFIO. */
  readonly foreign: number;
  readonly #native: Supervision;
  #limit: bigint;

  constructor(native: Supervision, machine: ModelKernel, pid: number, inFront: (kernel: Syscalls) => Syscalls) {
    this.#native = native;
    this.pid = pid;
    this.#limit = native.execLockedLimit(pid);
    this.kernel = machine.spawn({
      memory: new OtherMemory(native, pid),
      lockedMemory: { limit: limitOf(this.#limit), privileged: mayLockAll(pid) },
    });
    this.calls = inFront(this.kernel);
    this.memory = new KnownMemory({ ...bound(this.calls), pageSize: this.kernel.pageSize }, pid);
    this.foreign = this.kernel.eventfd();
  }

  /** RLIMIT_MEMLOCK as it is now. */
  readLimit(): void {
    const limit = this.#native.execLockedLimit(this.pid);
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.kernel.limitLockedMemory({ limit: limitOf(limit) });
  }
}

function bound(calls: Syscalls): Pick<Syscalls, "mmap" | "munmap"> {
  return { mmap: (...all) => calls.mmap(...all), munmap: (...all) => calls.munmap(...all) };
}

function limitOf(limit: bigint): bigint | null {
  return limit === NO_LIMIT ? null : limit;
}

/** CAP_IPC_LOCK counts in the first user namespace alone, whose map is the identity. (`user_namespaces(7)`) */
function mayLockAll(pid: number): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "0";
    const users = readFileSync(`/proc/${pid}/uid_map`, "latin1").trim().split(/\s+/);
    return (BigInt(`0x${effective}`) & LOCK_ALL) !== 0n && users.join(" ") === "0 0 4294967295";
  } catch {
    return false; // it has ended
  }
}
