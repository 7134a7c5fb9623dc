// @ts-check
import { COMPLETION_MODES } from "./completions.mjs";
import { NvmeError } from "./errors.mjs";
import { DEPTH_MAX } from "./queue.mjs";

/**
 * @typedef {object} Settings
 * @property {number} [queues] Pairs of I/O queues, 1 to 256; the controller may allow fewer. Default: 1.
 * @property {number} [depth] Commands under way in each, 1 to 4096; the controller may take fewer. Default: 32.
 * @property {import("./completions.mjs").CompletionMode} [completions] Default: `"msix"`.
 * @property {number} [transferBytes] Bytes of one command at most, from 4096 on; the controller may take fewer. Default: 128 KiB.
 * @property {number} [buffers] Buffers of that size. Default: as many as commands can be under way.
 * @property {number} [timeoutMs] How long a command may take. Default: 10,000.
 * @property {number} [cpuPageBytes] The page size that is wanted of the controller. Default: 4096.
 */

/** @typedef {Required<Omit<Settings, "buffers">> & { readonly buffers: number | undefined }} ReadSettings */

const KNOWN = ["queues", "depth", "completions", "transferBytes", "buffers", "timeoutMs", "cpuPageBytes"];

/** @param {Settings} settings @returns {ReadSettings} */
export function readSettings(settings) {
  const unknown = Object.keys(settings).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw refused(`there is no setting "${unknown}"; there are ${KNOWN.join(", ")}`);
  const { completions = "msix", cpuPageBytes = 4096, buffers } = settings;
  if (!COMPLETION_MODES.includes(completions)) {
    throw refused(`completions must be one of ${COMPLETION_MODES.join(", ")}; got ${String(completions)}`);
  }
  return {
    queues: whole("queues", settings.queues ?? 1, 1, 256),
    depth: whole("depth", settings.depth ?? 32, 1, DEPTH_MAX - 1),
    completions,
    transferBytes: whole("transferBytes", settings.transferBytes ?? 128 << 10, 4096, 2 ** 31),
    buffers: buffers === undefined ? undefined : whole("buffers", buffers, 1, 1 << 20),
    timeoutMs: whole("timeoutMs", settings.timeoutMs ?? 10_000, 1, 2 ** 31 - 1),
    cpuPageBytes: whole("cpuPageBytes", cpuPageBytes, 4096, 2 ** 27),
  };
}

/** @param {string} name @param {number} value @param {number} least @param {number} most */
function whole(name, value, least, most) {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw refused(`${name} must be a whole number from ${least} to ${most}; got ${String(value)}`);
}

/** @param {string} message */
const refused = (message) => new NvmeError("ERR_NVME_SETTINGS", message);
