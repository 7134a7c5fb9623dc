/**
 * One operation at a time. The core has one list of calls, one set of request columns and one scratch struct for all of the
 * process, and its memory must not grow while the kernel is handed a view of it. An operation leaves this library in the middle
 * when it asks a kernel interface, a function of the program (`physical`), or a getter of an argument; what is called back from
 * there would meet half-made state, here and in the core.
 *
 *     map ── begin ── core: prepare ── ioctlBatch ─────────────────── core: settle ── end
 *                                         └─> somebody's code ── map ── begin: ERR_BUSY, and nothing was touched
 *
 * What only looks at tables (translate, contains, find, memsegs) needs none of that, and goes on: between two steps of an
 * operation the tables say what is about to be.
 */
import { failed } from "./channels.ts";
import { DmaWindowError } from "./errors.ts";

let underWay: string | undefined;

/** To be followed by `try { ... } finally { end(); }`. @throws `ERR_BUSY` (facts: operation, within). */
export function begin(operation: string): void {
  if (underWay !== undefined) throw busy(operation, underWay);
  underWay = operation;
}

export function end(): void {
  underWay = undefined;
}

/** What it throws is told to whoever listens (channels.ts). @throws `ERR_BUSY` in the middle of another operation. */
export function exclusively<R>(operation: string, run: () => R): R {
  begin(operation);
  try {
    return run();
  } catch (error) {
    throw failed(operation, error);
  } finally {
    end();
  }
}

/** Apart from `begin`, which stays small enough to be compiled into its caller. */
function busy(operation: string, within: string): DmaWindowError {
  const refusal = new DmaWindowError(
    "ERR_BUSY",
    `${operation} was called in the middle of ${within}, from a kernel interface, a listener or a getter: call it when that has returned`,
    { facts: { operation, within } },
  );
  return failed(operation, refusal);
}
