import { makeShared, unmakeShared } from "./shared-recover";

export {
  sharedAdopt,
  sharedCheck,
  sharedFlush,
  sharedGet,
  sharedGetMany,
  sharedPut,
  sharedPutMany,
} from "./shared-pool";
export { sharedHeld, sharedJoin, sharedLeave, sharedRecover, sharedReserve } from "./shared-recover";
export function sharedOpen(count: u32, workers: u32): u32 {
  return makeShared(count, workers, 1000, 5);
}
export function sharedClose(pool: u32): u32 {
  return unmakeShared(pool);
}
