import { constants } from "node:os";
import type { Answer } from "./row.ts";

const names = new Map(Object.entries(constants.errno).map(([name, value]) => [value as number, name]));
// EWOULDBLOCK and EOPNOTSUPP are second names of the same numbers; `os.constants` does not know EBADFD.
names.set(constants.errno.EAGAIN, "EAGAIN").set(77, "EBADFD");

/** An answer, or several in their order, as a row writes it: `0, EINVAL, 0x800000000000000, VmLck +8 MiB`. */
export function words(answer: Answer | readonly Answer[]): string {
  return Array.isArray(answer) ? answer.map(word).join(", ") : word(answer as Answer);
}

function word(answer: Answer): string {
  if (typeof answer === "bigint") return `0x${answer.toString(16)}`;
  if (typeof answer === "boolean") return answer ? "yes" : "no";
  if (typeof answer === "number" && answer < 0) return names.get(-answer) ?? `errno ${-answer}`;
  return String(answer);
}

const units = [
  ["TiB", 1n << 40n],
  ["GiB", 1n << 30n],
  ["MiB", 1n << 20n],
  ["KiB", 1n << 10n],
] as const;

/** A size as a sum of units: 64 MiB + 32 KiB, 0. Exact, and the same on every machine. */
export function size(bytes: bigint): string {
  if (bytes < 0n) return `-(${size(-bytes)})`;
  const parts: string[] = [];
  let rest = bytes;
  for (const [name, unit] of units) {
    if (rest / unit > 0n) parts.push(`${rest / unit} ${name}`);
    rest %= unit;
  }
  if (rest > 0n) parts.push(`${rest} bytes`);
  return parts.join(" + ") || "0";
}
