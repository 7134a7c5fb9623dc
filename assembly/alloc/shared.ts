/**
 * What the module for pools that workers share shows to JavaScript, and nothing else: `src/alloc-shared.ts` is its dictionary. It is a module of its own
 * on the allocator's memory, so that a worker takes what it needs and no more.
 */
export { sharedClose, sharedHeld, sharedOpen } from "./shared-open";
export {
  sharedAdopt,
  sharedCheckHandle,
  sharedFlush,
  sharedGet,
  sharedGetMany,
  sharedPut,
  sharedPutMany,
} from "./shared-pool";
export { sharedJoin, sharedLeave, sharedRecover, sharedReserve } from "./shared-workers";
