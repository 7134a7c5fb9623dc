/** The structs of <linux/vfio.h> as bytes, from the table of their fields: the twin of `assembly/structs.ts`. */

type Field = readonly [offset: number, bytes: 4 | 8, value: bigint];

/** Bytes of a struct of `size`, of which the first four say so. Little endian, as every host of the core is. */
export function struct(size: number, ...fields: Field[]): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  for (const [offset, width, value] of fields) {
    if (width === 8) view.setBigUint64(offset, value, true);
    else view.setUint32(offset, Number(value), true);
  }
  return bytes;
}

export function registerStruct(va: bigint, length: bigint): Uint8Array {
  return struct(24, [8, 8, va], [16, 8, length]);
}

export function mapStruct(permission: number, va: bigint, iova: bigint, length: bigint): Uint8Array {
  return struct(32, [4, 4, BigInt(permission)], [8, 8, va], [16, 8, iova], [24, 8, length]);
}

export function unmapStruct(iova: bigint, length: bigint): Uint8Array {
  return struct(24, [8, 8, iova], [16, 8, length]);
}

export function createStruct(pageShift: number, size: bigint, levels: number): Uint8Array {
  return struct(40, [8, 4, BigInt(pageShift)], [16, 8, size], [24, 4, BigInt(levels)]);
}

export function removeStruct(start: bigint): Uint8Array {
  return struct(16, [8, 8, start]);
}
