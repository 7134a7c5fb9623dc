import { readFileSync } from "node:fs";
import type { ModelKernel } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { Program } from "./program.ts";

/** The processes that make calls of VFIO, and which thread is of which. */
export class Programs {
  readonly #native: Supervision;
  readonly #machine: ModelKernel;
  readonly #inFront: (kernel: Syscalls) => Syscalls;
  /** By pidfd. */
  readonly #programs = new Map<number, Program>();
  /** By thread, as it was last seen. */
  readonly #ofThread = new Map<number, Program>();

  /** `inFront` is asked once for each process. */
  constructor(native: Supervision, machine: ModelKernel, inFront: (kernel: Syscalls) => Syscalls) {
    this.#native = native;
    this.#machine = machine;
    this.#inFront = inFront;
  }

  /** Their pidfds. */
  get files(): readonly number[] {
    return [...this.#programs.keys()];
  }

  get all(): readonly Program[] {
    return [...this.#programs.values()];
  }

  /** The process of a thread that waits; a new one where it was not seen before. */
  of(thread: number): Program {
    return this.known(thread) ?? this.#begin(thread);
  }

  /** The process of a thread, if it made calls before. A thread's number may be another's by now, so its memory is compared. */
  known(thread: number): Program | undefined {
    const last = this.#ofThread.get(thread);
    if (last !== undefined && this.#native.execCompareMemory(thread, last.pid) === 0) return last;
    const found = this.all.find(({ pid }) => this.#native.execCompareMemory(thread, pid) === 0);
    if (found === undefined) this.#ofThread.delete(thread);
    else this.#ofThread.set(thread, found);
    return found;
  }

  /** A process executes another program: as one it has ended. */
  replaced(program: Program): void {
    for (const [pidfd, one] of this.#programs) if (one === program) this.ended(pidfd);
  }

  /** A process has ended, by its pidfd; it is not among them any more. */
  ended(pidfd: number): Program | undefined {
    const program = this.#programs.get(pidfd);
    this.#programs.delete(pidfd);
    for (const [thread, one] of this.#ofThread) if (one === program) this.#ofThread.delete(thread);
    return program;
  }

  #begin(thread: number): Program {
    const pid = leaderOf(thread);
    const pidfd = this.#native.execProcessFile(pid);
    const program = new Program(this.#native, this.#machine, pid, this.#inFront);
    this.#programs.set(pidfd, program);
    this.#ofThread.set(thread, program);
    if (pidfd >= 0) this.#native.execWatchProcess(pidfd);
    return program;
  }
}

/** The number of a thread's process. */
function leaderOf(thread: number): number {
  const status = readFileSync(`/proc/${thread}/status`, "latin1");
  return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
}
