/**
 * The structs of <linux/vfio.h> that the kernel reads and writes, byte by byte, in host byte order (wasm's own is little
 * endian, and so is every host that this runs on). All are handed to the kernel in place.
 *
 *     offset                    0       4       8               16              24              32              40
 *     vfio_iommu_spapr_tce_info | argsz | flags | start | size  | page sizes    | count | levels|
 *     ..._spapr_register_memory | argsz | flags | vaddr         | size          |
 *     ..._spapr_tce_create      | argsz | flags | shift |       | window size   | levels|       | start (out)   |
 *     ..._spapr_tce_remove      | argsz | flags | start         |
 *     vfio_group_status         | argsz | flags |
 *     GROUP_SET_CONTAINER       | fd    |
 *     ..._type1_dma_map         | argsz | flags | vaddr         | iova          | size          |
 *     ..._type1_dma_unmap       | argsz | flags | iova          | size (in/out) |
 *
 * MAP_DMA and UNMAP_DMA take the type1 structs on sPAPR too. The two differ, and the kernel cannot tell which one it was
 * given: a map struct handed to UNMAP_DMA clears [0, iova) and leaves iova mapped.
 */

const GROUP_STATUS_BYTES: u32 = 8;
const INFO_BYTES: u32 = 32;
const REGISTER_BYTES: u32 = 24;
const CREATE_BYTES: u32 = 40;
const REMOVE_BYTES: u32 = 16;
const MAP_BYTES: u32 = 32;
const UNMAP_BYTES: u32 = 24;

/** Room for any of them; all of that size, so that arrays of them need no other arithmetic. */
export const STRUCT_BYTES: u32 = 40;

export function writeInfo(at: u32): void {
  memory.fill(at, 0, INFO_BYTES);
  store<u32>(at, INFO_BYTES);
}

export function infoFlags(at: u32): u32 {
  return load<u32>(at, 4);
}

export function infoDefaultStart(at: u32): u32 {
  return load<u32>(at, 8);
}

export function infoDefaultSize(at: u32): u32 {
  return load<u32>(at, 12);
}

export function infoPageSizes(at: u32): u64 {
  return load<u64>(at, 16);
}

export function infoWindows(at: u32): u32 {
  return load<u32>(at, 24);
}

export function infoLevels(at: u32): u32 {
  return load<u32>(at, 28);
}

/** REGISTER and UNREGISTER take the same struct. */
export function writeRegister(at: u32, va: u64, length: u64): void {
  store<u32>(at, REGISTER_BYTES);
  store<u32>(at, 0, 4);
  store<u64>(at, va, 8);
  store<u64>(at, length, 16);
}

export function registerVa(at: u32): u64 {
  return load<u64>(at, 8);
}

export function registerLength(at: u32): u64 {
  return load<u64>(at, 16);
}

export function writeCreate(at: u32, pageShift: u32, size: u64, levels: u32): void {
  memory.fill(at, 0, CREATE_BYTES);
  store<u32>(at, CREATE_BYTES);
  store<u32>(at, pageShift, 8);
  store<u64>(at, size, 16);
  store<u32>(at, levels, 24);
}

export function createdStart(at: u32): u64 {
  return load<u64>(at, 32);
}

export function writeRemove(at: u32, start: u64): void {
  store<u32>(at, REMOVE_BYTES);
  store<u32>(at, 0, 4);
  store<u64>(at, start, 8);
}

/** `permission`: 1 the device may read, 2 it may write, 3 both; the flags of the struct have the same bits. */
export function writeMap(at: u32, permission: u32, va: u64, iova: u64, length: u64): void {
  store<u32>(at, MAP_BYTES);
  store<u32>(at, permission, 4);
  store<u64>(at, va, 8);
  store<u64>(at, iova, 16);
  store<u64>(at, length, 24);
}

export function writeUnmap(at: u32, iova: u64, length: u64): void {
  store<u32>(at, UNMAP_BYTES);
  store<u32>(at, 0, 4);
  store<u64>(at, iova, 8);
  store<u64>(at, length, 16);
}

/** What type1 has written back: the bytes that it unmapped. sPAPR leaves the field as it was asked. */
export function unmappedLength(at: u32): u64 {
  return load<u64>(at, 16);
}

export function writeGroupStatus(at: u32): void {
  store<u32>(at, GROUP_STATUS_BYTES);
  store<u32>(at, 0, 4);
}

export function groupFlags(at: u32): u32 {
  return load<u32>(at, 4);
}

/** The argument of GROUP_SET_CONTAINER: a pointer to a file descriptor. */
export function writeFile(at: u32, fd: i32): void {
  store<i32>(at, fd);
}
