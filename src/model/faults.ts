import { argumentRangeError, argumentTypeError } from "../errors.ts";
import { inspectable } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { type Syscalls, VfioCall, vfioCallName } from "../syscalls.ts";
import { type Passing, Through } from "../through.ts";
import { boolean, object, syscalls } from "../validate.ts";
import { ModelProcessEnded } from "./errors.ts";
import type { ModelKernel } from "./model-kernel.ts";

/** Which calls a fault meets. */
export interface FaultPlace {
  /**
   * The call's name: `open`, `close`, `mmap`, `munmap`, `mbind`, or as in `<linux/vfio.h>`, of which the last words are enough:
   * `VFIO_IOMMU_MAP_DMA` and `MAP_DMA` are the same, and neither is `UNMAP_DMA`. Default: every call counts.
   */
  readonly call?: string;
  /** Which one of those calls, counted from 0 and from when the fault was set up. Default: 0, the next one. */
  readonly nth?: number;
  /** How many of them in a row: 1 or more, or `Infinity`. Default: 1. */
  readonly times?: number;
}

/**
 * What happens to a call. With an `answer` and without `made` the kernel behind does not see it: a failure as every kernel
 * has them.
 */
export interface Fault extends FaultPlace {
  /** A negative errno (-4095 to -1), or 0 or a positive number, which some calls of sPAPR mean as a failure. */
  readonly answer?: number;
  /**
   * The kernel makes the call, and then `answer` is what the program hears. Linux does this to `close` alone, which closes
   * and answers EINTR or EIO all the same; after any other call that failed it has undone what it began. For tests of the
   * worst that can be. Default: false.
   */
  readonly made?: boolean;
  /** Happens before the call: shrink a limit, unmap memory, end a process. The call's struct may be read and changed. */
  readonly before?: (call: Passing) => void;
  /** Happens after the call, before the program hears of it. What the kernel wrote into the struct may be changed. */
  readonly after?: (call: Passing) => void;
}

const PLACE = { call: true, nth: true, times: true } as const;
const PLACE_KEYS = keysOf<FaultPlace>(PLACE);
const FAULT_KEYS = keysOf<Fault>({ ...PLACE, answer: true, made: true, before: true, after: true });

/** A kernel that says no when it is told to. */
export interface FaultyKernel extends Syscalls {
  /** Sets up more faults. Where several meet one call, all of their callbacks run, and the first answer counts. */
  fail(...faults: readonly Fault[]): this;

  /** Forgets the faults: everything passes again. */
  heal(): void;

  /** The names of the calls that a fault answered, in order. */
  readonly refused: readonly string[];

  /** How many calls there were, one by one: the entries of a batch too. */
  readonly calls: number;
}

/**
 * Puts a kernel that fails in front of one that works: of the model, to see what a program does on a bad day, or of the
 * real one.
 *
 *     const kernel = faulty(modelKernel(), { call: "MAP_DMA", nth: 2, answer: -constants.errno.ENOMEM });
 *     openContainer({ kernel, groups: [26] });
 *
 * A call that the program makes in a batch counts like any other, and ends the batch when it fails. Only system calls
 * count: `view`, `unview`, `lockedMemory` and `physicalAddresses` pass.
 *
 * @throws RangeError ERR_OUT_OF_RANGE for a fault that could never happen: no call has that name. TypeError
 *   ERR_INVALID_ARG_TYPE for one with a key that faults do not have.
 */
export function faulty(kernel: Syscalls, ...faults: readonly Fault[]): FaultyKernel {
  return new FaultySyscalls(syscalls("kernel", kernel)).fail(...faults);
}

/**
 * The process is killed in the call: the kernel makes it, and it never returns. What comes after, also the program's own
 * cleaning up, reaches no kernel: every call throws {@link ModelProcessEnded}, wherever the program catches that.
 */
export function killed(kernel: ModelKernel, place: FaultPlace = {}): Fault {
  known("place", object("place", place), PLACE_KEYS);
  return {
    ...place,
    after: () => {
      kernel.exit();
      throw new ModelProcessEnded();
    },
  };
}

const NAMES: readonly string[] = [
  "open",
  "close",
  "mmap",
  "munmap",
  "mbind",
  ...["pread", "pwrite", "registers", "eventfd", "takeEvents", "listen"],
  ...Object.values(VfioCall).map(vfioCallName),
];

interface Armed {
  readonly fault: Fault;
  /** Calls of its name so far. */
  seen: number;
}

class FaultySyscalls extends Through implements FaultyKernel {
  #armed: Armed[] = [];
  readonly refused: string[] = [];
  calls = 0;

  fail(...faults: readonly Fault[]): this {
    for (const fault of faults) checkFault(fault);
    this.#armed.push(...faults.map((fault) => ({ fault, seen: 0 })));
    return this;
  }

  heal(): void {
    this.#armed = [];
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    this.calls++;
    if (this.#armed.length === 0) return make();
    const met = this.#armed.filter((armed) => meets(armed, call.name)).map(({ fault }) => fault);
    for (const { before } of met) before?.(call);
    const answering = met.find(({ answer }) => answer !== undefined);
    let result: R | undefined;
    if (answering === undefined || answering.made) result = make();
    for (const { after } of met) after?.(call);
    if (answering?.answer === undefined) return result as R;
    this.refused.push(call.name);
    return (call.name === "mmap" ? BigInt(answering.answer) : answering.answer) as R;
  }
}

inspectable(FaultySyscalls, "FaultyKernel", ({ calls, refused, inner }) => ({ calls, refused, inner }));

/** Whether it is this fault's turn; counts the call. */
function meets(armed: Armed, name: string): boolean {
  const { call, nth = 0, times = 1 } = armed.fault;
  if (call !== undefined && !isNamed(name, call)) return false;
  const seen = armed.seen++;
  return seen >= nth && seen < nth + times;
}

/** The end of a name that is a whole word: `REGISTER_MEMORY` is no `UNREGISTER_MEMORY`. */
function isNamed(name: string, wanted: string): boolean {
  return name === wanted || name.endsWith(`_${wanted}`);
}

function checkFault(fault: Fault): void {
  known("fault", object("fault", fault), FAULT_KEYS);
  const { call, nth = 0, times = 1, answer, made, before, after } = fault;
  if (call !== undefined && !NAMES.some((name) => isNamed(name, call))) {
    throw argumentRangeError(
      "call",
      "open, close, mmap, munmap, mbind, pread, pwrite, registers, eventfd, takeEvents, listen, or a call of <linux/vfio.h>",
      call,
    );
  }
  if (!Number.isInteger(nth) || nth < 0) throw argumentRangeError("nth", "an integer of 0 or more", nth);
  if (times !== Number.POSITIVE_INFINITY && (!Number.isInteger(times) || times < 1)) {
    throw argumentRangeError("times", "an integer of 1 or more, or Infinity", times);
  }
  if (made !== undefined) boolean("made", made);
  for (const [name, callback] of Object.entries({ before, after })) {
    if (callback !== undefined && typeof callback !== "function") throw argumentTypeError(name, "a function", callback);
  }
  if (answer !== undefined && (!Number.isInteger(answer) || answer < -4095 || answer >= 2 ** 31)) {
    throw argumentRangeError("answer", "an errno from -4095 to -1, or a number from 0 to 2^31 - 1", answer);
  }
}
