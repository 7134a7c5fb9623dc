import { VfioCall } from "../../syscalls.ts";
import type { CallRecord } from "./call-record.ts";
import type { Found } from "./finding.ts";
import type { LiveMap } from "./live-maps.ts";
import type { ContainerState, PastUnmap } from "./state.ts";
import { addressesOf, madeBy, named, reached } from "./words.ts";

/** Of a struct for UNMAP; one with more bytes and no flags is likely another call's. */
const UNMAP_BYTES = 24n;

/** What an UNMAP did beside what it was asked for. */
export function judgeUnmap({ maps }: ContainerState, unmap: PastUnmap): Found[] {
  const { call, start, end, cleared } = unmap;
  const found: Found[] = [];
  const beyond = cleared.flatMap((map) => outside(map, start, end));
  if (beyond.length > 0) {
    found.push({
      kind: "unmapped-another",
      message:
        `UNMAP of ${named(start, end)} took more away than it named: ${reached(beyond)}. ` +
        "This kernel removes whole maps where one begins in the range: map in the pieces that will be unmapped, or keep the size that UNMAP gives back.",
      addresses: addressesOf(beyond),
      calls: [...madeBy(beyond), call.text],
    });
  }
  const left = call.answer === 0 ? maps.within(start, end) : [];
  if (left.length > 0) {
    found.push({
      kind: "left-mapped",
      message:
        `UNMAP of ${named(start, end)} answered 0, and the device still reaches ${reached(left)}. ` +
        "Look at the size that UNMAP gives back: less than was asked for was unmapped. A map can be unmapped only as it was made: unmap all of it, or map in smaller pieces.",
      addresses: addressesOf(left),
      calls: [...madeBy(left), call.text],
    });
  }
  return found;
}

/**
 * Memory is given up while a device reaches it, and the UNMAP before took away what nobody has given up: it was meant for this
 * memory. `left` is what leads there.
 */
export function judgeMeant(
  unmap: PastUnmap | undefined,
  left: readonly LiveMap[],
  by: Pick<CallRecord, "call" | "text">,
): Found[] {
  if (unmap === undefined || left.length === 0) return [];
  const { call, start, end, cleared } = unmap;
  const wrong = cleared.filter((map) => !left.some((one) => overlapsMemory(one, map)));
  const isWhole = cleared.reduce((pages, map) => pages + map.end - map.start, 0) === end - start;
  // It named what was mapped, from end to end, and had time to: a program may give several things up in any order.
  if (wrong.length === 0 || (isWhole && call.field("argsz") === UNMAP_BYTES)) return [];
  const layout =
    call.field("argsz") > UNMAP_BYTES && call.field("flags") === 0n
      ? ` Its argsz is ${call.field("argsz")}, and that of UNMAP's struct is 24: it looks like another call's struct, in which other fields lie where iova and size are read.`
      : "";
  const what = by.call === VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY ? "unregistered" : "given back";
  return [
    {
      kind: "unmapped-another",
      message:
        `UNMAP of ${named(start, end)} took ${reached(wrong)} away, where the program goes on to expect its device; the memory that is ${what} next ` +
        `is still reached, at ${reached(left)}: that is what should have been unmapped.${layout}`,
      addresses: addressesOf(wrong),
      calls: [...madeBy(wrong), call.text, by.text],
    },
  ];
}

function overlapsMemory(one: LiveMap, other: LiveMap): boolean {
  return one.page < other.page + (other.end - other.start) && other.page < one.page + (one.end - one.start);
}

/** The parts of a map that lie outside of [start, end). */
function outside(map: LiveMap, start: number, end: number): LiveMap[] {
  const part = (from: number, to: number): LiveMap[] =>
    from < to ? [{ ...map, start: from, end: to, page: map.page + from - map.start }] : [];
  return [...part(map.start, Math.min(map.end, start)), ...part(Math.max(map.start, end), map.end)];
}
