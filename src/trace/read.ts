/** From lines to calls. Whatever a line says is checked here: a trace comes from elsewhere. */

import { argumentTypeError } from "../errors.ts";
import { readable } from "../inspect.ts";
import { VfioCall } from "../syscalls.ts";
import { ADDRESSES_END, NEIGHBOURHOOD, parsePlace } from "./addresses.ts";
import { isErrnoName } from "./answers.ts";
import { callOfShortName, FILES_MAX, type FieldKind, layoutOf } from "./calls.ts";
import { flagsOf, isCount, isHex, protectionOf, TRACE_VERSION, type TraceCall, type TraceHeader } from "./format.ts";
import { malformed, wrongVersion } from "./problems.ts";

/** A trace that is being read. */
export interface Trace {
  readonly header: TraceHeader;
  /** Reads on as it is walked, once. @throws `ERR_TRACE_MALFORMED` at the line that is. */
  readonly calls: Iterable<TraceCall>;
}

/**
 * Reads a trace from its lines, which {@link traceLines} gives from a file; only the header is read at once.
 *
 * @throws `ERR_INVALID_ARG_TYPE` for what is no iterable, and for a text that was not split.
 * @throws `ERR_TRACE_VERSION` for one of a later version, `ERR_TRACE_MALFORMED` for what is none; both with the line's
 * number in `facts.line`. What `lines` throws passes through.
 */
export function readTrace(lines: Iterable<string>): Trace {
  // A text is an iterable of its letters.
  if (typeof lines !== "object" || typeof lines?.[Symbol.iterator] !== "function") {
    throw argumentTypeError("lines", "the lines of a trace (an iterable of strings)", lines);
  }
  const iterator = lines[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) throw malformed(1, "there is none: a trace begins with its header");
  try {
    const header = headerOf(objectOf(first.value, 1, () => false));
    return readable({ header, calls: callsOf(iterator) }, "Trace", () => ({ ...header }));
  } catch (error) {
    iterator.return?.();
    throw error;
  }
}

function headerOf(line: Fields): TraceHeader {
  if (line.trace !== "dma-window") throw malformed(1, 'it is no trace of dma-window: "trace" must be "dma-window"');
  const { version, kernel, pageSize, lockedMemory, note } = line;
  if (!isCount(version) || version < 1) throw malformed(1, '"version" must be a number from 1 on');
  if (version > TRACE_VERSION) throw wrongVersion(version);
  if (typeof kernel !== "string") throw malformed(1, '"kernel" must be text');
  if (!isCount(pageSize) || pageSize < 4096 || (pageSize & (pageSize - 1)) !== 0) {
    throw malformed(1, '"pageSize" must be a power of two from 4096 on');
  }
  if (note !== undefined && typeof note !== "string") throw malformed(1, '"note" must be text');
  const { limit, used, privileged } = (lockedMemory ?? {}) as Fields;
  if ((limit !== null && !isHex(limit)) || !isHex(used) || typeof privileged !== "boolean") {
    throw malformed(
      1,
      '"lockedMemory" must have a limit (null for none) and used as hex, and whether it is privileged',
    );
  }
  const locked = { limit: limit === null ? null : BigInt(limit), used: BigInt(used), privileged };
  const header = { trace: "dma-window", version, kernel, pageSize, lockedMemory: locked } as const;
  return note === undefined ? header : { ...header, note };
}

function* callsOf(lines: Iterator<string>): Generator<TraceCall, void, void> {
  let line = 1;
  /** The batch that is not whole yet: the place that comes next, and its length. */
  let begun: readonly [number, number] | undefined;
  try {
    for (let next = lines.next(); !next.done; next = lines.next()) {
      line++;
      const fields = objectOf(next.value, line, () => lines.next().done === true);
      const call = callOf(fields, line);
      const [place, length] = call.batch ?? [1, 1];
      const [nextPlace, sameLength] = begun ?? [1, length];
      if (place !== nextPlace || length !== sameLength) {
        throw malformed(line, "the calls of a batch follow each other, from the first to the last of them");
      }
      begun = place < length ? [place + 1, length] : undefined;
      yield call;
    }
    if (begun === undefined) return;
    throw malformed(line, `the trace ends in the middle of a batch: call ${begun[0]} of ${begun[1]} is missing`);
  } finally {
    lines.return?.();
  }
}

type Fields = Readonly<Record<string, unknown>>;

