/** The walk along the capabilities of struct vfio_iommu_type1_info: the twin of `assembly/type1-info.ts`. */
import { Status } from "../../src/core.ts";

/** Bytes of a capability's beginning up to its count, and of each thing that it counts. */
const layouts: Readonly<Record<number, { head: number; each: number }>> = {
  1: { head: 16, each: 16 },
  3: { head: 12, each: 0 },
};

/** Where capability `id` begins; 0 when it is not there; -MALFORMED_INFO where the chain cannot be. */
export function infoCapability(info: Uint8Array, id: number): number {
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const met: number[] = [];
  let at = view.getUint32(16, true);
  if (at === 0) return -Status.MALFORMED_INFO;
  while (at !== 0) {
    if (at < 24 || at + 8 > info.length || met.length > info.length / 8) return -Status.MALFORMED_INFO;
    met.push(at);
    at = view.getUint32(at + 4, true);
  }
  const found = met.find((place) => view.getUint16(place, true) === id) ?? 0;
  if (found === 0) return 0;
  const { head, each } = layouts[id] as { head: number; each: number };
  if (found + 12 > info.length) return -Status.MALFORMED_INFO;
  const count = BigInt(view.getUint32(found + 8, true));
  return BigInt(found + head) + count * BigInt(each) > BigInt(info.length) ? -Status.MALFORMED_INFO : found;
}

/** A capability as bytes: its header, which `next` completes, and what it holds. */
export function capability(
  id: number,
  next: number,
  ...rest: readonly (readonly [bytes: 4 | 8, value: bigint])[]
): Uint8Array {
  const bytes = new Uint8Array(8 + rest.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, 1, true);
  view.setUint32(4, next, true);
  let at = 8;
  for (const [width, value] of rest) {
    if (width === 8) view.setBigUint64(at, value, true);
    else view.setUint32(at, Number(value), true);
    at += width;
  }
  return bytes;
}

/** An info of `bytes` that names pages, and has its first capability at `first`. */
export function info(bytes: number, flags: number, pageSizes: bigint, first: number): Uint8Array {
  const result = new Uint8Array(bytes);
  const view = new DataView(result.buffer);
  view.setUint32(0, bytes, true);
  view.setUint32(4, flags, true);
  view.setBigUint64(8, pageSizes, true);
  if (bytes >= 20) view.setUint32(16, first, true);
  return result;
}
