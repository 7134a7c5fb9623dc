// @ts-check
/** What a controller and a namespace say of themselves (NVMe 1.4, 5.15.2: data structures of Identify). */

export const IDENTIFY_BYTES = 4096;

/** The field could say 71 minutes; nobody waits for so long. */
const SHUTDOWN_MS_MAX = 60_000;

/**
 * @typedef {object} ControllerFacts
 * @property {string} serial
 * @property {string} model
 * @property {string} firmware
 * @property {string} version `1.4.0`; what VS says.
 * @property {number} transferShift log2 of the most pages of the smallest size in one command (MDTS); 0: no limit.
 * @property {number} shutdownMs How long an orderly shutdown takes at most (RTD3E), a minute where it says more; 0: it does not say.
 * @property {number} namespacesMax
 * @property {boolean} hasWriteCache Written data may be lost with the power until it is flushed.
 */

/** @param {Uint8Array} bytes @param {number} version VS. @returns {ControllerFacts} */
export function controllerFacts(bytes, version) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, IDENTIFY_BYTES);
  return {
    serial: text(bytes, 4, 20),
    model: text(bytes, 24, 40),
    firmware: text(bytes, 64, 8),
    version: `${version >>> 16}.${(version >>> 8) & 0xff}.${version & 0xff}`,
    transferShift: data.getUint8(77),
    shutdownMs: Math.min(Math.ceil(data.getUint32(88, true) / 1000), SHUTDOWN_MS_MAX),
    namespacesMax: data.getUint32(516, true),
    hasWriteCache: (data.getUint8(525) & 1) === 1,
  };
}

/**
 * @typedef {object} NamespaceFacts
 * @property {number} id
 * @property {number} blocks
 * @property {number} blockBytes
 * @property {string | undefined} problem Why this driver does not read and write it.
 */

/** Numbers of blocks have to be exact as numbers. */
const BLOCKS_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** @param {number} id @param {Uint8Array} bytes @returns {NamespaceFacts} */
export function namespaceFacts(id, bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, IDENTIFY_BYTES);
  const blocks = data.getBigUint64(0, true);
  const formatted = data.getUint8(26);
  const format = data.getUint32(128 + 4 * (formatted & 0xf), true);
  const metadata = format & 0xffff;
  const shift = (format >>> 16) & 0xff;
  return {
    id,
    blocks: Number(blocks > BLOCKS_MAX ? BLOCKS_MAX : blocks),
    blockBytes: shift >= 9 && shift <= 31 ? 2 ** shift : 0,
    problem: problemOf(blocks, shift, metadata),
  };
}

/** @param {bigint} blocks @param {number} shift @param {number} metadata */
function problemOf(blocks, shift, metadata) {
  if (blocks === 0n) return "it has no blocks";
  if (blocks > BLOCKS_MAX) return `it has ${blocks} blocks; this driver counts to 2^53 - 1`;
  if (shift < 9 || shift > 31) return `its blocks have 2^${shift} bytes; the specification knows no such blocks`;
  if (metadata > 0) return `its blocks have ${metadata} bytes of metadata; format it without`;
  return undefined;
}

/** Identifiers of a list, which ends with the first 0. @param {Uint8Array} bytes */
export function namespaceIds(bytes) {
  const ids = [...new Uint32Array(bytes.buffer, bytes.byteOffset, IDENTIFY_BYTES / 4)];
  const end = ids.indexOf(0);
  return end < 0 ? ids : ids.slice(0, end);
}

/** ASCII, filled up with spaces. @param {Uint8Array} bytes @param {number} from @param {number} length */
function text(bytes, from, length) {
  const characters = bytes.subarray(from, from + length);
  return String.fromCharCode(...characters.filter((one) => one >= 0x20 && one < 0x7f)).trim();
}
