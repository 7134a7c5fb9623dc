import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";

/** What `run` throws; fails when it throws nothing. */
export function thrownBy(run: () => unknown): Error & { readonly code?: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The DmaWindowError that `run` throws; fails when it is of another kind or has another code. */
export function failure(code: string, run: () => unknown): DmaWindowError {
  const error = thrownBy(run);
  assert.is(error.code, code, error.stack ?? error.message);
  assert.instance(error, DmaWindowError);
  return error as DmaWindowError;
}

/** Fails unless `run` refuses an argument: `ERR_INVALID_ARG_TYPE` (a TypeError) or `ERR_OUT_OF_RANGE` (a RangeError). */
export function refusesArgument(run: () => unknown): Error {
  const error = thrownBy(run);
  const expected = error instanceof TypeError ? "ERR_INVALID_ARG_TYPE" : "ERR_OUT_OF_RANGE";
  assert.ok(error instanceof TypeError || error instanceof RangeError, error.stack ?? error.message);
  assert.is(error.code, expected, error.stack ?? error.message);
  return error;
}

/** Fails unless `run` refuses its argument with this code (`ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`). */
export function refused(code: string, run: () => unknown): void {
  const error = thrownBy(run);
  assert.is(error.code, code, error.message);
}
