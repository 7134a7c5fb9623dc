/** A kernel that says no when a test wants it to. */
import { constants } from "node:os";
import type { Syscalls } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";

/** Negative errnos, as the kernel answers: `no.EBUSY`. */
export const no = Object.fromEntries(
  Object.entries(constants.errno).map(([name, value]) => [name, -value]),
) as Readonly<Record<keyof typeof constants.errno, number>>;

export interface Fault {
  /** `open`, `MAP_DMA`, ... : the end of the call's name. Every call counts when it is left out. */
  readonly call?: string;
  /** Which one of those calls, counted from 0 and from when the fault was set up. Default: 0, the next one. */
  readonly nth?: number;
  /** How many of them in a row. Default: 1. */
  readonly times?: number;
  /** A negative errno, or a positive number. */
  readonly answer: number;
}

interface Armed extends Fault {
  seen: number;
}

export class FaultySyscalls extends Through {
  #faults: Armed[] = [];
  /** The calls that were answered here: the kernel behind has not seen them. */
  readonly refused: string[] = [];

  /** Answers those calls itself, so that the kernel behind does not see them. */
  fail(...faults: readonly Fault[]): this {
    this.#faults.push(...faults.map((fault) => ({ ...fault, seen: 0 })));
    return this;
  }

  /** Everything passes again. */
  heal(): void {
    this.#faults = [];
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    let answer: number | undefined;
    for (const fault of this.#faults) {
      // The end of a name that is a whole word: REGISTER_MEMORY is no UNREGISTER_MEMORY.
      if (fault.call !== undefined && call.name !== fault.call && !call.name.endsWith(`_${fault.call}`)) continue;
      const first = fault.nth ?? 0;
      if (fault.seen >= first && fault.seen < first + (fault.times ?? 1)) answer ??= fault.answer;
      fault.seen++;
    }
    if (answer === undefined) return make();
    this.refused.push(call.name);
    return (call.name === "mmap" ? BigInt(answer) : answer) as R;
  }
}

export function faulty(kernel: Syscalls, ...faults: readonly Fault[]): FaultySyscalls {
  return new FaultySyscalls(kernel).fail(...faults);
}
