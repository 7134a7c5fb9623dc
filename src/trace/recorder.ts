import { argumentTypeError } from "../errors.ts";
import { hex } from "../hex.ts";
import { inspectable } from "../inspect.ts";
import { keysOf, known } from "../known.ts";
import { BATCH_ENTRY_BYTES, type LockedMemory, MapFlag, type Syscalls, VfioCall } from "../syscalls.ts";
import { holdsBatch, type Passing, Through } from "../through.ts";
import { isBytes } from "../typed-arrays.ts";
import { object, syscalls } from "../validate.ts";
import { plainAnswer, refusesArguments, thrownName } from "./answers.ts";
import { copyOf, readStruct } from "./bytes.ts";
import { layoutOf, type StructField, shortCallName } from "./calls.ts";
import { flagNames, protectionName, TRACE_VERSION } from "./format.ts";
import { AddressNames, EqualIovas, FileNames } from "./names.ts";
import { type Out, outOf } from "./out.ts";

export interface RecordOptions {
  /** Words for whoever reads the trace: which program, which machine. */
  readonly note?: string;
}

const KEYS = keysOf<RecordOptions>({ note: true });

/**
 * A kernel in front of `kernel` that writes down every call and its answer: a line of JSON each, without its newline, the
 * header first and at once. What the lines mean is in `docs/traces.md`. A call is written when it has been answered, or
 * has thrown; one whose arguments cannot be (`ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`) reached no kernel and is left out.
 * Views of memory and physical addresses are passed on and left out too: what the kernel does does not depend on them. So are the
 * reads and writes of a device, by `pread` and `pwrite` or mapped, and who listens to its events: its ioctls are all there.
 *
 * What `write` throws, the call throws after the kernel has done it, and a batch ends there: let it fail later instead. This
 * library then takes back, or names, what was done (`ERR_INTERFACE`).
 *
 * @throws `ERR_INVALID_ARG_TYPE` for a `write` that is no function; what `kernel.lockedMemory()` and `write` throw.
 *
 * Cost: a line for each call, and a batch made entry by entry. Of what was written nothing is kept but a table of the
 * addresses and descriptors that have a name.
 */
export function recordTrace(kernel: Syscalls, write: (line: string) => void, options: RecordOptions = {}): Syscalls {
  syscalls("kernel", kernel);
  if (typeof write !== "function") throw argumentTypeError("write", "a function", write);
  known("options", object("options", options), KEYS);
  const { note } = options;
  if (note !== undefined && typeof note !== "string") throw argumentTypeError("note", "a string", note);
  return new TraceRecorder(kernel, write, options);
}

/** The place of a call in its batch: from 1, of how many. */
type BatchPlace = readonly [number, number];

class TraceRecorder extends Through {
  readonly #write: (line: object) => void;
  readonly #addresses = new AddressNames();
  readonly #files = new FileNames();
  /** By the descriptor of the container. */
  readonly #equalIovas = new Map<number, EqualIovas>();
  readonly #iommuTypes = new Map<number, number>();
  /** Locked when the recording began: what a trace says is what was locked since. */
  readonly #lockedBefore: bigint;
  #batch: BatchPlace | undefined;

