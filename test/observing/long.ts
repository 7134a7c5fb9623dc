/** What the tests of long work have in common. */
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import type { DmaWindowError } from "../../src/errors.ts";
import type { Program } from "../support/program.ts";

/** The error that a promise rejects with; of this code. */
export async function rejection(code: string, promise: Promise<unknown>): Promise<DmaWindowError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason as DmaWindowError,
  );
  if (error === undefined) throw new Error(`it did not reject with ${code}`);
  assert.is(error.code, code, error.stack);
  return error;
}

/** How often the event loop came by while `run` went on. */
export async function turnsIn(run: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const again = () => {
    turns++;
    if (!isDone) setImmediate(again);
  };
  setImmediate(again);
  await run().finally(() => {
    isDone = true;
  });
  return turns;
}

/** The kernel keeps in mind who first used a container of sPAPR: so that a comparison does not meet with that. */
export function used(program: Program, window: Window): void {
  const length = 1n << BigInt(window.pageShift);
  const va = program.allocate(length, window.pageShift === 12 ? undefined : window.pageShift);
  const iova = window.map({ va, length, iova: window.start + window.size - length });
  window.unmap({ iova, length });
}
