import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";

/** What `run` throws; fails when it throws nothing. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** The DmaWindowError that `run` throws; fails when it is of another kind or has another code. */
export function failure(code: string, run: () => unknown): DmaWindowError {
  const error = thrownBy(run);
  assert.instance(error, DmaWindowError);
  assert.is((error as DmaWindowError).code, code, (error as Error).message);
  return error as DmaWindowError;
}

/** Fails unless `run` refuses its argument with this code (`ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`). */
export function refused(code: string, run: () => unknown): void {
  const error = thrownBy(run) as Error & { code?: string };
  assert.is(error.code, code, error.message);
}
