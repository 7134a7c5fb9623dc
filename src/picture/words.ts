/** What is said of a picture, the same wherever it is drawn. */
import { bytes, hex, roughly } from "../hex.ts";
import { type PictureRange, type PictureRegion, type RangeKind, sizeOf, type WindowPicture } from "./picture.ts";

/** The longest text from elsewhere that is shown: a title, a name. */
const TEXT_LENGTH_MAX = 200;

/**
 * Text from a file as text alone: without control characters, which a terminal would obey, and without those that turn the direction
 * of what follows or cannot be seen.
 */
export function plainText(text: string): string {
  const cut = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}...` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, "");
}

export const KINDS: readonly RangeKind[] = ["live", "reserved", "free", "kept"];

/** What each kind means, for a legend. */
export const MEANINGS: Readonly<Record<RangeKind, string>> = {
  live: "mapped: a device reaches it",
  reserved: "set aside for a list, and not mapped",
  free: "nothing there",
  kept: "may not be mapped: the IOMMU keeps it",
};

/** `window: 64 TiB at 0x0, pages of 1 GiB`. */
export function headline({ name, start, last, pageShift }: WindowPicture): string {
  const pages = pageShift === undefined ? "" : `, pages of ${bytes(1n << BigInt(pageShift))}`;
  return `${name}: ${size(sizeOf({ start, last }))} at ${hex(start)}${pages}`;
}

/** `63.9 TiB free`, `64 GiB reserved for list 0`. */
export function breakWords({ kind, region, start, last }: PictureRange, regions: readonly PictureRegion[]): string {
  const whose = kind === "reserved" ? regions[region]?.name : undefined;
  return `${size(sizeOf({ start, last }))} ${kind}${whose === undefined ? "" : ` for ${plainText(whose)}`}`;
}

/** What there is of each kind, and how much room: label and words. */
export function figures(window: WindowPicture): (readonly [string, string])[] {
  const { largestHole, headroom, liveRuns } = window;
  const parts = KINDS.filter((kind) => kind !== "kept" || window.bytes.kept > 0n).map(
    (kind) => `${size(window.bytes[kind])} ${kind}`,
  );
  const runs = liveRuns === 0 ? "" : `, the live part in ${liveRuns} run${liveRuns === 1 ? "" : "s"}`;
  const hole =
    largestHole === undefined
      ? "none: no address is free"
      : `${size(sizeOf(largestHole))} at ${hex(largestHole.start)}-${hex(largestHole.last)}`;
  return [
    ["in all", `${parts.join(", ")}${runs}`],
    ["largest hole", hole],
    ["headroom", headroom === 0n ? "none: the window's end is taken" : `${size(headroom)} behind all that is taken`],
    ["a device", reachWords(window)],
  ];
}

/** What a device can and cannot reach. */
function reachWords({ bytes: sums, reach }: WindowPicture): string {
  const { readBytes, writeBytes, beyondBytes, neededBits, deviceBits, isEverything } = reach;
  if (isEverything) return `reaches all memory of the machine: there is no IOMMU. It needs ${neededBits} address bits`;
  const both = readBytes === sums.live && writeBytes === sums.live;
  const rights = both ? "" : ` (${size(readBytes)} to read, ${size(writeBytes)} to write)`;
  const what = sums.live === 0n ? "reaches nothing yet" : `reaches the ${size(sums.live)} that are live${rights}`;
  const else_ = "; what it sends elsewhere the IOMMU refuses";
  const bits =
    beyondBytes > 0n
      ? `. With ${deviceBits} address bits it has no way to ${size(beyondBytes)} of it, which need ${neededBits}`
      : `. All of it needs ${neededBits} address bits${deviceBits === undefined ? "" : `; it has ${deviceBits}`}`;
  return `${what}${else_}${bits}`;
}

/** Exact where few digits say it, rounded otherwise: `64 MiB`, `62.3 MiB`. */
export function size(value: bigint): string {
  const exact = bytes(value);
  return exact.length <= 9 ? exact : roughly(value);
}
