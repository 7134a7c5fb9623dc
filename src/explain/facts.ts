/**
 * What is known of a call, beside its answer: its operands, by the names of its struct's fields, and what the calls before it
 * have made of the container and of the process. Operands come from the command line, a log or a trace; the rest from a trace.
 *
 *     argsz, flags, vaddr, iova, size, pageShift, levels, start, index, count, argument, op: numbers, bigint or not
 *     path, name: text
 */
import { hex } from "../hex.ts";
import type { Asked, Holds } from "./cause.ts";

/** What a descriptor leads to. */
export type FileKind = "container" | "group" | "device" | "eventfd" | "closed";

export interface Range {
  readonly start: bigint;
  readonly size: bigint;
}

/** A window of sPAPR TCE, whose pages are those of its table. */
export interface KnownWindow extends Range {
  readonly pageShift: number;
}

/** What came before the call, as far as that is known. */
export interface Known {
  /** What the call's own descriptor leads to, and what that in its struct does. */
  readonly file: FileKind;
  readonly other: FileKind;
  readonly hasIommu: boolean;
  readonly hasGroup: boolean;
  /** Of the container that the call is about. */
  readonly groups: number;
  /** A process has registered memory, or made or removed a window: the container is that process's. */
  readonly claimed: boolean;
  readonly registeredAny: boolean;
  readonly windows: readonly KnownWindow[];
  readonly registrations: readonly Range[];
  /** Of all containers of the process, and what stayed behind of those that were unregistered while mapped. */
  readonly zombies: readonly Range[];
  readonly elsewhere: readonly Range[];
  readonly maps: readonly Range[];
  /** Where type1 allows IOVAs. */
  readonly ranges: readonly Range[];
  /** Bits of page sizes: those of GET_INFO. */
  readonly pageSizes: bigint;
  readonly maxLevels: number;
  /** Bytes in a page of the CPU. */
  readonly cpuPage: bigint;
  /** How much more may be locked. */
  readonly lockable: bigint;
  readonly mapsAvailable: number;
  readonly platform: "powernv" | "pseries" | "type1" | "noiommu";
  readonly type1: 1 | 2;
  /** Of the memory that the call is about: how many bytes from its beginning can be pinned, for writing or for reading. */
  readonly writable: bigint;
  readonly readable: bigint;
  /** The size of the hugepages that it lies in; of the CPU's page where it is ordinary. */
  readonly memoryPage: bigint;
  readonly groupHasContainer: boolean;
  readonly deviceOpen: boolean;
  readonly groupOpen: boolean;
  /** Interrupts that are on: their index. */
  readonly interrupts: number | undefined;
  /** How many of them. */
  readonly vectorsOn: number;
  /** How many the device has of the kind that the call is about. */
  readonly vectors: number;
}

export function known<K extends keyof Known>(asked: Asked, name: K): Known[K] | undefined {
  return asked[name] as Known[K] | undefined;
}

export function operand(asked: Asked, name: string): bigint | undefined {
  const value = asked[name];
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

export function text(asked: Asked, name: string): string | undefined {
  const value = asked[name];
  return typeof value === "string" ? value : undefined;
}

/** Of a predicate over operands that all have to be known. */
export function when(names: readonly string[], is: (...values: bigint[]) => string | boolean | undefined): Holds {
  return (asked) => {
    const values = names.map((name) => operand(asked, name));
    return values.includes(undefined) ? undefined : is(...(values as bigint[]));
  };
}

/** The struct is shorter than the kernel's. */
export const shorterThan = (bytes: number): Holds =>
  when(["argsz"], (argsz) => argsz < BigInt(bytes) && `argsz is ${argsz}, and the struct has ${bytes} bytes`);

export const flagsBeside = (mask: bigint): Holds =>
  when(["flags"], (flags) => {
    const others = flags & ~mask;
    return others !== 0n && `flags are ${hex(flags)}, of which the kernel does not know ${hex(others)}`;
  });

/** The descriptor leads to something else than the call is for. */
export const askedOf =
  (...kinds: readonly FileKind[]): Holds =>
  (asked) => {
    const file = known(asked, "file");
    return file === undefined ? undefined : kinds.includes(file);
  };

/** The same, and the container has, or has not, its IOMMU. */
export const askedOfContainer =
  (hasIommu: boolean): Holds =>
  (asked) => {
    const file = known(asked, "file");
    if (file !== undefined && file !== "container") return false;
    const has = known(asked, "hasIommu");
    if (has === undefined || file === undefined) return undefined;
    // A group may leave unseen, when its device is unbound or by another process.
    return has === hasIommu || (hasIommu ? false : null);
  };

/** Past 2^64: what the kernel computes with 64 bits. */
export const TWO_64 = 1n << 64n;

/** Whether `[start, start + size)` reaches past 2^64. */
export function passes(start: bigint, size: bigint): boolean {
  return start + size > TWO_64;
}

export function overlapping<R extends Range>(ranges: readonly R[], start: bigint, size: bigint): R | undefined {
  return ranges.find((range) => start < range.start + range.size && range.start < start + size);
}

/** Which of the operands is no multiple of `unit`; in words. */
export function misaligned(asked: Asked, names: readonly string[], unit: bigint): string | boolean | undefined {
  let isKnown = true;
  for (const name of names) {
    const value = operand(asked, name);
    if (value === undefined) isKnown = false;
    else if (value % unit !== 0n) return `${name} ${hex(value)} is no multiple of ${hex(unit)}`;
  }
  return isKnown ? false : undefined;
}
