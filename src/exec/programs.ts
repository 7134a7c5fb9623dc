import type { ModelKernel } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import { procText } from "./proc.ts";
import { Program, type ProgramTerms } from "./program.ts";

/** The processes that make calls of VFIO, and which thread is of which. */
export class Programs {
  readonly #native: Supervision;
  readonly #machine: ModelKernel;
  readonly #terms: ProgramTerms;
  readonly #programs = new Set<Program>();
  /** By thread, as it was last seen. */
  readonly #ofThread = new Map<number, Program>();

  constructor(native: Supervision, machine: ModelKernel, terms: ProgramTerms) {
    this.#native = native;
    this.#machine = machine;
    this.#terms = terms;
  }

  get all(): readonly Program[] {
    return [...this.#programs];
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

  /** The process of a pidfd. */
  byFile(pidfd: number): Program | undefined {
    return this.all.find((program) => program.pidfd === pidfd);
  }

  /** It has ended, or executes another program. */
  remove(program: Program): void {
    this.#programs.delete(program);
    for (const [thread, one] of this.#ofThread) if (one === program) this.#ofThread.delete(thread);
  }

  #begin(thread: number): Program {
    const program = new Program(this.#native, this.#machine, leaderOf(thread), this.#terms);
    this.#programs.add(program);
    this.#ofThread.set(thread, program);
    if (program.pidfd >= 0) this.#native.execWatchProcess(program.pidfd);
    return program;
  }
}

/** The number of a thread's process. One that was killed meanwhile is its own: its calls reach nobody any more. */
function leaderOf(thread: number): number {
  const status = procText(`/proc/${thread}/status`);
  return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
}