  constructor(inner: Syscalls, write: (line: string) => void, { note }: RecordOptions) {
    super(inner);
    this.#write = (line) => write(JSON.stringify(line));
    const { limit, used, privileged } = inner.lockedMemory();
    this.#lockedBefore = used;
    this.#write({
      trace: "dma-window",
      version: TRACE_VERSION,
      kernel: inner.name,
      pageSize: inner.pageSize,
      lockedMemory: { limit: limit === null ? null : hex(limit), used: hex(used), privileged },
      ...(note === undefined ? {} : { note }),
    });
  }

  override lockedMemory(): LockedMemory {
    const locked = this.inner.lockedMemory();
    const used = locked.used - this.#lockedBefore;
    this.#write({ call: "lockedMemory", used: used < 0n ? `-${hex(-used)}` : hex(used) });
    return locked;
  }

  override ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    if (!holdsBatch(memory, table, count)) return this.inner.ioctlBatch(fd, memory, table, count);
    let done = 0;
    try {
      for (; done < count; done++) {
        this.#batch = [done + 1, count];
        if (this.passEntry(fd, memory, table + done * BATCH_ENTRY_BYTES) !== 0) return done;
      }
      return count;
    } finally {
      this.#batch = undefined;
      for (let i = done + 1; i < count; i++) this.#notMade(fd, memory, table + i * BATCH_ENTRY_BYTES, [i + 1, count]);
    }
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    if (UNWRITTEN.includes(call.name)) return make();
    if (!hasItsKinds(call)) return make(); // which the kernel refuses
    const before = this.#structOf(call);
    const batch = this.#batch;
    this.#batch = undefined; // what `write` calls is not of this batch
    const line = { ...this.#describe(call), ...(batch === undefined ? {} : { batch }) };
    let answer: R;
    try {
      answer = make();
    } catch (error) {
      // Inside a batch its line must not be missing: the others count on it.
      if (batch !== undefined || !refusesArguments(error)) this.#write({ ...line, throws: thrownName(error) });
      throw error;
    }
    this.#write({ ...line, ...this.#answer(call, answer, before) });
    return answer;
  }

  /** The calls of a batch behind the one that failed: the kernel has not seen them, but another one might. */
  #notMade(fd: number, memory: Uint8Array, entry: number, batch: BatchPlace): void {
    const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    const call = view.getUint32(entry, true);
    const line = this.#describe({ name: "", fd, call, memory, at: view.getUint32(entry + 4, true) });
    this.#write({ ...line, batch, answer: null });
  }

  #describe(call: Passing): Record<string, unknown> {
    const { name, fd = -1, path, call: number, argument, va = 0n, length = 0n } = call;
    if (number !== undefined) {
      const head = { call: shortCallName(number), fd: this.#files.nameOf(fd) };
      return argument === undefined ? { ...head, ...this.#fields(fd, call) } : { ...head, argument };
    }
    switch (name) {
      case "open":
        return { call: name, path };
      case "mmap": {
        const { protection = 0, flags = 0, hugePageShift = 0 } = call;
        const near = isChosen(flags) ? this.#addresses.nameOf(va) : this.#addresses.nameOfHint(va);
        const shown = { call: name, near, length: hex(length), protection: protectionName(protection) };
        return { ...shown, flags: flagNames(flags), ...(hugePageShift === 0 ? {} : { pageShift: hugePageShift }) };
      }
      case "munmap":
        return { call: name, address: this.#addresses.nameOf(va), length: hex(length) };
      case "mbind":
        return { call: name, address: this.#addresses.nameOf(va), length: hex(length), node: call.node };
      case "eventfd":
        return { call: name };
      default:
        return { call: name, fd: this.#files.nameOf(fd) };
    }
  }

  /** The struct's fields; none where there cannot be a struct, which is the kernel's to refuse. */
  #fields(fd: number, { call = 0, memory, at = -1 }: Passing): Record<string, unknown> {
    if (!isBytes(memory) || !Number.isInteger(at) || at < 0) return {};
    if (call === VfioCall.GROUP_GET_DEVICE_FD) return { name: nameAt(memory, at) };
    const layout = layoutOf(call);
    const { values, files, rest } = readStruct(layout, memory, at);
    const value = (name: string) => values.get(layout.fields.find((one) => one.name === name) as StructField) ?? 0n;
    if (call === VfioCall.IOMMU_MAP_DMA) {
      this.#equalIovasOf(fd).mapping(value("vaddr"), value("iova"), value("size"));
    }
    const shown = [...values].filter(([field, value]) => !(field.unread && value === 0n));
    const fields = shown.map(([field, value]) => [field.name, this.#valueText(fd, field, value)]);
    const named = files && { [files.name]: files.numbers.map((number) => this.#files.nameOf(number)) };
    return { ...Object.fromEntries(fields), ...named, ...(rest === "" ? {} : { rest }) };
  }

  #valueText(fd: number, { kind }: StructField, value: bigint): string | number {
    switch (kind) {
      case "count":
        return Number(value); // 32 bits
      case "file":
        return this.#files.nameOf(Number(value)); // 32 bits
      case "address":
        return this.#addresses.nameOf(value);
      case "iova":
        return this.#equalIovasOf(fd).has(value) ? this.#addresses.nameOf(value) : hex(value);
      case "hex":
        return hex(value);
    }
  }

  #answer(call: Passing, answer: number | bigint, before: Uint8Array): Record<string, unknown> {
    if (typeof answer === "bigint") return this.#mapped(call, answer);
    const { name, fd = -1, call: number, argument = 0, memory, at = 0 } = call;
    if (answer >= 0 && (name === "open" || name === "eventfd" || number === VfioCall.GROUP_GET_DEVICE_FD)) {
      // What was known of that number was of another container.
      this.#equalIovas.delete(answer);
      return { answer: this.#files.opened(answer) };
    }
    if (number === VfioCall.SET_IOMMU && answer === 0) this.#iommuTypes.set(fd, argument);
    let out: Out | undefined;
    if (number !== undefined && memory !== undefined && answer === 0) {
      out = outOf(number, before, copyOf(memory, at, before.length), this.#iommuTypes.get(fd));
    }
    return { answer: plainAnswer(answer), ...(out === undefined ? {} : { out }) };
  }

  #mapped({ length = 0n, flags = 0, hugePageShift = 0 }: Passing, answer: bigint): Record<string, unknown> {
    if (answer < 0n) return { answer: plainAnswer(Number(answer)) }; // an errno
    const page = (flags & MapFlag.HUGETLB) === 0 ? BigInt(this.pageSize) : 1n << BigInt(hugePageShift);
    const end = answer + ((length + page - 1n) / page) * page;
    return { ...this.#addresses.mapped(answer, end, isChosen(flags)) };
  }

  /** As much of the call's struct as the kernel may write, from before it does. */
  #structOf({ call, memory, at = -1 }: Passing): Uint8Array {
    if (call === undefined || !isBytes(memory) || !Number.isInteger(at) || at < 0) return new Uint8Array();
    const argsz = LONG_ANSWERS.includes(call) ? readArgsz(memory, at) : 0;
    return copyOf(memory, at, Math.max(64, Math.min(argsz, 1 << 16)));
  }

  #equalIovasOf(fd: number): EqualIovas {
    const known = this.#equalIovas.get(fd) ?? new EqualIovas();
    this.#equalIovas.set(fd, known);
    return known;
  }
}

inspectable(TraceRecorder, "TraceRecorder", ({ inner }) => ({ inner }));

/** What a device is read and written by: no answer of the kernel's to a call depends on it, and there is no end of it. */
const UNWRITTEN = ["pread", "pwrite", "registers", "takeEvents", "listen"];

/** What the kernel answers with a chain of capabilities, or a list: all others write 64 bytes at most. */
const LONG_ANSWERS: readonly number[] = [
  VfioCall.IOMMU_SPAPR_TCE_GET_INFO,
  VfioCall.DEVICE_GET_REGION_INFO,
  VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO,
];

/** Whether the arguments that have to be bigints are: with others there is nothing to write down. */
function hasItsKinds({ name, va, length }: Passing): boolean {
  return !["mmap", "munmap", "mbind"].includes(name) || (typeof va === "bigint" && typeof length === "bigint");
}

/** At an address that the program chose, and nowhere else. */
function isChosen(flags: number): boolean {
  return (flags & (MapFlag.FIXED | MapFlag.FIXED_NOREPLACE)) !== 0;
}

function nameAt(memory: Uint8Array, at: number): string {
  const end = memory.indexOf(0, at);
  return Array.from(memory.subarray(at, end < 0 ? at : end), (byte) => String.fromCharCode(byte)).join("");
}

function readArgsz(memory: Uint8Array, at: number): number {
  return new DataView(copyOf(memory, at, 4).buffer).getUint32(0, true);
}
