import { readFileSync } from "node:fs";
import { hex } from "../hex.ts";

/**
 * Where a thread is: the instruction behind its system call, by the file that it is of. Nothing is unwound: that is most often a
 * function of the C library, and whoever called that is not known.
 */
export function placeOf(thread: number, instruction: bigint): readonly string[] {
  if (instruction === 0n) return [];
  for (const line of textOf(`/proc/${thread}/maps`).split("\n")) {
    const [, start, end, offset, name = ""] =
      /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ *(.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined) continue;
    const from = BigInt(`0x${start}`);
    if (instruction < from || instruction >= BigInt(`0x${end}`)) continue;
    return [`${name || "memory without a file"} + ${hex(instruction - from + BigInt(`0x${offset}`))} (not unwound)`];
  }
  return [`${hex(instruction)} (not unwound)`];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has ended
  }
}
