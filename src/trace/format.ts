/**
 * The lines of a trace. The whole format, for readers, is in `docs/traces.md`.
 *
 *     {"trace":"dma-window","version":1,"kernel":"model","pageSize":4096,"lockedMemory":{...}}      the header
 *     {"call":"open","path":"/dev/vfio/26","answer":"f2"}                                           one line for each call,
 *     {"call":"MAP_DMA","fd":"f1",...,"vaddr":"m1+0x1000","iova":"0x0","answer":"EINVAL"}            in their order
 *
 * Whatever may pass 2^53 is a hex string, errnos are names, addresses and descriptors are symbols.
 */
import { MapFlag, Protection } from "../syscalls.ts";
import type { Out } from "./out.ts";

/** Of the format. Whatever an older reader would misread makes another version. */
export const TRACE_VERSION = 1;

export interface TraceHeader {
  readonly trace: "dma-window";
  readonly version: number;
  /** Which kernel answered: `"linux"` or `"model"`. */
  readonly kernel: string;
  /** The CPU's page size in bytes. */
  readonly pageSize: number;
  /** When the recording began, in bytes; a limit of `null` is none. */
  readonly lockedMemory: { readonly limit: bigint | null; readonly used: bigint; readonly privileged: boolean };
  readonly note?: string;
}

/** A call as a trace has it. */
export interface TraceCall {
  /** The line of the trace, from 1: the header's. */
  readonly line: number;
  /** `open`, `close`, `mmap`, `munmap`, `mbind`, `eventfd`, `lockedMemory`, or an ioctl's name without its prefixes: `MAP_DMA`. */
  readonly call: string;
  /** Its arguments, checked: text for whatever is an address, a size or a descriptor. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Its place in the batch that it was made in, from 1, and how many calls that had. */
  readonly batch?: readonly [number, number];
  /** A number, the name of an errno, a symbol; `null` for a call of a batch that was not made. */
  readonly answer?: number | string | null;
  /** The code of what it threw instead of answering. */
  readonly throws?: string;
  /** What the kernel wrote into the struct. */
  readonly out?: Out;
}

const protections: readonly (readonly [string, number])[] = [
  ["none", Protection.NONE],
  ["r", Protection.READ],
  ["w", Protection.WRITE],
  ["rw", Protection.READ | Protection.WRITE],
];

/** `"rw"`; the number itself where it has bits that no name has. */
export function protectionName(value: number): string | number {
  return protections.find(([, bits]) => bits === value)?.[0] ?? value;
}

export function protectionOf(name: unknown): number | undefined {
  return isCount(name) ? name : protections.find(([known]) => known === name)?.[1];
}

const flags: readonly (readonly [string, number])[] = [
  ["fixed", MapFlag.FIXED],
  ["fixedNoreplace", MapFlag.FIXED_NOREPLACE],
  ["populate", MapFlag.POPULATE],
  ["noreserve", MapFlag.NORESERVE],
  ["hugetlb", MapFlag.HUGETLB],
];
const allFlags = flags.reduce((all, [, bit]) => all | bit, 0);

/** `["fixed", "populate"]`; the number itself where it has bits that no name has. */
export function flagNames(value: number): readonly string[] | number {
  if ((value & ~allFlags) !== 0) return value;
  return flags.filter(([, bit]) => (value & bit) !== 0).map(([name]) => name);
}

export function flagsOf(names: unknown): number | undefined {
  if (isCount(names)) return names;
  if (!Array.isArray(names)) return undefined;
  const bits = names.map((name) => flags.find(([known]) => known === name)?.[1]);
  return bits.every((bit) => bit !== undefined) ? bits.reduce((all, bit) => all | bit, 0) : undefined;
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** `"0x1000"`, below 2^64. */
export function isHex(value: unknown): value is string {
  return typeof value === "string" && /^0x(0|[1-9a-f][0-9a-f]{0,15})$/.test(value);
}
