/** A picture for programs: plain values of JSON, addresses and sizes as hex strings. */
import { hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import type { Growth } from "./growth.ts";
import { type Picture, type RangeKind, sizeOf, type WindowPicture } from "./picture.ts";

export function pictureToJson({ title, windows, notes }: Picture): object {
  return { title, windows: windows.map(windowToJson), notes };
}

function windowToJson(window: WindowPicture): object {
  const { name, pageShift, regions, ranges, largestHole, headroom, liveRuns, reach } = window;
  return {
    name,
    ...rangeToJson(window),
    size: hex(sizeOf(window)),
    pageShift: pageShift ?? null,
    bytes: sumsToJson(window.bytes),
    liveRuns,
    largestHole: largestHole === undefined ? null : rangeToJson(largestHole),
    headroom: hex(headroom),
    reach: {
      readBytes: hex(reach.readBytes),
      writeBytes: hex(reach.writeBytes),
      beyondBytes: hex(reach.beyondBytes),
      neededBits: reach.neededBits,
      deviceBits: reach.deviceBits ?? null,
      isEverything: reach.isEverything,
    },
    regions: regions.map(({ name: of, pageSize, liveBytes, ...range }) => ({
      name: of,
      ...rangeToJson(range),
      pageSize: pageSize === undefined ? null : hex(pageSize),
      liveBytes: hex(liveBytes),
    })),
    ranges: ranges.map(({ kind, region, ...range }) => ({
      ...rangeToJson(range),
      kind,
      region: region < 0 ? null : region,
    })),
  };
}

/** The moments, without their cells. */
export function growthToJson({ title, columns, notes }: Growth): object {
  return {
    title,
    columns: columns.map(({ name, account, frames }) => ({
      name,
      account,
      moments: frames.map(({ label, liveBytes, windowBytes, lost }) => ({
        label,
        liveBytes: hex(liveBytes),
        windowBytes: hex(windowBytes),
        lost: lost ?? null,
      })),
    })),
    notes,
  };
}

function rangeToJson({ start, last }: AddressRange): { readonly start: string; readonly last: string } {
  return { start: hex(start), last: hex(last) };
}

function sumsToJson(sums: Readonly<Record<RangeKind, bigint>>): Record<string, string> {
  return Object.fromEntries(Object.entries(sums).map(([kind, bytes]) => [kind, hex(bytes)]));
}
