import { argumentTypeError } from "../errors.ts";
import { hex } from "../hex.ts";
import { keysOf, known } from "../known.ts";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall } from "../syscalls.ts";
import { object, syscalls } from "../validate.ts";
import { thrownName } from "./answers.ts";
import { copyOf, type Values, writeStruct } from "./bytes.ts";
import { callOfShortName, layoutOf, type StructField } from "./calls.ts";
import { type Difference, differenceOf, type Got, locked, NOT_MADE, plain, thrown } from "./difference.ts";
import type { TraceCall } from "./format.ts";
import { outOf } from "./out.ts";
import { malformed } from "./problems.ts";
import { readTrace, type Trace } from "./read.ts";
import { ReplayFiles } from "./replay-files.ts";
import { ReplayMemory } from "./replay-memory.ts";

export interface ReplayOptions {
  /** Groups that have other numbers here: from the trace's to this machine's. Others keep theirs. */
  readonly groups?: ReadonlyMap<number, number>;
}

const KEYS = keysOf<ReplayOptions>({ groups: true });

export interface Replayed {
  /** How many calls the trace has, those among them that a batch did not come to. */
  readonly calls: number;
  readonly differences: readonly Difference[];
  /** Regions of memory that could not lie to each other, or to the largest pages, as they lay when they were recorded. */
  readonly moved: number;
}

/**
 * Makes the calls of a trace once more, on another kernel, and lists every answer that is not the recorded one. It stops at
 * none: a call that needs what an earlier one did not give is made with a descriptor, or an address, that is none. What the
 * trace left open is closed and unmapped at the end.
 *
 * Memory is mmapped anew and lies wherever this process has room, but each region at its distance from the others and as it
 * lay to the largest pages. For memory that the program had in another way, 64 GiB of address space are kept, with ordinary
 * pages in it where the kernel took them for a device. On a real kernel nothing is opened outside /dev/vfio, and nothing
 * mapped or unmapped over memory that is not the replay's own.
 *
 * Cost: one call for each of the trace's; the trace is read as it goes.
 *
 * @throws `ERR_INVALID_ARG_TYPE` for what is no trace, no kernel, and for groups that are no Map.
 * @throws `ERR_TRACE_VERSION`, `ERR_TRACE_MALFORMED`, at the line that is; what was opened by then is closed.
 * @throws `ERR_SHIM_UNAVAILABLE` where the real kernel is out of reach.
 */
export function replay(trace: Iterable<string> | Trace, kernel: Syscalls, options: ReplayOptions = {}): Replayed {
  known("options", object("options", options), KEYS);
  const { groups } = options;
  if (groups !== undefined && !(groups instanceof Map)) throw argumentTypeError("groups", "a Map", groups);
  syscalls("kernel", kernel);
  const { calls } = isTrace(trace) ? trace : readTrace(trace);
  const run = new Replay(kernel, options);
  try {
    for (const call of calls) run.make(call);
    return { calls: run.calls, differences: run.differences, moved: run.moved };
  } finally {
    run.close();
  }
}

/** In a batch's entry before the kernel wrote its answer there: no call of VFIO answers so. */
const UNANSWERED = 0x7fff_ffff;

/** At most this much of a struct is looked at afterwards, unless it says itself that it is longer. */
const STRUCT_BYTES = 64;

class Replay {
  calls = 0;
  readonly differences: Difference[] = [];
  readonly #kernel: Syscalls;
  readonly #groups: ReadonlyMap<number, number>;
  readonly #memory: ReplayMemory;
  readonly #files: ReplayFiles;
  /** By descriptor: which struct GET_INFO fills depends on it. */
  readonly #iommuTypes = new Map<number, number>();
  readonly #lockedBefore: bigint;
  /** The calls of the batch that is being read. */
  #batch: TraceCall[] = [];

  constructor(kernel: Syscalls, { groups = new Map() }: ReplayOptions) {
    this.#kernel = kernel;
    this.#groups = groups;
    this.#memory = new ReplayMemory(kernel);
    this.#files = new ReplayFiles(kernel);
    this.#lockedBefore = kernel.lockedMemory().used;
  }

  get moved(): number {
    return this.#memory.moved;
  }

