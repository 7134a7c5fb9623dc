/**
 * The library's own side of the seam. A kernel interface may be anybody's; its contract is to answer, and this is where one
 * that throws instead, or answers what is no answer, becomes an error with a code: `ERR_INTERFACE`, with what was thrown as its
 * cause. Whether the kernel had done the call by then, nobody can say from here: who asked settles it, or names it.
 *
 * Errors of this package pass as they are, and so do refusals of an argument, which reached no kernel.
 */

import { apply } from "./captured.ts";
import { logged } from "./debug-log.ts";
import { DmaWindowError, messageOf, withResidue } from "./errors.ts";
import { bytes } from "./hex.ts";
import { inspectable } from "./inspect.ts";
import { type LockedMemory, type MachineFiles, MapFlag, type Syscalls, VfioCall, vfioCallName } from "./syscalls.ts";

/** The kernel, to be asked by this library. */
export function asked(kernel: Syscalls): Syscalls {
  return kernel instanceof Asked ? kernel : new Asked(logged(kernel));
}

class Asked implements Syscalls {
  readonly inner: Syscalls;
  readonly name: string;
  readonly pageSize: number;

  constructor(inner: Syscalls) {
    this.inner = inner;
    this.name = inner.name;
    this.pageSize = inner.pageSize;
    for (const name of OPTIONAL) {
      const call = (inner as unknown as Readonly<Record<string, unknown>>)[name];
      if (typeof call !== "function") continue;
      Object.defineProperty(this, name, { value: passing(inner, call as (...parameters: never[]) => unknown, name) });
    }
    for (const [name, value] of Object.entries(deviceCalls(inner))) {
      if (typeof inner[name as keyof Syscalls] === "function") Object.defineProperty(this, name, { value });
    }
  }

  get files(): MachineFiles | undefined {
    return this.inner.files;
  }

  /** A descriptor that nobody was told cannot be closed. */
  open(path: string): number {
    try {
      return whole(this.inner.open(path), "open");
    } catch (error) {
      throw unlessRefused(thrown(error, "open"), `${path} may be open, under a descriptor that nobody knows`);
    }
  }

  close(fd: number): number {
    try {
      return whole(this.inner.close(fd), "close");
    } catch (error) {
      throw thrown(error, "close");
    }
  }

  ioctl(fd: number, call: VfioCall, argument: number): number {
    try {
      return whole(this.inner.ioctl(fd, call, argument), vfioCallName(call));
    } catch (error) {
      throw thrown(error, vfioCallName(call));
    }
  }

  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number {
    try {
      return whole(this.inner.ioctlStruct(fd, call, memory, offset), vfioCallName(call));
    } catch (error) {
      throw callThrown(error, call);
    }
  }

  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    try {
      const done = this.inner.ioctlBatch(fd, memory, table, count);
      if (Number.isInteger(done) && done >= 0 && done <= count) return done;
      throw noAnswer(done);
    } catch (error) {
      throw thrown(error, "ioctlBatch");
    }
  }

  /** Address space at a place that nobody was told cannot be given back; a FIXED place is known to who asked. */
  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    try {
      const answer = this.inner.mmap(address, length, protection, flags, hugePageShift);
      if (typeof answer === "bigint") return answer;
      throw noAnswer(answer);
    } catch (error) {
      const problem = thrown(error, "mmap");
      if ((flags & (MapFlag.FIXED | MapFlag.FIXED_NOREPLACE)) !== 0) throw problem;
      throw unlessRefused(problem, `${bytes(length)} of address space may be kept, at an address that nobody knows`);
    }
  }

  munmap(address: bigint, length: bigint): number {
    try {
      return whole(this.inner.munmap(address, length), "munmap");
    } catch (error) {
      throw thrown(error, "munmap");
    }
  }

  view(address: bigint, length: bigint): Uint8Array {
    try {
      const bytes: unknown = this.inner.view(address, length);
      if (isArray(bytes, "Uint8Array", length)) return bytes as Uint8Array;
      throw noAnswer(bytes);
    } catch (error) {
      throw thrown(error, "view");
    }
  }

  unview(view: Uint8Array): ReturnType<Syscalls["unview"]> {
    try {
      return this.inner.unview(view);
    } catch (error) {
      throw thrown(error, "unview");
    }
  }

  lockedMemory(): LockedMemory {
    try {
      const answer: unknown = this.inner.lockedMemory();
      if (isLockedMemory(answer)) return answer;
      throw noAnswer(answer);
    } catch (error) {
      throw thrown(error, "lockedMemory");
    }
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    try {
      const addresses: unknown = this.inner.physicalAddresses(va, pages, pageSize);
      if (isArray(addresses, "BigUint64Array", BigInt(pages))) return addresses as BigUint64Array;
      throw noAnswer(addresses);
    } catch (error) {
      throw thrown(error, "physicalAddresses");
    }
  }
}

inspectable(Asked, "Kernel", ({ name, inner }) => ({ name, inner }));

/** What an interface may have and need not: who asks looks whether it is there. */
const OPTIONAL = ["bindNode", "populate", "read", "write"] as const;

