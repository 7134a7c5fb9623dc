/** What belongs to no object: which build this is, and memory for the caller, a struct's room and blocks. */
import { acquire, release } from "../arena";
import { STRUCT_BYTES } from "../structs";

/** Room for one struct, for the calls that are made one at a time. */
const scratch = memory.data(STRUCT_BYTES, 8);

export function structScratch(): u32 {
  return <u32>scratch;
}

/** Whether this build computes in vectors. The scalar build is the same source without them. */
export function usesSimd(): bool {
  return ASC_FEATURE_SIMD;
}

/** Room for `bytes` of the caller's own; 0 when there is none. Zeroed. */
export function acquireBytes(bytes: u32): u32 {
  return acquire(bytes);
}

export function releaseBytes(block: u32, bytes: u32): void {
  release(block, bytes);
}
