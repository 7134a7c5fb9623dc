/** The structs of <linux/vfio.h>, written by hand: any field can be wrong on purpose. Little-endian, as both architectures. */

/** argsz and flags, then 8-byte fields. */
export function struct(argsz: number, flags: number, ...fields: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(Math.max(8 + fields.length * 8, Math.ceil(argsz / 8) * 8));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, argsz, true);
  view.setUint32(4, flags, true);
  for (const [index, field] of fields.entries()) view.setBigUint64(8 + index * 8, BigInt.asUintN(64, field), true);
  return bytes;
}

/** `start_addr` of vfio_iommu_spapr_tce_create, as the kernel left it. */
export function startAddress(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(32, true);
}