  make(call: TraceCall): void {
    this.calls++;
    if (call.batch === undefined) {
      this.#compare(
        call,
        attempt(() => this.#single(call)),
      );
      return;
    }
    this.#batch.push(call);
    if (this.#batch.length < call.batch[1]) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#makeBatch(batch);
  }

  close(): void {
    // A kernel that has crashed on the way cannot be tidied up; the differences are what counts.
    for (const fd of this.#files.open) attempt(() => ({ text: String(this.#kernel.close(fd)) }));
    attempt(() => {
      this.#memory.close();
      return { text: "" };
    });
  }

  #single(call: TraceCall): Got {
    const { fields } = call;
    switch (call.call) {
      case "open":
        return this.#open(call);
      case "close": {
        const fd = this.#fd(call);
        const answer = this.#kernel.close(fd);
        if (answer === 0) this.#files.closed(fd);
        return plain(answer);
      }
      case "mmap":
        return { text: this.#memory.map(call) };
      case "munmap":
        return { text: this.#memory.unmap(call) };
      case "mbind":
        return { text: this.#memory.bind(call) };
      case "eventfd":
        this.#expectFile(call, -1); // until it is there
        if (this.#kernel.eventfd === undefined) return { text: "not made: this kernel has no eventfds" };
        return this.#gotFile(call, this.#kernel.eventfd());
      case "lockedMemory": {
        const used = this.#kernel.lockedMemory().used - this.#lockedBefore;
        return locked(used < 0n ? `-${hex(-used)}` : hex(used));
      }
    }
    const number = numberOf(call);
    const fd = this.#fd(call);
    if ("argument" in fields) return this.#ioctl(call, fd, number);
    this.#expectFile(call, -1); // until it is there
    const memory = this.#struct(call, number);
    const before = copyOf(memory, 0, Math.max(memory.length, STRUCT_BYTES));
    const answer = this.#kernel.ioctlStruct(fd, number, memory, 0);
    if (number === VfioCall.GROUP_GET_DEVICE_FD) return this.#gotFile(call, answer);
    return this.#answered(fd, number, answer, before, memory);
  }

  #open(call: TraceCall): Got {
    const path = call.fields.path as string;
    this.#expectFile(call, -1); // until it is there
    if (!/^\/dev\/vfio\/[^/]+$/.test(path)) return { text: "not opened: it is not in /dev/vfio" };
    const renamed = path.replace(/(?<=^\/dev\/vfio\/(noiommu-)?)\d+$/, (group) =>
      String(this.#groups.get(Number(group)) ?? group),
    );
    return this.#gotFile(call, this.#kernel.open(renamed));
  }

  #gotFile(call: TraceCall, answer: number): Got {
    if (this.#expectFile(call, answer)) return answer < 0 ? plain(answer) : { text: String(call.answer) };
    if (answer < 0) return plain(answer);
    // The program went on without it, and may open it again.
    this.#kernel.close(answer);
    return { text: "a descriptor" };
  }

  /** Whether the trace has a descriptor here: it stands for `answer` from now on. */
  #expectFile({ answer: expected }: TraceCall, answer: number): boolean {
    if (typeof expected !== "string" || !expected.startsWith("f")) return false;
    this.#files.opened(expected, answer);
    return true;
  }

  #ioctl({ fields }: TraceCall, fd: number, number: VfioCall): Got {
    const argument = fields.argument as number;
    const answer = this.#kernel.ioctl(fd, number, argument);
    if (number === VfioCall.SET_IOMMU && answer === 0) this.#iommuTypes.set(fd, argument);
    return plain(answer);
  }

  /**
   * The table, and the structs behind it:
   *
   *     | entry : 16 | entry : 16 | ... | struct : 64 or more | struct | ...
   */
  #makeBatch(calls: readonly TraceCall[]): void {
    const [first] = calls as [TraceCall];
    if (calls.some(({ fields }) => fields.fd !== first.fields.fd)) {
      throw malformed(first.line, "the calls of a batch are made on one descriptor");
    }
    const fd = this.#fd(first);
    const structs = calls.map((call) => this.#struct(call, numberOf(call)));
    const places: number[] = [];
    let length = calls.length * BATCH_ENTRY_BYTES;
    for (const struct of structs) {
      places.push(length);
      length += Math.ceil(struct.length / 8) * 8;
    }
    const memory = new Uint8Array(length);
    const table = new DataView(memory.buffer);
    for (const [i, call] of calls.entries()) {
      memory.set(structs[i] ?? [], places[i]);
      table.setUint32(i * BATCH_ENTRY_BYTES, numberOf(call), true);
      table.setUint32(i * BATCH_ENTRY_BYTES + 4, places[i] ?? 0, true);
      table.setInt32(i * BATCH_ENTRY_BYTES + 8, UNANSWERED, true);
    }
    const whole = attempt(() => {
      this.#kernel.ioctlBatch(fd, memory, 0, calls.length);
      return NOT_MADE;
    });
    let next = whole;
    for (const [i, call] of calls.entries()) {
      const answer = table.getInt32(i * BATCH_ENTRY_BYTES + 8, true);
      const place = places[i] ?? 0;
      const struct = structs[i] ?? new Uint8Array();
      const before = copyOf(struct, 0, Math.max(struct.length, STRUCT_BYTES));
      // What it threw, it threw at the first call that has no answer.
      const got = answer === UNANSWERED ? next : this.#answered(fd, numberOf(call), answer, before, memory, place);
      if (answer === UNANSWERED) next = NOT_MADE;
      this.#compare(call, got);
    }
  }

  #answered(fd: number, call: number, answer: number, before: Uint8Array, memory: Uint8Array, at = 0): Got {
    if (answer !== 0) return plain(answer);
    return { ...plain(answer), out: outOf(call, before, copyOf(memory, at, before.length), this.#iommuTypes.get(fd)) };
  }

  /** The bytes that the kernel was given, with what is an address or a descriptor here. */
  #struct({ fields, line, answer }: TraceCall, number: VfioCall): Uint8Array {
    if (number === VfioCall.GROUP_GET_DEVICE_FD) return nameBytes(fields.name as string);
    const layout = layoutOf(number);
    const takesMemory = number === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY || number === VfioCall.IOMMU_MAP_DMA;
    if (takesMemory && answer === 0) this.#memory.provide(fields.vaddr as string, BigInt(fields.size as string), line);
    const values: Values = new Map(layout.fields.map((field) => [field, this.#value(field, fields[field.name], line)]));
    const listed = (layout.files && (fields[layout.files.name] as readonly (string | number)[])) ?? [];
    const files = listed.map((file) => this.#listedFile(file, line));
    return writeStruct(layout, values, files, (fields.rest as string | undefined) ?? "");
  }

  #value({ kind }: StructField, value: unknown, line: number): bigint {
    if (value === undefined) return 0n; // left out because it is
    if (kind === "count") return BigInt(value as number);
    if (kind === "file") return BigInt(this.#files.numberOf(value as string | number, line));
    return this.#memory.address(value as string, line);
  }

  /** In a list a number below 0 says that there is none. */
  #listedFile(file: string | number, line: number): number {
    return typeof file === "number" && file < 0 ? Math.max(file, -(2 ** 31)) : this.#files.numberOf(file, line);
  }

  #fd({ fields, line }: TraceCall): number {
    return this.#files.numberOf(fields.fd as string | number, line);
  }

  #compare(call: TraceCall, got: Got): void {
    const difference = differenceOf(call, got);
    if (difference !== undefined) this.differences.push(difference);
  }
}

/** What it throws is an answer too, unless it says that the trace is wrong, or that there is no kernel at all. */
function attempt(make: () => Got): Got {
  try {
    return make();
  } catch (error) {
    const name = thrownName(error);
    if (name === "ERR_TRACE_MALFORMED" || name === "ERR_SHIM_UNAVAILABLE") throw error;
    return thrown(name);
  }
}

/** The name of a device, as a string that ends with a 0. */
function nameBytes(name: string): Uint8Array {
  const memory = new Uint8Array(Math.max(STRUCT_BYTES, name.length + 1));
  memory.set(Buffer.from(name, "latin1"));
  return memory;
}

/** Checked when the line was read. */
function numberOf({ call }: TraceCall): VfioCall {
  return callOfShortName(call) as VfioCall;
}

function isTrace(trace: unknown): trace is Trace {
  return typeof trace === "object" && trace !== null && "calls" in trace;
}
