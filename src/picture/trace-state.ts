/**
 * What a container has mapped, call by call of a trace, as the kernel answered them: a call that failed changed nothing. Memory that
 * it takes grows with what is mapped, not with the length of the trace.
 */
import type { AddressRange } from "../iommu.ts";
import { IommuType } from "../syscalls.ts";
import type { TraceCall } from "../trace/format.ts";
import type { Access, RegionFacts } from "./picture.ts";
import { Runs } from "./runs.ts";
import { isSymbol, type TracePlaces, type TraceRegion } from "./trace-places.ts";

/** A window that the kernel made, or that was there at first. */
export interface TraceWindow extends AddressRange {
  readonly pageShift: number | undefined;
}

/** VFIO_DMA_UNMAP_FLAG_ALL: all of the container, whatever range stands beside it. */
const UNMAP_ALL = 2;

const U64_LAST = (1n << 64n) - 1n;

/** The IOMMU of a container, as its calls show it. */
export class TraceContainer {
  /** What VFIO_SET_IOMMU chose; undefined before. */
  iommuType: number | undefined;
  /** sPAPR: the windows that are there. */
  readonly windows = new Map<bigint, TraceWindow>();
  /** type1: the ranges that the kernel allows, where it said so. */
  ranges: readonly AddressRange[] | undefined;
  /** log2 of the smallest page of the IOMMU. */
  pageShift: number | undefined;
  readonly live = new Runs<Access>();
  liveBytes = 0n;
  /** The range of the last map. */
  newest: AddressRange | undefined;
  /** Some IOVAs are addresses of the process, which a trace does not have. */
  isSymbolic = false;
  /** By memory: where its beginning would be, for memory that is mapped at one distance from itself. */
  readonly #bases = new Map<TraceRegion["name"], { region: TraceRegion; base: bigint | undefined }>();

  get isType1(): boolean {
    return this.iommuType === IommuType.TYPE1 || this.iommuType === IommuType.TYPE1v2;
  }

  get isSpapr(): boolean {
    return this.iommuType === IommuType.SPAPR_TCE_V2 || this.iommuType === IommuType.SPAPR_TCE;
  }

  /** The regions of lists that keep address space, clipped to what is drawn later. */
  regions(): RegionFacts[] {
    const found: RegionFacts[] = [];
    for (const { region, base } of this.#bases.values()) {
      if (base === undefined || base < 0n || !region.isReserve) continue;
      const last = base + region.length - 1n;
      if (last > U64_LAST) continue;
      found.push({ name: `list ${region.name}`, pageSize: region.pageSize, start: base, last });
    }
    return found.sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  map({ fields }: TraceCall, places: TracePlaces): void {
    const { vaddr, iova, size, flags } = fields;
    const [start, length] = [places.numberOf(String(iova)), BigInt(String(size))];
    if (length === 0n || start + length - 1n > U64_LAST) return; // no kernel answers 0 to that
    this.isSymbolic ||= isSymbol(iova);
    const last = start + length - 1n;
    this.liveBytes += length - this.#liveIn(start, last);
    this.live.set(start, last, Number(flags) & 3);
    this.newest = { start, last };
    this.#belongs(String(vaddr), start, places);
  }

  unmap({ fields, out }: TraceCall, places: TracePlaces): void {
    if (Number(fields.flags) === UNMAP_ALL) {
      this.clear();
      return;
    }
    const start = places.numberOf(String(fields.iova));
    const asked = BigInt(String(fields.size));
    // Version 1 of type1 unmaps whole maps, and says how much that was: more than was asked for, or nothing.
    const said = typeof out?.size === "string" && /^0x[0-9a-f]{1,16}$/.test(out.size) ? BigInt(out.size) : asked;
    const length = said === 0n ? 0n : said > asked ? said : asked;
    this.#remove(start, start + length - 1n);
  }

  /** Nothing is mapped any more. */
  clear(): void {
    this.live.clearAll();
    this.liveBytes = 0n;
  }

  create({ fields, out }: TraceCall): void {
    if (typeof out?.start !== "string" || !/^0x[0-9a-f]{1,16}$/.test(out.start)) return;
    this.#addWindow(BigInt(out.start), BigInt(String(fields.size)), Number(fields.pageShift));
  }

  removeWindow({ fields }: TraceCall): void {
    const start = BigInt(String(fields.start));
    const window = this.windows.get(start);
    if (window === undefined) return;
    this.windows.delete(start);
    this.#remove(window.start, window.last);
  }

  /** What GET_INFO says; of sPAPR the default window only the first time: the kernel names it after it was removed, too. */
  info({ out = {} }: TraceCall, isFirst: boolean): void {
    this.pageShift ??= smallestPage(out.pageSizes);
    if (this.isType1) {
      this.ranges = rangesIn(out.capabilities) ?? this.ranges;
    } else if (isFirst && isHexText(out.start) && isHexText(out.size)) {
      this.#addWindow(BigInt(out.start), BigInt(out.size), 12);
    }
  }

  #addWindow(start: bigint, size: bigint, pageShift: number): void {
    if (size === 0n || start + size - 1n > U64_LAST) return;
    this.windows.set(start, { start, last: start + size - 1n, pageShift });
  }

