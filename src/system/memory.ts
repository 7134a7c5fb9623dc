/** How much memory the machine has to spare, from /proc/meminfo. */

import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { readText } from "./files.ts";

/**
 * MemAvailable in bytes, out of the text of /proc/meminfo. Pure.
 *
 * The file says "kB" and means 1024 bytes (`fs/proc/meminfo.c: show_val_kb`). The number is the kernel's estimate of
 * what can be allocated without swapping (`mm/show_mem.c: si_mem_available`); free hugepages are not in it, since their
 * pools have taken them out already.
 *
 * Throws a DmaWindowError `ERR_MEMINFO_MALFORMED` when the line is missing (kernels before 3.14) or not as expected.
 */
export function parseMemAvailable(text: string): bigint {
  if (typeof text !== "string") throw argumentTypeError("text", "the text of /proc/meminfo (a string)", text);
  const line = text.split("\n").find((candidate) => candidate.startsWith("MemAvailable:"));
  const match = /^MemAvailable:\s+([0-9]+) kB$/.exec(line ?? "");
  const available = match === null ? undefined : BigInt(match[1] as string) * 1024n;
  if (available === undefined || available >= 1n << 64n) {
    const what = line === undefined ? "has no line MemAvailable" : `says ${JSON.stringify(line)}`;
    throw new DmaWindowError("ERR_MEMINFO_MALFORMED", `meminfo ${what}; expected "MemAvailable: NUMBER kB"`);
  }
  return available;
}

/**
 * The machine's MemAvailable in bytes, now.
 *
 * Throws what {@link parseMemAvailable} throws, and a DmaWindowError `ERR_MEMINFO_UNREADABLE` with the errno.
 */
export function readMemAvailable(path = "/proc/meminfo"): bigint {
  return parseMemAvailable(readText(path, "ERR_MEMINFO_UNREADABLE", "Mount procfs."));
}
