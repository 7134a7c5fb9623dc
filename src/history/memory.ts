/**
 * The memory of a trace's process. Its addresses are symbols: each region gets one here, at its place modulo the largest page
 * and at its distance from its neighbours, so that what the kernel looks at is as it was.
 */

import { MapFlag, Protection } from "../syscalls.ts";
import { ALIGNMENT, NEIGHBOURHOOD, parsePlace } from "../trace/addresses.ts";
import { flagsOf, protectionOf } from "../trace/format.ts";
import type { TraceCall } from "../trace/index.ts";
import { Spans } from "../trace/spans.ts";

interface Pages {
  readonly protection: number;
  /** Bytes. */
  readonly page: bigint;
}

/** Of memory from an address on. */
export interface There {
  readonly readable: bigint;
  readonly writable: bigint;
  /** The smallest page of it. */
  readonly page: bigint;
}

/** The first address that regions get: above what no process may map, and below the largest that a trace keeps as a number. */
const FIRST = 1n << 40n;

export class TracedMemory {
  readonly #cpuPage: bigint;
  readonly #bases = new Map<string, bigint>();
  readonly #regions = new Spans<true>();
  readonly #pages = new Spans<Pages>();
  #next = FIRST;

  constructor(cpuPage: number) {
    this.#cpuPage = BigInt(cpuPage);
  }

  /** The address of a symbol; a number is itself. */
  addressOf(value: unknown): bigint | undefined {
    if (typeof value !== "string") return undefined;
    const place = parsePlace(value);
    if (place === undefined) return /^0x[0-9a-f]{1,16}$/.test(value) ? BigInt(value) : undefined;
    const base =
      this.#bases.get(place.name) ?? (place.name.startsWith("x") ? this.#neighbourhood(place.name) : undefined);
    return base === undefined ? undefined : base + place.offset;
  }

  /** An mmap that was answered. */
  mmapped({ fields, answer }: TraceCall): void {
    if (typeof answer !== "string") return;
    const place = parsePlace(answer);
    const length = BigInt(String(fields.length));
    if (place === undefined) return;
    if (!this.#bases.has(place.name)) this.#bases.set(place.name, this.#baseFor(fields, length) - place.offset);
    const start = (this.#bases.get(place.name) ?? 0n) + place.offset;
    const flags = flagsOf(fields.flags) ?? 0;
    const page = (flags & MapFlag.HUGETLB) === 0 ? this.#cpuPage : 1n << BigInt(Number(fields.pageShift ?? 0));
    const end = start + ((length + page - 1n) / page) * page;
    this.#regions.set(start, end, true);
    this.#pages.set(start, end, { protection: protectionOf(fields.protection) ?? 0, page });
    if (end > this.#next) this.#next = end + NEIGHBOURHOOD;
  }

  munmapped(address: unknown, length: unknown): void {
    const start = this.addressOf(address);
    if (start !== undefined) this.#pages.clear(start, start + BigInt(String(length)));
  }

  /** What is there from `start` on; `undefined` of memory that the program had in another way. */
  at(start: bigint, size: bigint): There | undefined {
    if (size <= 0n || !this.#knows(start)) return undefined;
    const end = start + size;
    let [readable, writable] = [0n, 0n];
    let page: bigint | undefined;
    let [reads, writes] = [true, true];
    let at = start;
    for (const span of this.#pages.within(start, end)) {
      if (span.start > at) break;
      const stop = span.end < end ? span.end : end;
      reads &&= (span.value.protection & Protection.READ) !== 0;
      writes &&= (span.value.protection & Protection.WRITE) !== 0;
      if (reads) readable = stop - start;
      if (writes) writable = stop - start;
      if (page === undefined || span.value.page < page) page = span.value.page;
      at = stop;
      if (!reads) break;
    }
    return { readable, writable, page: page ?? this.#cpuPage };
  }

  /** Numbers that cannot be memory have none; neighbourhoods of other memory are not known. */
  #knows(address: bigint): boolean {
    return address < FIRST || this.#regions.at(address) !== undefined || address >= this.#next;
  }

  #baseFor(fields: TraceCall["fields"], length: bigint): bigint {
    const near = typeof fields.at === "string" ? parsePlace(fields.at) : undefined;
    const neighbour = near === undefined ? undefined : this.#bases.get(near.name);
    if (near !== undefined && neighbour !== undefined) return neighbour + near.offset;
    const phase = typeof fields.phase === "string" ? BigInt(fields.phase) % ALIGNMENT : 0n;
    const base = ((this.#next + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT + phase;
    this.#next = base + length + NEIGHBOURHOOD;
    return base;
  }

  #neighbourhood(name: string): bigint {
    const base = ((this.#next + NEIGHBOURHOOD - 1n) / NEIGHBOURHOOD) * NEIGHBOURHOOD;
    this.#bases.set(name, base);
    this.#next = base + NEIGHBOURHOOD;
    return base;
  }
}
