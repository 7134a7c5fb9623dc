/** Why a heap or a pool refuses, in words. */
import { DmaWindowError } from "../errors.ts";

export { type Giver, refusedHandle } from "../refused-handle.ts";

export function closedError(title: string): DmaWindowError {
  return new DmaWindowError("ERR_CLOSED", `${title} is closed`);
}
