/** Structs between their bytes and the values of a trace. */
import { hexOfBytes } from "../hex.ts";
import { filesOf, hasArgsz, type StructField, type StructLayout } from "./calls.ts";

/**
 * Bytes behind the fields that are kept. No struct of VFIO has more of them; `argsz` is a number that a program may set to
 * anything, and what lies behind the struct is not the trace's business.
 */
const REST_BYTES_MAX = 256;

/** At least this much memory stands behind a struct that is written: no call without capabilities takes more. */
const STRUCT_BYTES_MIN = 64;

/** The most that is written for an `argsz` that says so: far more than the longest capability chain. */
const STRUCT_BYTES_MAX = 1 << 16;

/** What a field holds, or is to hold: `rest` is apart, being bytes. */
export type Values = Map<StructField, bigint>;

/** Bytes at `at`, as many as there are up to `length`, and zeros behind the end of the memory. */
export function copyOf(memory: Uint8Array, at: number, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(memory.subarray(at, at + length));
  return copy;
}

/** What a struct holds. */
export interface StructValues {
  readonly values: Values;
  /** The descriptors behind the fields, as many as the memory has of them. */
  readonly files?: { readonly name: string; readonly numbers: readonly number[] } | undefined;
  /** The bytes behind all that, up to `argsz` and without the zeros at their end. */
  readonly rest: string;
}

export function readStruct(layout: StructLayout, memory: Uint8Array, at: number): StructValues {
  const view = new DataView(copyOf(memory, at, Math.max(layout.bytes, 4)).buffer);
  const values: Values = new Map();
  for (const field of layout.fields) values.set(field, read(view, field));
  const listed = filesOf(layout, (field) => values.get(field) ?? 0n);
  const room = Math.max(0, Math.floor((memory.length - at - layout.bytes) / 4));
  const numbers = listed && readFiles(memory, at + layout.bytes, Math.min(listed.count, room));
  const known = layout.bytes + 4 * (numbers?.length ?? 0);
  const argsz = hasArgsz(layout) ? view.getUint32(0, true) : 0;
  const end = Math.min(argsz, known + REST_BYTES_MAX, memory.length - at);
  const rest = end > known ? memory.subarray(at + known, at + end) : new Uint8Array();
  return {
    values,
    files: listed && numbers && { name: listed.name, numbers },
    rest: hexOfBytes(rest).replace(/(00)+$/, ""),
  };
}

/** Memory with the struct at its start, and room for all that the kernel may write. */
export function writeStruct(layout: StructLayout, values: Values, files: readonly number[], rest: string): Uint8Array {
  const tail = [...new Uint8Array(new Int32Array(files).buffer), ...bytesOf(rest)];
  const [first] = layout.fields;
  const argsz = hasArgsz(layout) && first !== undefined ? Number(values.get(first) ?? 0n) : 0; // 32 bits
  const room = Math.min(Math.max(argsz, STRUCT_BYTES_MIN), STRUCT_BYTES_MAX);
  const memory = new Uint8Array(Math.max(room, layout.bytes + tail.length));
  const view = new DataView(memory.buffer);
  for (const field of layout.fields) {
    const value = values.get(field) ?? 0n;
    if (field.bytes === 4) view.setUint32(field.at, Number(BigInt.asUintN(32, value)), true);
    else view.setBigUint64(field.at, value, true);
  }
  memory.set(tail, layout.bytes);
  return memory;
}

function readFiles(memory: Uint8Array, at: number, count: number): number[] {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  return Array.from({ length: count }, (_, i) => view.getInt32(at + 4 * i, true));
}

function read(view: DataView, { at, bytes, kind }: StructField): bigint {
  if (bytes === 8) return view.getBigUint64(at, true);
  return BigInt(kind === "file" ? view.getInt32(at, true) : view.getUint32(at, true));
}

/** Two digits each. */
function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));
}