/** Likewise, what a device needs. */
function deviceCalls(inner: Syscalls): Pick<Syscalls, (typeof DEVICE_CALLS)[number]> {
  return {
    pread: (fd, into, offset) => telling("pread", () => moved(inner.pread?.(fd, into, offset), into)),
    pwrite: (fd, from, offset) => telling("pwrite", () => moved(inner.pwrite?.(fd, from, offset), from)),
    registers(fd, offset, length) {
      try {
        return made(inner.registers?.(fd, offset, length), ["read32", "write32", "unmap"]);
      } catch (error) {
        const left = "registers may be mapped, where nobody can unmap them: they keep their device open";
        throw unlessRefused(thrown(error, "registers"), left);
      }
    },
    eventfd() {
      try {
        return whole(inner.eventfd?.() ?? Number.NaN, "eventfd");
      } catch (error) {
        throw unlessRefused(thrown(error, "eventfd"), "an eventfd may be open, under a descriptor that nobody knows");
      }
    },
    // Drivers poll by it: no function is made for a call.
    takeEvents(fd) {
      try {
        return whole(inner.takeEvents?.(fd) ?? Number.NaN, "takeEvents");
      } catch (error) {
        throw thrown(error, "takeEvents");
      }
    },
    listen(fd, listener) {
      try {
        return made(inner.listen?.(fd, listener), ["ref", "unref", "end"]);
      } catch (error) {
        const left = `descriptor ${fd} may be listened to, which nobody can end: it may keep the event loop alive`;
        throw unlessRefused(thrown(error, "listen"), left);
      }
    },
    async ioctlLater(fd, call, struct, argument) {
      try {
        return whole((await inner.ioctlLater?.(fd, call, struct, argument)) ?? Number.NaN, vfioCallName(call));
      } catch (error) {
        throw callThrown(error, call);
      }
    },
  };
}

const DEVICE_CALLS = ["pread", "pwrite", "registers", "eventfd", "takeEvents", "listen", "ioctlLater"] as const;

function telling<R>(syscall: string, ask: () => R): R {
  try {
    return ask();
  } catch (error) {
    throw thrown(error, syscall);
  }
}

/** A number of bytes, at most those that there are, or -errno. */
function moved(answer: number | undefined, bytes: Uint8Array): number {
  if (Number.isInteger(answer) && (answer as number) <= bytes.length) return answer as number;
  throw noAnswer(answer);
}

/** An object with these methods, or -errno. */
function made<T extends object>(answer: T | number | undefined, methods: readonly string[]): T | number {
  if (Number.isInteger(answer) && (answer as number) < 0) return answer as number;
  const isMade = typeof answer === "object" && answer !== null;
  if (isMade && methods.every((name) => typeof (answer as Record<string, unknown>)[name] === "function"))
    return answer as T;
  throw noAnswer(answer);
}

function passing(inner: Syscalls, call: (...parameters: never[]) => unknown, name: string) {
  return (...parameters: never[]): unknown => {
    try {
      return apply(call, inner, parameters);
    } catch (error) {
      throw thrown(error, name);
    }
  };
}

function whole(answer: number, syscall: string): number {
  if (Number.isInteger(answer)) return answer;
  throw thrown(noAnswer(answer), syscall);
}

/** A typed array, be it of another realm, with so many elements. */
function isArray(answer: unknown, type: string, length: bigint): boolean {
  if (!ArrayBuffer.isView(answer) || Object.prototype.toString.call(answer) !== `[object ${type}]`) return false;
  return BigInt((answer as Uint8Array).length) === length;
}

function isLockedMemory(answer: unknown): answer is LockedMemory {
  if (typeof answer !== "object" || answer === null) return false;
  const { limit, used, privileged } = answer as Partial<LockedMemory>;
  return (limit === null || typeof limit === "bigint") && typeof used === "bigint" && typeof privileged === "boolean";
}

function noAnswer(answer: unknown): Error {
  return new TypeError(`it answered ${messageOf(answer)}, which is no answer of a kernel`);
}

/** What an interface threw, as an error with a code. */
function thrown(error: unknown, syscall: string): Error {
  if (error instanceof DmaWindowError || (error instanceof Error && hasCode(error))) return error;
  return new DmaWindowError("ERR_INTERFACE", `the kernel interface threw in ${syscall}: ${messageOf(error)}`, {
    syscall,
    cause: error,
  });
}

/** Errors that say what they mean, of this package or another copy of it: refused arguments, and what the model has. */
function hasCode(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return error.name === "DmaWindowError" || OURS.includes(code as string);
}

/** The same of a call with a struct: one of them gives a descriptor, which cannot be closed where nobody was told. */
function callThrown(error: unknown, call: VfioCall): unknown {
  const problem = thrown(error, vfioCallName(call));
  if (call !== VfioCall.GROUP_GET_DEVICE_FD) return problem;
  return unlessRefused(problem, "the device may be open, under a descriptor that nobody knows");
}

const OURS = [
  "ERR_INVALID_ARG_TYPE",
  "ERR_OUT_OF_RANGE",
  "ERR_MODEL_KERNEL_OOPS",
  "ERR_MODEL_PROCESS_ENDED",
  "ERR_MODEL_UNKNOWN",
];

/** Only where the kernel may have done it: an error of another code says that it was not asked. */
function unlessRefused(problem: Error, left: string): unknown {
  const { code } = problem as { code?: unknown };
  return code === "ERR_INTERFACE" ? withResidue(problem, [left]) : problem;
}
