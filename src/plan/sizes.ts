/** Sizes as people write them. */

const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n,
  K: 1n << 10n,
  M: 1n << 20n,
  G: 1n << 30n,
  T: 1n << 40n,
  P: 1n << 50n,
};

/** Bytes of `64G`, `2M`, `64KiB`, `4096`, `0x100000000`; undefined for what is no size. It may pass 2^64. */
export function bytesIn(text: string): bigint | undefined {
  if (text.length > 1000) return undefined;
  const match = /^(0x[0-9a-f]+|\d+)([KMGTP]?)(i?B)?$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? "").toUpperCase()];
  return match?.[1] === undefined || unit === undefined ? undefined : BigInt(match[1]) * unit;
}
