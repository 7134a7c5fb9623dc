// @ts-check
/** What is looked at before a disk is taken from the machine, and before anything is written to it. */
import { NvmeError } from "./errors.mjs";
import { contentsOf, HEAD_BYTES, TAIL_BYTES } from "./signatures.mjs";

/** @typedef {import("./namespace.mjs").Namespace} Namespace */

/** Bytes that no two buffers have in common: see {@link readSurely}. */
const FILLS = /** @type {const} */ ([0x5a, 0xa5]);

/**
 * Reads blocks twice, into buffers that held different bytes before, and gives them where both reads brought the same: the data decides and
 * not the status, which some controllers give as 0 where they moved nothing.
 *
 * @param {Namespace} namespace @param {number} lba @param {number} blocks @returns {Promise<Uint8Array>}
 * @throws `ERR_NVME_DATA`
 */
export async function readSurely(namespace, lba, blocks) {
  const bytes = blocks * namespace.blockBytes;
  const [once, again] = [new Uint8Array(bytes), new Uint8Array(bytes)];
  await namespace.read(lba, once, { fill: FILLS[0] });
  await namespace.read(lba, again, { fill: FILLS[1] });
  checkSame(namespace, lba, once, again, "the device did not write all of the memory that it was given");
  return once;
}

/**
 * @param {Namespace} namespace @param {number} lba @param {Uint8Array} expected @param {Uint8Array} got @param {string} why
 * @throws `ERR_NVME_DATA`, with the first byte that differs, and how many do.
 */
export function checkSame(namespace, lba, expected, got, why) {
  let first = -1;
  let wrongBytes = 0;
  const length = Math.max(expected.length, got.length);
  for (let i = 0; i < length; i++) {
    if (expected[i] === got[i]) continue;
    if (wrongBytes++ === 0) first = i;
  }
  if (wrongBytes === 0) return;
  const block = lba + Math.floor(first / namespace.blockBytes);
  throw new NvmeError(
    "ERR_NVME_DATA",
    `${wrongBytes} of ${length} bytes from LBA ${lba} on are wrong, the first in block ${block}: ${why}`,
    { facts: { lba, wrongBytes, first } },
  );
}

/** What is on a disk: see {@link contentsOf}. @param {Namespace} namespace */
export async function contentsOfDisk(namespace) {
  const { blocks, blockBytes } = namespace;
  const head = await readSurely(namespace, 0, Math.min(blocks, Math.ceil(HEAD_BYTES / blockBytes)));
  const last = Math.min(blocks, Math.ceil(TAIL_BYTES / blockBytes));
  const tail = await readSurely(namespace, blocks - last, last);
  return contentsOf(head, tail, blocks * blockBytes);
}

/**
 * @param {Namespace} namespace @param {boolean} isForced
 * @throws `ERR_NVME_NOT_FORCED`
 */
export async function checkMayWrite(namespace, isForced) {
  if (isForced) return;
  const contents = await contentsOfDisk(namespace);
  const has = contents.length === 0 ? "nothing that is known here" : contents.join(", ");
  throw new NvmeError(
    "ERR_NVME_NOT_FORCED",
    `nothing was written. The disk holds ${has}: --i-know writes all the same, and what is overwritten is lost`,
    { facts: { contents } },
  );
}
