import { ERRNO } from "./errno.ts";

/**
 * What is left behind by an operation that failed and could not be undone in full. Absent from an error when the state
 * that the operation found was restored.
 */
export interface Residue {
  /** One sentence for each thing that is left, with addresses and sizes. */
  readonly left: readonly string[];
}

export interface DmaWindowErrorOptions {
  /** The kernel's answer, when the kernel said no: negative, as `os.constants.errno` has it without the sign. */
  readonly errno?: number;
  /** The call that said no, named as in `<linux/vfio.h>` or the manual: `VFIO_IOMMU_MAP_DMA`, `mmap`. */
  readonly syscall?: string;
  /** What could not be undone. */
  readonly residue?: Residue;
  /** The numbers of the message, for programs: addresses and sizes as bigint. */
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * An operation that could not be done, by our own check or because the kernel said no. `code` says which rule, for
 * programs; the message says what was asked, what the limit is, and what to do next.
 */
export class DmaWindowError extends Error {
  override readonly name = "DmaWindowError";
  readonly code: string;
  readonly errno?: number;
  readonly syscall?: string;
  readonly residue?: Residue;
  readonly facts?: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: DmaWindowErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    if (options.errno !== undefined) this.errno = options.errno;
    if (options.syscall !== undefined) this.syscall = options.syscall;
    if (options.residue !== undefined) this.residue = options.residue;
    if (options.facts !== undefined) this.facts = options.facts;
  }
}

const errnoNames = new Map(Object.entries(ERRNO).map(([name, value]) => [value as number, name]));

/** `"ENOSPC"` for -28. */
export function errnoName(errno: number): string {
  return errnoNames.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** A TypeError with a `code`, in Node's own manner: the argument is of the wrong kind. */
export function argumentTypeError(name: string, expected: string, got: unknown): TypeError {
  const error = new TypeError(`${name} must be ${expected}; got ${show(got)}`);
  return Object.assign(error, { code: "ERR_INVALID_ARG_TYPE" });
}

/** A RangeError with a `code`: the argument is of the right kind, and its value cannot be. */
export function argumentRangeError(name: string, expected: string, got: unknown): RangeError {
  const error = new RangeError(`${name} must be ${expected}; got ${show(got)}`);
  return Object.assign(error, { code: "ERR_OUT_OF_RANGE" });
}

function show(value: unknown): string {
  if (typeof value === "bigint") return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name ?? "no prototype"})`;
  return String(value);
}

/** The same error, saying also what is left behind. Errors that are not ours pass through. */
export function withResidue(error: unknown, left: readonly string[]): unknown {
  if (left.length === 0 || !(error instanceof DmaWindowError)) return error;
  const { code, message, errno, syscall, facts, residue } = error;
  return new DmaWindowError(code, `${message}; left behind: ${left.join("; ")}`, {
    residue: { left: [...(residue?.left ?? []), ...left] },
    cause: error,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(facts === undefined ? {} : { facts }),
  });
}

/** The error as it was before its residue was known: for a caller that has put it right since, or names it otherwise. */
export function withoutResidue(error: unknown): unknown {
  if (!(error instanceof DmaWindowError) || error.residue === undefined) return error;
  return error.cause instanceof DmaWindowError ? withoutResidue(error.cause) : error;
}

/**
 * What an undo left behind: nothing, where it went well. Where it throws, `what` is the sentence for it; an error that it
 * gives back says itself what is left.
 */
export function leftBy(undo: () => unknown, what?: string): readonly string[] {
  try {
    const leftover = undo();
    return leftover instanceof DmaWindowError ? (leftover.residue?.left ?? [leftover.message]) : [];
  } catch (error) {
    const bare = withoutResidue(error);
    const message = bare instanceof Error ? bare.message : String(bare);
    const more = error instanceof DmaWindowError ? (error.residue?.left ?? []) : [];
    return [what === undefined ? message : `${what} (${message})`, ...more];
  }
}
