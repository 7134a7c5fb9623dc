/**
 * Addresses of a trace, which has symbols for them: `m2+0x1000`. A picture needs numbers where IOVAs are addresses (IOVA mode `va`).
 * Each neighbourhood of memory gets a place of its own; within one, distances are the recorded ones.
 */
import { parsePlace } from "../trace/addresses.ts";
import type { TraceCall } from "../trace/format.ts";

/** Where the n-th neighbourhood is drawn: far enough from the next for anything that lies within 16 GiB of each other. */
const NEIGHBOURHOOD_SHIFT = 40n;

/** Memory that the program had in another way: behind all that it mmapped, 64 GiB each. */
const OTHERS = 1n << 56n;
const OTHER_SHIFT = 36n;

/** No trace of a program has more, and each costs some bytes. */
const REGIONS_MAX = 1 << 20;

/** Memory that an mmap made. */
export interface TraceRegion {
  readonly name: string;
  /** Where it is drawn. */
  readonly base: bigint;
  readonly length: bigint;
  /** Bytes of a page. */
  readonly pageSize: bigint;
  /** It keeps address space for a list: pages come later. */
  readonly isReserve: boolean;
}

export class TracePlaces {
  readonly #regions = new Map<string, TraceRegion>();
  readonly #pageSize: number;
  #neighbourhoods = 0n;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  /** An mmap that was answered with memory of its own name. */
  mapped({ fields, answer }: TraceCall): void {
    if (typeof answer !== "string" || !/^m\d+$/.test(answer) || this.#regions.has(answer)) return;
    if (this.#regions.size >= REGIONS_MAX) return;
    const { at, phase, length, protection, flags, pageShift } = fields;
    const isHuge = Array.isArray(flags) && flags.includes("hugetlb") && typeof pageShift === "number";
    const pageSize = isHuge && pageShift < 64 ? 1n << BigInt(pageShift) : BigInt(this.#pageSize);
    this.#regions.set(answer, {
      name: answer,
      base: this.#baseOf(at, phase),
      length: ((BigInt(String(length)) + pageSize - 1n) / pageSize) * pageSize,
      pageSize,
      isReserve: protection === "none",
    });
  }

  /** All of a region is gone. */
  unmapped({ fields, answer }: TraceCall): TraceRegion | undefined {
    const region = this.#regions.get(String(fields.address));
    if (answer !== 0 || region === undefined || BigInt(String(fields.length)) < region.length) return undefined;
    this.#regions.set(region.name, { ...region, isReserve: false });
    return region;
  }

  /** The region that an address is in, and how far behind its beginning; undefined for one that no mmap made. */
  regionOf(address: string): { readonly region: TraceRegion; readonly offset: bigint } | undefined {
    const place = parsePlace(address);
    const region = place === undefined ? undefined : this.#regions.get(place.name);
    return place === undefined || region === undefined ? undefined : { region, offset: place.offset };
  }

  /** An IOVA or an address as a number. */
  numberOf(address: string): bigint {
    const place = parsePlace(address);
    if (place === undefined) return BigInt(address); // checked when the line was read
    const region = this.#regions.get(place.name);
    if (region !== undefined) return BigInt.asUintN(64, region.base + place.offset);
    const number = BigInt(place.name.slice(1));
    return BigInt.asUintN(64, OTHERS + (number << OTHER_SHIFT) + place.offset);
  }

  #baseOf(at: unknown, phase: unknown): bigint {
    const near = typeof at === "string" ? this.regionOf(at) : undefined;
    if (near !== undefined) return near.region.base + near.offset;
    this.#neighbourhoods += 1n;
    const within = typeof phase === "string" ? BigInt(phase) : 0n;
    return (this.#neighbourhoods << NEIGHBOURHOOD_SHIFT) + within;
  }
}

/** Whether it is a symbol and no number. */
export function isSymbol(address: unknown): boolean {
  return typeof address === "string" && !address.startsWith("0x");
}
