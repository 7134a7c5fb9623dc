import type { LockedMemoryLimits, ModelKernel } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { KnownMemory } from "./known-memory.ts";
import { OtherMemory } from "./other-memory.ts";
import { procText } from "./proc.ts";

/** CAP_IPC_LOCK. */
const LOCK_ALL = 1n << 14n;
const NO_LIMIT = 2n ** 64n - 1n;

/** What all programs have of the command line. */
export interface ProgramTerms {
  /** Stands in front of the model, for each process anew: faults, a recorder of calls. */
  readonly inFront: (kernel: Syscalls) => Syscalls;
  /** In place of the process's own. */
  readonly locked: LockedMemoryLimits | undefined;
}

/** One process that makes calls of VFIO, or rather one memory: what it is to the model. */
export class Program {
  /** The number of the process. */
  readonly pid: number;
  /** A descriptor by which its end is seen; below 0 where it has ended already. */
  readonly pidfd: number;
  readonly kernel: ModelKernel;
  /** The same, with a recorder of its calls in front where somebody wants them. */
  readonly calls: Syscalls;
  readonly memory: KnownMemory;
  /** A descriptor in the model of a file that has nothing to do with VFIO. */
  readonly foreign: number;
  readonly #native: Supervision;
  readonly #own: OtherMemory;
  /** Where its memory's first stack begins: another one's begins elsewhere. */
  readonly #stack: string;
  /** `undefined` where the command line has one. */
  #limit: bigint | undefined;
  #mayBeAnother = false;

  constructor(native: Supervision, machine: ModelKernel, pid: number, { inFront, locked }: ProgramTerms) {
    this.#native = native;
    this.pid = pid;
    this.pidfd = native.execProcessFile(pid);
    this.#limit = locked === undefined ? native.execLockedLimit(pid) : undefined;
    this.#own = new OtherMemory(native, pid, () => !this.#mayBeAnother || this.#isSame);
    this.kernel = machine.spawn({
      memory: this.#own,
      lockedMemory: locked ?? { limit: limitOf(this.#limit), privileged: mayLockAll(pid) },
    });
    this.calls = inFront(this.kernel);
    const { kernel } = this;
    const protect: ModelKernel["protect"] = (...all) => kernel.protect(...all);
    this.memory = new KnownMemory({ ...bound(this.calls), protect, pageSize: kernel.pageSize }, pid);
    this.foreign = this.kernel.eventfd();
    this.#stack = stackOf(pid);
  }

  /** It is about to execute another program, which may fail. */
  executes(): void {
    this.#mayBeAnother = true;
  }

  /** Whether the process executes another program by now, with another memory. Cost: nothing, unless it was about to. */
  get isAnother(): boolean {
    if (!this.#mayBeAnother) return false;
    this.#mayBeAnother = false;
    return !this.#isSame;
  }

  get #isSame(): boolean {
    return stackOf(this.pid) === this.#stack;
  }

  /** Pages that devices reach are about to go: what they find there from then on is as it is now. */
  keep(address: bigint, pages: number): void {
    this.#own.copy(address, pages);
  }

  /** RLIMIT_MEMLOCK as it is now. */
  readLimit(): void {
    if (this.#limit === undefined) return;
    const limit = this.#native.execLockedLimit(this.pid);
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.kernel.limitLockedMemory({ limit: limitOf(limit) });
  }
}

function bound(calls: Syscalls): Pick<Syscalls, "mmap" | "munmap"> {
  return { mmap: (...all) => calls.mmap(...all), munmap: (...all) => calls.munmap(...all) };
}

/** `startcode`, `endcode` and `startstack`. (`proc_pid_stat(5)`) */
function stackOf(pid: number): string {
  const words = procText(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  return words.slice(23, 26).join(" ");
}

function limitOf(limit: bigint | undefined): bigint | null {
  return limit === undefined || limit === NO_LIMIT ? null : limit;
}

/** CAP_IPC_LOCK counts in the first user namespace alone, whose map is the identity. (`user_namespaces(7)`) */
function mayLockAll(pid: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(procText(`/proc/${pid}/status`))?.[1] ?? "0";
  const users = procText(`/proc/${pid}/uid_map`).trim().split(/\s+/);
  return (BigInt(`0x${effective}`) & LOCK_ALL) !== 0n && users.join(" ") === "0 0 4294967295";
}
