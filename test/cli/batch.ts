import { BATCH_ENTRY_BYTES, type VfioCall } from "../../src/syscalls.ts";

/** Where the structs of a batch begin, behind its table, and how far apart they are. */
const STRUCTS = 1024;
const STRUCT = 64;

/** Writes call `index` of a batch of up to 64, and its struct: argsz 32, flags, and up to three u64 fields. */
export function writeEntry(
  batch: Uint8Array,
  index: number,
  call: VfioCall,
  flags: number,
  ...fields: readonly bigint[]
): void {
  const view = new DataView(batch.buffer);
  const at = STRUCTS + index * STRUCT;
  view.setUint32(index * BATCH_ENTRY_BYTES, call, true);
  view.setUint32(index * BATCH_ENTRY_BYTES + 4, at, true);
  view.setUint32(at, 32, true);
  view.setUint32(at + 4, flags, true);
  for (const [i, field] of fields.entries()) view.setBigUint64(at + 8 + i * 8, field, true);
}
