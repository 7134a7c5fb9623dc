/**
 * `NODE_DEBUG=dma-window`: each call that goes to the kernel, and its answer, as lines of Node's `util.debuglog` on standard error.
 *
 *     DMA-WINDOW 4711: VFIO_IOMMU_MAP_DMA(19, flags=3 vaddr=0x7f5c2fe00000 iova=0x0 size=0x200000) = 0
 *     DMA-WINDOW 4711: VFIO_IOMMU_MAP_DMA(19, flags=3 vaddr=0x7f5c30000000 iova=0x200000 size=0x200000) = -12 ENOMEM
 *
 * Whether it is on is known when a kernel is first used; where it is off nothing stands before that kernel, and no call costs more.
 * Batches go entry by entry, so that each has its line. Registers are not told of, nor the bytes of memory.
 */
import { errnoName } from "./errors.ts";
import { hex } from "./hex.ts";
import { IommuType, type LockedMemory, type Syscalls, VfioCall, vfioCallName } from "./syscalls.ts";
import { type Passing, Through } from "./through.ts";
import { copyOf, readStruct } from "./trace/bytes.ts";
import { layoutOf } from "./trace/calls.ts";
import { flagNames, protectionName } from "./trace/format.ts";
import { outOf } from "./trace/out.ts";

type Write = (line: string) => void;

/** The kernel, with a log in front where one is asked for; else itself. */
export function logged(kernel: Syscalls): Syscalls {
  const log = globalThis.process?.getBuiltinModule?.("node:util").debuglog("dma-window");
  return log?.enabled ? new DebugLog(kernel, log) : kernel;
}

class DebugLog extends Through {
  readonly #write: Write;
  /** What SET_IOMMU was given, by descriptor: one number is two calls. */
  readonly #iommuTypes = new Map<number, number>();

  constructor(inner: Syscalls, write: Write) {
    super(inner);
    this.#write = write;
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    const before = structOf(call);
    const said = `${this.#nameOf(call)}(${argumentsOf(call)})`; // before the kernel writes into the struct
    let answer: R;
    try {
      answer = make();
    } catch (error) {
      this.#write(`${said} threw ${error}`);
      throw error;
    }
    if (call.name === "VFIO_SET_IOMMU" && answer === 0) this.#iommuTypes.set(call.fd ?? -1, call.argument ?? 0);
    this.#write(`${said} = ${answerText(answer)}${answer === 0 ? this.#given(call, before) : ""}`);
    return answer;
  }

  /** GET_INFO is one number, and another call for each IOMMU. */
  #nameOf({ name, call, fd = -1 }: Passing): string {
    const type = this.#iommuTypes.get(fd);
    const isType1 = type === IommuType.TYPE1 || type === IommuType.TYPE1v2;
    return call === VfioCall.IOMMU_SPAPR_TCE_GET_INFO && isType1 ? "VFIO_IOMMU_GET_INFO" : name;
  }

  /** What the kernel wrote into the struct. */
  #given({ call, memory, at = 0, fd = -1 }: Passing, before: Uint8Array): string {
    if (call === undefined || memory === undefined) return "";
    const out = outOf(call, before, copyOf(memory, at, before.length), this.#iommuTypes.get(fd));
    return out === undefined ? "" : ` ${JSON.stringify(out)}`;
  }

  /** Not held up by this: it goes on another thread here too. */
  get ioctlLater(): Syscalls["ioctlLater"] {
    const { inner } = this;
    if (inner.ioctlLater === undefined) return undefined;
    return async (fd, call, struct, argument) => {
      const name = vfioCallName(call);
      const said = argumentsOf({
        name,
        fd,
        call,
        ...(struct === undefined ? { argument } : { memory: struct, at: 0 }),
      });
      const answer = (await inner.ioctlLater?.(fd, call, struct, argument)) ?? 0;
      this.#write(`${name}(${said}) = ${answerText(answer)} (on another thread)`);
      return answer;
    };
  }

  override get populate(): Syscalls["populate"] {
    const { inner } = this;
    if (inner.populate === undefined) return undefined;
    return (va, length) => this.pass({ name: "madvise", va, length }, () => inner.populate?.(va, length) ?? 0);
  }

  override lockedMemory(): LockedMemory {
    const { limit, used, privileged } = this.inner.lockedMemory();
    const most = privileged || limit === null ? "unlimited" : hex(limit);
    this.#write(`lockedMemory() = ${hex(used)} of ${most}`);
    return { limit, used, privileged };
  }

  override physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    this.#write(`physicalAddresses(${hex(va)}, ${pages} pages of ${hex(pageSize)})`);
    return this.inner.physicalAddresses(va, pages, pageSize);
  }
}

function argumentsOf(call: Passing): string {
  const { name, fd, path, call: number, argument, va = 0n, length = 0n } = call;
  switch (name) {
    case "open":
      return JSON.stringify(path);
    case "mmap": {
      const { protection = 0, flags = 0, hugePageShift = 0 } = call;
      const page = hugePageShift === 0 ? "" : `, pages of ${hex(2 ** hugePageShift)}`;
      return `${hex(va)}, ${hex(length)}, ${protectionName(protection)}, ${listText(flagNames(flags))}${page}`;
    }
    case "munmap":
    case "madvise":
      return `${hex(va)}, ${hex(length)}`;
    case "mbind":
      return `${hex(va)}, ${hex(length)}, node ${call.node}`;
  }
  if (number === undefined) return `${fd ?? ""}`;
  return [`${fd}`, argument === undefined ? fieldsOf(call) : `${argument}`].filter((text) => text !== "").join(", ");
}

function listText(names: readonly string[] | number): string {
  return typeof names === "number" ? hex(names) : names.join("|") || "0";
}

/** The struct's fields, by their names in the header file; `argsz`, and what the kernel does not read, left out. */
function fieldsOf({ call = 0, memory, at = 0 }: Passing): string {
  if (memory === undefined) return "";
  if (call === VfioCall.GROUP_GET_DEVICE_FD) return JSON.stringify(nameAt(memory, at));
  const { values, files, rest } = readStruct(layoutOf(call), memory, at);
  const fields = [...values].filter(([{ name, unread }, value]) => name !== "argsz" && !(unread && value === 0n));
  const texts = fields.map(([{ name, bytes }, value]) => `${name}=${bytes === 8 ? hex(value) : value}`);
  if (files !== undefined) texts.push(`${files.name}=[${files.numbers.join(",")}]`);
  if (rest !== "") texts.push(`rest=${rest}`);
  return texts.join(" ");
}

function nameAt(memory: Uint8Array, at: number): string {
  const end = memory.indexOf(0, at);
  return String.fromCharCode(...memory.subarray(at, end < 0 ? at : Math.min(end, at + 64)));
}

/** As much of the call's struct as the kernel may write, from before it does. */
function structOf({ call, memory, at = 0 }: Passing): Uint8Array {
  if (call === undefined || memory === undefined) return new Uint8Array();
  return copyOf(memory, at, Math.min(memory.length - at, 1 << 12));
}

/** `-12 ENOMEM`; addresses are the only answers that are bigints. */
function answerText(answer: number | bigint): string {
  if (typeof answer === "bigint" && answer >= 0n) return hex(answer);
  return answer >= 0 ? `${answer}` : `${answer} ${errnoName(Number(answer))}`;
}