  #remove(start: bigint, last: bigint): void {
    if (last < start) return;
    const end = last > U64_LAST ? U64_LAST : last;
    this.liveBytes -= this.#liveIn(start, end);
    this.live.clear(start, end);
  }

  /** Bytes of the range that are live. */
  #liveIn(start: bigint, last: bigint): bigint {
    return this.live.within(start, last).reduce((sum, run) => {
      const from = run.start > start ? run.start : start;
      const to = run.last < last ? run.last : last;
      return sum + to - from + 1n;
    }, 0n);
  }

  /** Memory at two distances from itself has no region. */
  #belongs(vaddr: string, iova: bigint, places: TracePlaces): void {
    const found = places.regionOf(vaddr);
    if (found === undefined) return;
    const { region, offset } = found;
    const known = this.#bases.get(region.name);
    const base = iova - offset;
    if (known === undefined) this.#bases.set(region.name, { region, base });
    else if (known.base !== base)
      this.#bases.set(region.name, { region, base: this.#movedTo(known.base, base, region) });
  }

  /** A list whose memory is all gone may come again elsewhere. */
  #movedTo(before: bigint | undefined, base: bigint, { length }: TraceRegion): bigint | undefined {
    if (before === undefined) return undefined;
    const from = before < 0n ? 0n : before;
    const left = this.live.within(from, before + length - 1n);
    return left.every(({ start }) => start >= base && start < base + length) ? base : undefined;
  }

  /** An mmap is gone: so is its region. */
  forget(region: TraceRegion): void {
    this.#bases.delete(region.name);
  }
}

function isHexText(value: unknown): value is string {
  return typeof value === "string" && /^0x[0-9a-f]{1,16}$/.test(value);
}

function smallestPage(mask: unknown): number | undefined {
  if (!isHexText(mask) || BigInt(mask) === 0n) return undefined;
  const bits = BigInt(mask).toString(2);
  return bits.length - 1 - bits.lastIndexOf("1");
}

/** More than a kernel has. What lies behind is not drawn as kept. */
const RANGES_MAX = 4096;

/** Of the capabilities of type1 the one with the ranges: id 1. */
function rangesIn(capabilities: unknown): AddressRange[] | undefined {
  if (!Array.isArray(capabilities)) return undefined;
  for (const one of capabilities as readonly { readonly id?: unknown; readonly ranges?: unknown }[]) {
    if (one?.id !== 1 || !Array.isArray(one.ranges)) continue;
    const ranges = (one.ranges as readonly unknown[]).slice(0, RANGES_MAX).flatMap((pair) => {
      const [start, last] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
      if (!isHexText(start) || !isHexText(last)) return [];
      const range = { start: BigInt(start), last: BigInt(last) };
      return range.last < range.start ? [] : [range];
    });
    return ranges.sort((a, b) => (a.start < b.start ? -1 : 1));
  }
  return undefined;
}
