/** `0x1000`. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Two digits for each byte: `0aff`. 13 ns a byte. */
export function hexOfBytes(memory: Uint8Array): string {
  let text = "";
  for (const byte of memory) text += digits[byte];
  return text;
}

const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** `64 MiB`, `256.125 MiB`, `65537 bytes`: exact when three decimals say it exactly, in bytes otherwise. */
export function bytes(value: bigint | number): string {
  const exact = BigInt(value);
  let unit = 0;
  while (unit < units.length - 1 && exact >> BigInt(10 * (unit + 1)) !== 0n) unit++;
  const divisor = 1n << BigInt(10 * unit);
  const thousandths = (exact * 1000n) / divisor;
  if ((thousandths * divisor) / 1000n !== exact || (exact * 1000n) % divisor !== 0n) return `${exact} bytes`;
  const fraction = (thousandths % 1000n).toString().padStart(3, "0").replace(/0+$/, "");
  const whole = thousandths / 1000n;
  return `${whole}${fraction === "" ? "" : `.${fraction}`} ${unit === 0 && exact === 1n ? "byte" : units[unit]}`;
}

/** `24 GiB`, `62.3 MiB`: for people, where the exact number does not matter. */
export function roughly(value: bigint): string {
  let unit = 0;
  while (unit < units.length - 1 && value >> BigInt(10 * (unit + 1)) !== 0n) unit++;
  const tenths = Number((value * 10n + (1n << BigInt(10 * unit)) / 2n) >> BigInt(10 * unit)); // at most 10240
  return unit === 0 ? bytes(value) : `${tenths / 10} ${units[unit]}`;
}
