/**
 * Where the machine's memory lies, from /proc/iomem. A program whose IOVAs are physical addresses needs a window that
 * reaches the highest of them.
 *
 * The file is the kernel's resource tree, one resource a line, a parent before its children
 * (`kernel/resource.c: r_show`):
 *
 *     00001000-0009fbff : System RAM             both ends inclusive; at least 8 digits, more when the address has more
 *     4080000000-407fffffff : CXL Window 0
 *       4080000000-407fffffff : dax0.0           two spaces for each level
 *         4080000000-407fffffff : System RAM (kmem)
 *
 * Memory that a driver plugs in (kmem for DAX and CXL, virtio-mem) is named "System RAM (DRIVER)", which
 * `mm/memory_hotplug.c: add_memory_driver_managed` insists on, and stands below the device that brought it. So RAM is
 * looked for at every level.
 */

import { argumentTypeError, DmaWindowError, errnoName } from "../errors.ts";
import { guards, sentence } from "../guards.ts";
import { readableDeep } from "../inspect.ts";
import type { MachineFiles } from "../syscalls.ts";
import { checkFiles, readText } from "./files.ts";

/** Physical addresses, both ends inclusive, each from 0 to 2^64 - 1. */
export interface PhysicalRange {
  readonly start: bigint;
  readonly last: bigint;
}

/** One line of /proc/iomem that is System RAM. */
export interface IomemRange extends PhysicalRange {
  /** `System RAM`, or `System RAM (kmem)` and the like for memory that a driver plugged in. */
  readonly name: string;
  /**
   * How far the line is indented, 0 for the top level. Only to be shown: the kernel stops indenting at its fifth level
   * (`kernel/resource.c: MAX_IORES_LEVEL`), so what lies inside what is told by addresses.
   */
  readonly depth: number;
}

/** The System RAM of a machine. There is always some: a file without any is an error. */
export interface Iomem {
  /** Every line of System RAM, in the file's order. One may lie inside another. */
  readonly ranges: readonly IomemRange[];
  /** The same memory as few ranges: ascending, each address in one of them only, neighbours that touch joined. */
  readonly ramRanges: readonly PhysicalRange[];
  /** The last address that is RAM (inclusive). A window at 0 has to be larger than this. */
  readonly highest: bigint;
  /** The size of all `ramRanges` in bytes; no address is counted twice. */
  readonly totalBytes: bigint;
}

const IOMEM = "/proc/iomem";

const waysOut =
  "State the highest physical address yourself, or use an IOVA mode that does not need it: IOVAs that count from the " +
  "window's start, or that equal virtual addresses.";

/**
 * Reads the text of /proc/iomem. Pure. Ranges of other things are checked for their form and otherwise not looked at.
 *
 * Throws a DmaWindowError: `ERR_IOMEM_MALFORMED` (with `facts.line`, counted from 1) for a line that the kernel would
 * not write, `ERR_IOMEM_HIDDEN` when the kernel showed zeros instead of addresses, `ERR_IOMEM_NO_RAM` when no line is
 * System RAM.
 */
export function parseIomem(text: string): Iomem {
  if (typeof text !== "string") throw argumentTypeError("text", "the text of /proc/iomem (a string)", text);
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const ranges = lines.map(parseLine).filter((range) => range.name.startsWith("System RAM"));
  for (const range of ranges) refuseHidden(range);
  const ramRanges = join(ranges);
  const top = ramRanges.at(-1);
  if (top === undefined) {
    throw new DmaWindowError(
      "ERR_IOMEM_NO_RAM",
      `none of the ${lines.length} lines of iomem is System RAM; the file may be masked in a container. ${waysOut}`,
      { facts: { lines: lines.length } },
    );
  }
  const totalBytes = ramRanges.reduce((sum, { start, last }) => sum + (last - start + 1n), 0n);
  return readableDeep({ ranges, ramRanges, highest: top.last, totalBytes });
}

/**
 * The machine's System RAM now: memory that is plugged in later is not in it.
 *
 * @param from The path of the file, or a kernel's files (`kernel.files`), whose machine it is then. Default: this machine's.
 *
 * Throws what {@link parseIomem} throws, and a DmaWindowError `ERR_IOMEM_UNREADABLE` with the errno when the file is
 * missing or may not be read.
 */
export function readIomem(from: string | MachineFiles = IOMEM): Iomem {
  if (typeof from !== "object" || from === null) return parseIomem(readText(from, "ERR_IOMEM_UNREADABLE", waysOut));
  checkFiles(from);
  const text = from.text(IOMEM);
  if (typeof text === "string") return parseIomem(text);
  throw new DmaWindowError("ERR_IOMEM_UNREADABLE", `cannot read ${IOMEM}: ${errnoName(text)}. ${waysOut}`, {
    errno: text,
    facts: { path: IOMEM },
  });
}

/** Indentation, first address, last address, name. The kernel writes lower case and never more than 16 digits. */
const linePattern = /^((?: {2})*)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$/s;

function parseLine(line: string, index: number): IomemRange {
  const match = linePattern.exec(line);
  if (match === null) throw malformed(index, line, "is not FIRST-LAST : NAME");
  const [, indent = "", first, last, name = ""] = match;
  const range = { start: BigInt(`0x${first}`), last: BigInt(`0x${last}`), name, depth: indent.length / 2 };
  // Only of RAM: an empty resource of something else, which ends before it starts, is not our business.
  if (name.startsWith("System RAM") && range.start > range.last) throw malformed(index, line, "ends before it starts");
  return range;
}

function malformed(index: number, line: string, what: string): DmaWindowError {
  const shown = line.length > 80 ? `${line.slice(0, 80)}...` : line;
  return new DmaWindowError("ERR_IOMEM_MALFORMED", `line ${index + 1} of iomem ${what}: ${JSON.stringify(shown)}`, {
    facts: { line: index + 1, text: line },
  });
}

/**
 * Whoever opened the file without CAP_SYS_ADMIN in the initial user namespace gets 0 for every address, and the names as
 * they are (`kernel/resource.c: r_show`). RAM that is the single byte at 0 does not exist, so one such line is proof.
 */
function refuseHidden({ start, last, name }: IomemRange): void {
  if (start !== 0n || last !== 0n) return;
  throw new DmaWindowError(
    "ERR_IOMEM_HIDDEN",
    `iomem shows ${name} at 0-0: the kernel hides physical addresses from readers without ` +
      `CAP_SYS_ADMIN, and root inside a user namespace is one of them. ${sentence(guards.physicalAddresses)}: run as root. Or: ${waysOut}`,
  );
}

function join(ranges: readonly PhysicalRange[]): PhysicalRange[] {
  const joined: { start: bigint; last: bigint }[] = [];
  const ascending = [...ranges].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  for (const { start, last } of ascending) {
    const before = joined.at(-1);
    // A bigint does not wrap: nothing starts after a range that ends at 2^64 - 1.
    if (before === undefined || start > before.last + 1n) joined.push({ start, last });
    else if (last > before.last) before.last = last;
  }
  return joined;
}
