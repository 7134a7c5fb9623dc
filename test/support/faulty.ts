/** A kernel that says no when a test wants it to: the model's own, and the errnos by name. */
import { constants } from "node:os";

export { type Fault, type FaultyKernel, faulty } from "../../src/model/faults.ts";

/** Negative errnos, as the kernel answers: `no.EBUSY`. */
export const no = Object.fromEntries(
  Object.entries(constants.errno).map(([name, value]) => [name, -value]),
) as Readonly<Record<keyof typeof constants.errno, number>>;
