/** Windows to draw, and the lines of traces, as tests need them. */
import type { AddressRange } from "../../src/iommu.ts";
import { type Access, type WindowFacts, type WindowPicture, windowPicture } from "../../src/picture/picture.ts";
import type { Run } from "../../src/picture/runs.ts";
import type { Random } from "../support/random.ts";

export const PAGE = 4096n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;
export const TiB = 1n << 40n;

/** Ranges of whole pages in [start, last], ascending, apart from each other or not. */
export function randomRanges(random: Random, { start, last }: AddressRange, most: number): AddressRange[] {
  const pages = Number((last - start + 1n) / PAGE);
  const cuts = Array.from({ length: 2 * random.below(most + 1) }, () => random.below(pages + 1));
  const ascending = [...new Set(cuts)].sort((a, b) => a - b);
  const ranges: AddressRange[] = [];
  for (let i = 0; i + 1 < ascending.length; i += random.once(3) ? 1 : 2) {
    const [from, end] = [ascending[i] as number, ascending[i + 1] as number];
    const before = ranges.at(-1);
    const first = start + BigInt(from) * PAGE;
    if (before === undefined || before.last < first)
      ranges.push({ start: first, last: start + BigInt(end) * PAGE - 1n });
  }
  return ranges;
}

export function liveRuns(ranges: readonly AddressRange[], access: Access = 3): Run<Access>[] {
  return ranges.map(({ start, last }) => ({ start, last, value: access }));
}

export function picture(facts: Partial<WindowFacts> = {}): WindowPicture {
  return windowPicture({ name: "window", start: 0n, last: GiB - 1n, pageShift: 12, ...facts });
}

/** The header of a trace, and calls. */
export function traceOf(...calls: readonly object[]): string[] {
  const header = {
    trace: "dma-window",
    version: 1,
    kernel: "model",
    pageSize: 4096,
    lockedMemory: { limit: null, used: "0x0", privileged: false },
  };
  return [header, ...calls].map((line) => JSON.stringify(line));
}

/** A container of type1 whose IOMMU allows these ranges, `[start, last]` each. */
export const type1Open = (...ranges: readonly (readonly [string, string])[]) => [
  { call: "open", path: "/dev/vfio/vfio", answer: "f1" },
  { call: "SET_IOMMU", fd: "f1", argument: 3, answer: 0 },
  {
    call: "GET_INFO",
    fd: "f1",
    argsz: 112,
    answer: 0,
    out: { argsz: 112, flags: 3, pageSizes: "0x1000", capabilities: [{ id: 1, version: 1, ranges }] },
  },
];

export const mapped = (
  iova: string,
  size: string,
  vaddr = iova.replace("0x", "x1+0x"),
  answer: number | string = 0,
) => ({
  call: "MAP_DMA",
  fd: "f1",
  argsz: 32,
  flags: 3,
  vaddr,
  iova,
  size,
  answer,
});

export const unmapped = (iova: string, size: string, more: object = {}) => ({
  call: "UNMAP_DMA",
  fd: "f1",
  argsz: 24,
  flags: 0,
  iova,
  size,
  answer: 0,
  ...more,
});
