/**
 * What the NVMe controller saw of its registers, in QEMU's own words: every access with its place and its width.
 *
 *     pci_nvme_mmio_read addr 0x8 size 4
 *     pci_nvme_mmio_write addr 0x14 data 0x460001 size 4
 *
 * The guest marks where in the log a test begins and ends: by a read of 4 bytes in a place where the controller has no register.
 */

export interface Access {
  readonly kind: "read" | "write";
  readonly at: number;
  /** Bytes. */
  readonly width: number;
}

/** Where a guest's program marks the log: register `MARKS + 4 * n`, below the doorbells. */
export const MARKS = 0xf00;

/** What a guest says of the accesses between two of its marks. */
export interface Expected {
  /** The number of the mark before them; the next is behind them. */
  readonly mark: number;
  /** Exactly these, in this order. */
  readonly accesses?: readonly Access[];
  /** Or: any of these widths, and so many of them. */
  readonly widths?: readonly number[];
  readonly least?: number;
  readonly most?: number;
}

export function accessesIn(log: string): Access[] {
  const found: Access[] = [];
  for (const [, kind, at = "", width] of log.matchAll(
    /pci_nvme_mmio_(read|write) addr 0x([0-9a-f]+)(?: data 0x[0-9a-f]+)? size (\d+)/g,
  )) {
    found.push({ kind: kind as Access["kind"], at: Number.parseInt(at, 16), width: Number(width) });
  }
  return found;
}

/** What is wrong with the accesses between two marks; `undefined` where nothing is. */
export function judgeAccesses(
  all: readonly Access[],
  { mark, accesses, widths, least = 1, most = Number.POSITIVE_INFINITY }: Expected,
): string | undefined {
  const isMark = (number: number) => (one: Access) =>
    one.kind === "read" && one.at === MARKS + 4 * number && one.width === 4;
  const begin = all.findIndex(isMark(mark));
  const end = all.findIndex(isMark(mark + 1));
  if (begin < 0 || end < begin) return `the log of QEMU has not the marks ${mark} and ${mark + 1} one behind the other`;
  const between = all.slice(begin + 1, end);
  if (accesses !== undefined && words(between) !== words(accesses)) {
    return `the device was to see ${words(accesses) || "nothing"}, and saw ${words(between) || "nothing"}`;
  }
  if (widths === undefined) return undefined;
  const others = between.filter(({ width }) => !widths.includes(width));
  if (others.length > 0)
    return `the device saw ${others.length} accesses of other widths: ${words(others.slice(0, 8))}`;
  if (between.length >= least && between.length <= most) return undefined;
  return `the device saw ${between.length} accesses, and not ${least} at least${most < Number.POSITIVE_INFINITY ? `, ${most} at most` : ""}`;
}

function words(accesses: readonly Access[]): string {
  return accesses.map(({ kind, at, width }) => `${kind} of ${width} at 0x${at.toString(16)}`).join(", ");
}
