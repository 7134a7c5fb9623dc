/** Figures as people read them. */

/** Three significant digits, without an exponent where that can be. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toPrecision(3).replace(/\.?0+$/, (zeros) => (zeros.includes(".") ? "" : zeros));
}

/** 1024 as `1k`, 1048576 as `1M`: the sizes here are powers of two. */
export function size(value: number): string {
  if (value >= 2 ** 20 && value % 2 ** 20 === 0) return `${value / 2 ** 20}M`;
  if (value >= 2 ** 10 && value % 2 ** 10 === 0) return `${value / 2 ** 10}k`;
  return String(value);
}
