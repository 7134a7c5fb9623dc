// @ts-check
/** Commands and their answers (NVMe 1.4: 4.2 entries, 4.6 completions, 5 admin commands, 6 NVM commands). */
import { NvmeError } from "./errors.mjs";

export const Admin = /** @type {const} */ ({
  DELETE_SUBMISSION_QUEUE: 0x00,
  CREATE_SUBMISSION_QUEUE: 0x01,
  DELETE_COMPLETION_QUEUE: 0x04,
  CREATE_COMPLETION_QUEUE: 0x05,
  IDENTIFY: 0x06,
  SET_FEATURES: 0x09,
});

export const Nvm = /** @type {const} */ ({ FLUSH: 0x00, WRITE: 0x01, READ: 0x02 });

/** CNS of IDENTIFY: what of. */
export const Identify = /** @type {const} */ ({ NAMESPACE: 0, CONTROLLER: 1, ACTIVE_NAMESPACES: 2 });

export const FEATURE_NUMBER_OF_QUEUES = 7;

/**
 * Status code type and code, as one number (NVMe 1.4, figures 127 to 131).
 *
 * @type {ReadonlyMap<number, string>}
 */
const STATUSES = new Map([
  [0x001, "invalid opcode"],
  [0x002, "invalid field in the command"],
  [0x003, "the command identifier is in use"],
  [0x004, "data transfer error: an address could not be reached"],
  [0x005, "aborted, since power goes"],
  [0x006, "internal error"],
  [0x007, "aborted, as was asked"],
  [0x008, "aborted, since its queue was deleted"],
  [0x00b, "invalid namespace or format"],
  [0x00c, "out of sequence"],
  [0x013, "the address in a PRP is not aligned"],
  [0x014, "the namespace is write protected"],
  [0x015, "interrupted: ask again"],
  [0x016, "a transient error: ask again"],
  [0x080, "LBA out of range"],
  [0x081, "capacity exceeded"],
  [0x082, "the namespace is not ready"],
  [0x083, "a reservation of somebody else is in the way"],
  [0x084, "the namespace is being formatted"],
  [0x100, "invalid completion queue"],
  [0x101, "invalid queue identifier"],
  [0x102, "invalid queue size"],
  [0x108, "invalid interrupt vector"],
  [0x109, "invalid log page"],
  [0x10c, "the queue cannot be deleted yet"],
  [0x180, "conflicting attributes"],
  [0x181, "invalid protection information"],
  [0x182, "write to a range that is only to be read"],
  [0x280, "write fault"],
  [0x281, "unrecovered read error"],
  [0x282, "guard check error"],
  [0x285, "compare failure"],
  [0x286, "access denied"],
  [0x287, "never written, or deallocated"],
]);

/** `LBA out of range (status 0x4080: type 0, code 0x80, not to be repeated)`. @param {number} status */
export function statusWords(status) {
  const type = (status >>> 8) & 7;
  const code = status & 0xff;
  const words =
    STATUSES.get((type << 8) | code) ?? (type === 7 ? "a status of the vendor's own" : "a status without a name here");
  const again = (status & 0x4000) !== 0 ? ", not to be repeated" : "";
  return `${words} (status 0x${status.toString(16)}: type ${type}, code 0x${code.toString(16)}${again})`;
}

/** @param {string} what @param {number} status */
export const statusError = (what, status) =>
  new NvmeError("ERR_NVME_STATUS", `${what}: ${statusWords(status)}`, { status });
