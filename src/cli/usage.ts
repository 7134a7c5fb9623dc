import { bytesIn } from "../plan/sizes.ts";

/** What a user of the command line got wrong; ends the program with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** `64G`, `2M`, `4096`, `0x100000000`: bytes. */
export function parseSize(option: string, text: string): bigint {
  const value = bytesIn(text);
  if (value === undefined) {
    throw new UsageError(`--${option} takes a size such as 64G, 2M, 4096 or 0x100000000; got ${JSON.stringify(text)}`);
  }
  if (value >> 64n !== 0n) throw new UsageError(`--${option} takes at most 2^64 - 1 bytes; got ${text}`);
  return value;
}

/** A whole number from `least` to `most`. */
export function parseCount(option: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`--${option} takes a whole number from ${least} to ${most}; got ${JSON.stringify(text)}`);
  }
  return value;
}

export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new UsageError(`--${option} takes ${choices.join(", ")}; got ${JSON.stringify(text)}`);
  return found;
}
