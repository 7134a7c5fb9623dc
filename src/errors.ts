import { nameOfMarked } from "./copies.ts";
import { ERRNO } from "./errno.ts";
import { errorToJson, type Json } from "./error-json.ts";
import { inspectErrors, readableDeep } from "./inspect.ts";

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
 *
 * What does not apply is not there: `"errno" in error` is false where no call was answered.
 */
export class DmaWindowError extends Error {
  override readonly name = "DmaWindowError";
  readonly code: string;
  // Declared only: a field without a value would be there, and be undefined.
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly residue?: Residue;
  declare readonly facts?: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: DmaWindowErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    if (options.errno !== undefined) this.errno = options.errno;
    if (options.syscall !== undefined) this.syscall = options.syscall;
    if (options.residue !== undefined) this.residue = options.residue;
    if (options.facts !== undefined) this.facts = readableDeep(options.facts);
  }

  /** For `JSON.stringify`: all of it but the stack, with every bigint as `"0x..."`. Never throws. */
  toJSON(): { readonly [key: string]: Json } {
    return errorToJson(this);
  }
}

inspectErrors(DmaWindowError);

/** Of several names for a number the first counts, as the kernel itself uses it: EAGAIN and not EWOULDBLOCK. */
const errnoNames = new Map(
  Object.entries(ERRNO)
    .map(([name, value]) => [value as number, name] as const)
    .reverse(),
);

/** `"ENOSPC"` for -28. */
export function errnoName(errno: number): string {
  return errnoNames.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** A TypeError with a `code`, in Node's own manner: the argument is of the wrong kind. */
export function argumentTypeError(name: string, expected: string, got: unknown): TypeError {
  return coded(new TypeError(`${name} must be ${expected}; got ${show(got)}`), "ERR_INVALID_ARG_TYPE");
}

/** The TypeError for an object that passes for one of ours, and is not: a Proxy, or one that was made without the constructor. */
export function imitationError(name: string, expected: string): TypeError {
  const problem = `${name} must be ${expected} itself; got a Proxy of one, or an object that only has its prototype`;
  return coded(new TypeError(problem), "ERR_INVALID_ARG_TYPE");
}

/** A RangeError with a `code`: the argument is of the right kind, and its value cannot be. */
export function argumentRangeError(name: string, expected: string, got: unknown): RangeError {
  return coded(new RangeError(`${name} must be ${expected}; got ${show(got)}`), "ERR_OUT_OF_RANGE");
}

/** Gives an error of JavaScript's own a `code`, and the way into JSON that {@link DmaWindowError} has. */
export function coded<E extends Error>(error: E, code: string): E & { readonly code: string } {
  Object.defineProperty(error, "toJSON", { value: () => errorToJson(error) });
  return Object.assign(error, { code });
}

/** The same of what native code threw: it has a `code` already. What is no error, or says more by itself, stays as it is. */
export function telling(error: unknown): unknown {
  const { code, toJSON } = (error instanceof Error ? error : {}) as { code?: unknown; toJSON?: unknown };
  return typeof code === "string" && toJSON === undefined ? coded(error as Error, code) : error;
}

/** An error of a class of its own, with the same way into JSON. */
export class TellingError extends Error {
  /** For `JSON.stringify`: see {@link DmaWindowError}. */
  toJSON(): { readonly [key: string]: Json } {
    return errorToJson(this);
  }
}

/** The TypeError for a key that an object of options, or a request, does not take: likely a misspelt one. */
export function unknownKeyError(name: string, key: string, keys: readonly string[], nearest?: string): TypeError {
  const [meant, it] = nearest === undefined ? [";", "it"] : [`; did you mean ${JSON.stringify(nearest)}?`, "It"];
  const words = `${name} takes no ${JSON.stringify(key.slice(0, 80))}${meant} ${it} takes ${keys.join(", ")}`;
  return coded(new TypeError(words), "ERR_INVALID_ARG_TYPE");
}

function show(value: unknown): string {
  if (typeof value === "bigint") return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object" && value !== null) return showObject(value);
  return String(value);
}

function showObject(value: object): string {
  try {
    return nameOfMarked(value) ?? `an object (${value.constructor?.name ?? "no prototype"})`;
  } catch {
    return "an object that cannot be read"; // a Proxy or a getter that throws
  }
}

/**
 * The same error, saying also what is left behind. One that is not ours passes through where nothing is; else it becomes the
 * cause of one that says it.
 */
export function withResidue(error: unknown, left: readonly string[]): unknown {
  if (left.length === 0 || hasEnded(error)) return error;
  const { code, message, errno, syscall, facts, residue } = asOurs(error);
  return new DmaWindowError(code, `${message}; left behind: ${left.join("; ")}`, {
    residue: { left: [...(residue?.left ?? []), ...left] },
    cause: error,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(facts === undefined ? {} : { facts }),
  });
}

/** A process of the software kernel was killed: with it went all that it could have left. */
function hasEnded(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === "ERR_MODEL_PROCESS_ENDED";
}

/**
 * What somebody else's code threw while we called it (a kernel interface, a function of the program), as an error with a code:
 * `ERR_INTERFACE`, with what was thrown as its cause. Ours pass through.
 */
export function asOurs(error: unknown, about = "the program's own code"): DmaWindowError {
  if (error instanceof DmaWindowError) return error;
  return new DmaWindowError("ERR_INTERFACE", `${about} threw: ${messageOf(error)}`, { cause: error });
}

/** What was thrown, in words; also for what is no error. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === "string" ? error : show(error);
}

/** The error as it was before its residue was known: for a caller that has put it right since, or names it otherwise. */
export function withoutResidue(error: unknown): unknown {
  if (!(error instanceof DmaWindowError) || error.residue === undefined) return error;
  return error.cause instanceof DmaWindowError ? withoutResidue(error.cause) : error;
}

/** The same error with more facts; `words` go behind its message. Errors that are not ours pass through. */
export function withFacts(error: unknown, more: Readonly<Record<string, unknown>>, words = ""): unknown {
  if (!(error instanceof DmaWindowError)) return error;
  const { code, message, errno, syscall, facts, residue } = error;
  return new DmaWindowError(code, `${message}${words}`, {
    facts: { ...facts, ...more },
    cause: error,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(residue === undefined ? {} : { residue }),
  });
}

/**
 * What an undo left behind: nothing, where it went well. Where it throws, `what` is the sentence for it; an error that it
 * gives back says itself what is left.
 */
export function leftBy(undo: () => unknown, what?: string): readonly string[] {
  try {
    const leftover = undo();
    return leftover instanceof DmaWindowError ? residueOf(leftover) : [];
  } catch (error) {
    const bare = withoutResidue(error);
    const message = messageOf(bare);
    const more = error instanceof DmaWindowError ? (error.residue?.left ?? []) : [];
    return [what === undefined ? message : `${what} (${message})`, ...more];
  }
}

/** What an error that was given back says to be left. An interface that threw, and did it all the same, leaves nothing. */
function residueOf({ code, message, residue }: DmaWindowError): readonly string[] {
  return residue?.left ?? (code === "ERR_INTERFACE" ? [] : [message]);
}
