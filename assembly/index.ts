/**
 * What the core shows to JavaScript, and nothing else. `src/core.ts` is its dictionary: every export with its unit and
 * range. Addresses and sizes are u64 (BigInt outside); handles, indexes and statuses are i32; pointers are u32.
 *
 * A function that may refuse returns a status (status.ts), or a handle or index and the negative of a status.
 */
export { inUse as bytesInUse } from "./arena";
export { alignUp, isPowerOfTwo, log2Ceil, log2Floor, powerOfTwoAtLeast, trailingZeros } from "./bits";
export { callAt, callCount, callTable, requestAt, resultAt, structAt } from "./calls";
export { iovaColumn, lengthColumn, permissionColumn, reserveRequests, vaColumn } from "./columns";
export * from "./exports/blocks";
export * from "./exports/containers";
export * from "./exports/tables";
export * from "./exports/windows";
export { afterFailure, collectMaps, leftMapped, leftRegistered, prepareUndo } from "./maps";
export { contains as rangeContains, isRange, overlaps as rangesOverlap, rebase } from "./range";
export { refusedRequest, wrongUnmap } from "./requests";
export {
  createdStart,
  groupFlags,
  infoDefaultSize,
  infoDefaultStart,
  infoFlags,
  infoLevels,
  infoPageSizes,
  infoWindows,
  unmappedLength,
  writeCreate,
  writeFile,
  writeGroupStatus,
  writeInfo,
  writeMap,
  writeRegister,
  writeRemove,
  writeUnmap,
} from "./structs";
export { maskBits, powernvCharge, powernvLevelBytes, powernvShape, powernvTableBytes, pseriesCharge } from "./tce";
export {
  capabilityCount,
  infoBytes,
  infoCapability,
  rangeLast,
  rangeStart,
  type1PageSizes,
  writeType1Info,
} from "./type1-info";