function objectOf(text: string, line: number, isLast: () => boolean): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const cut = isLast() ? ": it is the last one, and was cut off while it was written" : "";
    throw malformed(line, `it is no JSON${cut}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(line, "it is no JSON object");
  return value as Fields;
}

interface Check {
  readonly is: (value: unknown) => boolean;
  readonly what: string;
  readonly optional?: true;
}

const text: Check = { is: (value) => typeof value === "string", what: "text" };
const count: Check = { is: isCount, what: "a whole number from 0 to 2^32 - 1" };
const number: Check = { is: (value) => Number.isSafeInteger(value), what: "a whole number" };
const hexNumber: Check = { is: isHex, what: "a hex number below 2^64, such as 0x1000" };
const signedHex: Check = {
  is: (value) => isHex(String(value).replace(/^-/, "")),
  what: "a hex number, such as -0x1000",
};
const file: Check = { is: isFile, what: "a descriptor, such as f1, or a number" };
const files: Check = {
  is: (value) => Array.isArray(value) && value.length <= FILES_MAX && value.every(isFile),
  what: "a list of descriptors",
};
const address: Check = { is: isAddress, what: "an address, such as m1+0x1000 or 0x0" };
const relative: Check = { is: (value) => placeIn(value)?.name[0] === "m", what: "a place, such as m1-0x1000" };
const rest: Check = { is: (value) => /^([0-9a-f]{2}){1,256}$/.test(String(value)), what: "1 to 256 bytes in hex" };
const protection: Check = { is: (value) => protectionOf(value) !== undefined, what: "none, r, w or rw" };
const flags: Check = { is: (value) => flagsOf(value) !== undefined, what: "a list of flags of mmap" };
const near: Check = { is: (value) => value === null || isAddress(value), what: "null, or an address" };
const optional = (check: Check): Check => ({ ...check, optional: true });

const byKind: Readonly<Record<FieldKind, Check>> = { count, hex: hexNumber, address, iova: address, file };

const plainCalls: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  open: { path: text },
  close: { fd: file },
  mmap: {
    near,
    length: hexNumber,
    protection,
    flags,
    pageShift: optional(count),
    at: optional(relative),
    phase: optional(hexNumber),
  },
  munmap: { address, length: hexNumber },
  mbind: { address, length: hexNumber, node: count },
  eventfd: {},
  lockedMemory: { used: signedHex },
};

function callOf(line: Fields, number: number): TraceCall {
  const { call, batch, answer, throws, out, ...fields } = line;
  const checks = typeof call === "string" ? checksFor(call, fields) : undefined;
  if (checks === undefined) throw malformed(number, `there is no call ${JSON.stringify(call)}`);
  for (const [name, { is, what, optional }] of Object.entries(checks)) {
    if (name in fields ? !is(fields[name]) : !optional) throw malformed(number, `"${name}" must be ${what}`);
  }
  const unknown = Object.keys(fields).find((name) => !(name in checks));
  if (unknown !== undefined) throw malformed(number, `${call} has no "${unknown}"`);
  if (batch !== undefined && !isBatchPlace(batch))
    throw malformed(number, '"batch" must be a place and a count: [1, 3]');
  if (batch !== undefined && (Object.hasOwn(plainCalls, String(call)) || "argument" in fields)) {
    throw malformed(number, "a batch is of ioctls with structs");
  }
  if (throws !== undefined && typeof throws !== "string") throw malformed(number, '"throws" must be text');
  if (out !== undefined && (typeof out !== "object" || out === null))
    throw malformed(number, '"out" must be an object');
  const answered = call === "lockedMemory" || throws !== undefined;
  if (answered ? answer !== undefined : !isAnswer(answer, batch !== undefined)) {
    throw malformed(number, '"answer" must be a number, the name of an errno, or a symbol');
  }
  const read = { line: number, call, fields, batch, answer, throws, out };
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined)) as unknown as TraceCall;
}

/** The fields of a call; undefined for a call that there is not. */
function checksFor(call: string, fields: Fields): Readonly<Record<string, Check>> | undefined {
  if (Object.hasOwn(plainCalls, call)) return plainCalls[call];
  const known = callOfShortName(call);
  if (known === undefined) return undefined;
  if ("argument" in fields) return { fd: file, argument: number };
  if (known === VfioCall.GROUP_GET_DEVICE_FD) return { fd: file, name: text };
  const layout = layoutOf(known);
  const listed = layout.files && { [layout.files.name]: optional(files) };
  const own = layout.fields.map(({ name, kind, unread }) => [name, unread ? optional(byKind[kind]) : byKind[kind]]);
  return { fd: file, ...Object.fromEntries(own), ...listed, rest: optional(rest) };
}

function isFile(value: unknown): boolean {
  return typeof value === "string" ? /^f[1-9]\d{0,14}$/.test(value) : Number.isSafeInteger(value);
}

function placeIn(value: unknown): ReturnType<typeof parsePlace> {
  return typeof value === "string" ? parsePlace(value) : undefined;
}

function isAddress(value: unknown): boolean {
  if (isHex(value)) return true;
  const place = placeIn(value);
  if (place === undefined || place.offset < 0n) return false;
  return place.name.startsWith("x") ? place.offset < NEIGHBOURHOOD : place.offset < ADDRESSES_END;
}

function isBatchPlace(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(isCount)) return false;
  const [place = 0, count = 0] = value as number[];
  return place >= 1 && place <= count;
}

function isAnswer(answer: unknown, inBatch: boolean): boolean {
  if (answer === null) return inBatch;
  if (typeof answer === "number") return Number.isSafeInteger(answer);
  return (
    typeof answer === "string" &&
    (isErrnoName(answer) || /^f[1-9]\d{0,14}$/.test(answer) || placeIn(answer) !== undefined)
  );
}
