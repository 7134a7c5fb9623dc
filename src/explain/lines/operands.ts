/** Addresses, sizes and numbers in a line. */
import type { Asked } from "../cause.ts";

/** Names that programs give the fields of the structs. */
const fieldNames: Readonly<Record<string, string>> = {
  argsz: "argsz",
  flags: "flags",
  vaddr: "vaddr",
  va: "vaddr",
  iova: "iova",
  phys_addr: "iova",
  size: "size",
  len: "size",
  length: "size",
  page_shift: "pageShift",
  window_size: "size",
  levels: "levels",
  index: "index",
  start: "start",
  count: "count",
};

/** `vaddr=0x7f00, iova: 0x10`: decimal, or hexadecimal with 0x. */
const FIELD =
  /\b(argsz|flags|vaddr|va|iova|phys_addr|size|len|length|page_shift|window_size|levels|index|start|count) ?[=:] ?(0x[0-9a-f]{1,16}|\d{1,20})\b/gi;

/** `vfio_dma_map(container, iova, size, vaddr)` of QEMU; its unmap has no vaddr. */
const QEMU = /dma_(?:un)?map\((0x[0-9a-f]{1,16}), (0x[0-9a-f]{1,16}), (0x[0-9a-f]{1,16})(?:, (0x[0-9a-f]{1,16}))?\)/i;

/** Flags of strace, by name. */
const FLAG_NAMES: readonly (readonly [RegExp, bigint])[] = [
  [/VFIO_DMA_MAP_FLAG_READ/, 1n],
  [/VFIO_DMA_MAP_FLAG_WRITE/, 2n],
  [/VFIO_DMA_MAP_FLAG_VADDR/, 4n],
  [/VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP/, 1n],
  [/VFIO_DMA_UNMAP_FLAG_ALL/, 2n],
  [/VFIO_DMA_UNMAP_FLAG_VADDR/, 4n],
];

export function operandsIn(line: string): Asked {
  const found: Record<string, unknown> = {};
  for (const [, name = "", value = "0"] of line.matchAll(FIELD)) {
    const field = fieldNames[name.toLowerCase()];
    if (field !== undefined && !(field in found)) found[field] = numberIn(value);
  }
  const [, , iova, size, vaddr] = QEMU.exec(line) ?? [];
  if (iova !== undefined) found.iova = BigInt(iova);
  if (size !== undefined) found.size = BigInt(size);
  if (vaddr !== undefined) found.vaddr = BigInt(vaddr);
  const named = FLAG_NAMES.filter(([name]) => name.test(line));
  if (named.length > 0) found.flags = named.reduce((all, [, bit]) => all | bit, 0n);
  const [, unmapped, wanted] = /size (\d{1,20}) of DMA remapping cleared instead of (\d{1,20})/i.exec(line) ?? [];
  if (unmapped !== undefined && wanted !== undefined)
    Object.assign(found, { unmapped: numberIn(unmapped), size: numberIn(wanted) });
  const [, limit] = /RLIMIT_MEMLOCK \((\d{1,20})\)/.exec(line) ?? [];
  if (limit !== undefined) found.limit = numberIn(limit);
  const [, path, group] = /(\/dev\/vfio\/(?:noiommu-)?(\d{1,9}))\b/.exec(line) ?? [];
  if (path !== undefined) Object.assign(found, { path, group: Number(group) });
  const [, other] = /\bgroup (\d{1,9})\b/i.exec(line) ?? [];
  if (other !== undefined && !("group" in found)) found.group = Number(other);
  return found;
}

/** Below 2^64; `undefined` for what is more, which is no operand. */
function numberIn(text: string): bigint | undefined {
  const value = BigInt(text);
  return value >> 64n === 0n ? value : undefined;
}

/** Operands in words, for whoever reads: `iova 0x1000, size 0x2000`. */
export function operandsInWords(asked: Asked): string {
  return Object.entries(asked)
    .filter(([, value]) => typeof value === "bigint" || typeof value === "number")
    .map(([name, value]) => `${name} ${typeof value === "bigint" && value > 9n ? `0x${value.toString(16)}` : value}`)
    .join(", ");
}
