// @ts-check
/** What the commands of the command line do: see HELP in options.mjs. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { measureReads } from "./bench.mjs";
import { NvmeError, wordsOf } from "./errors.mjs";
import { checkMayWrite, checkSame, contentsOfDisk, readSurely } from "./guards.mjs";
import { HELP, readOptions, usage } from "./options.mjs";
import { modelMachine, ownMachine, Signals, Stand } from "./stand.mjs";

/** @typedef {Exclude<import("./options.mjs").Options, { command: "help" }>} Options */
/** @typedef {import("./namespace.mjs").Namespace} Namespace */
/** @typedef {Record<string, unknown>} Report What is said, by name: words or one JSON document. */

const MODEL_ADDRESS = "0000:01:00.0";

/** @param {Stand} stand @param {Options} options @returns {Namespace} */
function namespaceOf({ controller }, { namespace: id }) {
  const found = controller.namespaces.find((one) => (id === undefined ? one.problem === undefined : one.id === id));
  if (found !== undefined) return found;
  const all = controller.namespaces.map((one) => one.id).join(", ") || "none";
  throw new NvmeError(
    "ERR_NVME_NAMESPACE",
    id === undefined ? `no namespace that can be read; there are: ${all}` : `no namespace ${id}; there are: ${all}`,
  );
}

/** @param {Uint8Array} bytes */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** @param {Stand} stand @param {Options} _options @returns {Promise<Report>} */
async function info({ controller, device, window }, _options) {
  const { facts } = controller;
  const namespaces = [];
  for (const namespace of controller.namespaces) {
    const { id, blocks, blockBytes, problem } = namespace;
    const holds = problem === undefined ? await contentsOfDisk(namespace) : [];
    namespaces.push({ id, blocks, blockBytes, ...(problem === undefined ? { holds } : { problem }) });
  }
  return {
    device: device.address,
    model: facts.model,
    serial: facts.serial,
    firmware: facts.firmware,
    version: facts.version,
    queues: `${controller.queues.length} of ${controller.queues[0]?.depth ?? 0} commands`,
    command: `at most ${controller.transferBytes} bytes, in pages of ${controller.pageBytes}`,
    window: `0x${window.start.toString(16)}-0x${(window.start + window.size - 1n).toString(16)}`,
    namespaces,
  };
}

/** @param {Stand} stand @param {Options} options @returns {Promise<Report>} */
async function read(stand, options) {
  const namespace = namespaceOf(stand, options);
  const { lba, file, out } = options;
  const expected = file === undefined ? undefined : wholeBlocks(file, namespace, options.blocks);
  const blocks = options.blocks ?? (expected === undefined ? 1 : expected.length / namespace.blockBytes);
  const bytes = await readSurely(namespace, lba, blocks);
  if (expected !== undefined) checkSame(namespace, lba, expected, bytes, `it is not what ${file} has`);
  if (out !== undefined) writeFileSync(out, bytes);
  const shown = out === undefined && !options.json ? { data: hexLines(bytes) } : {};
  return { lba, blocks, bytes: bytes.length, sha256: sha256(bytes), ...shown };
}

/** @param {Stand} stand @param {Options} options @returns {Promise<Report>} */
async function write(stand, options) {
  const namespace = namespaceOf(stand, options);
  const { lba, file = "" } = options;
  const bytes = wholeBlocks(file, namespace, options.blocks);
  await checkMayWrite(namespace, options.knows);
  await namespace.write(lba, bytes);
  await namespace.flush();
  const got = await readSurely(namespace, lba, bytes.length / namespace.blockBytes);
  checkSame(namespace, lba, bytes, got, "it is not what was written");
  return { lba, blocks: bytes.length / namespace.blockBytes, bytes: bytes.length, sha256: sha256(bytes) };
}

/** @param {Stand} stand @param {Options} options @returns {Promise<Report>} */
async function bench(stand, options) {
  const { controller } = stand;
  const namespace = namespaceOf(stand, options);
  const blocks = options.blocks ?? Math.max(4096 / namespace.blockBytes, 1);
  if (blocks * namespace.blockBytes > controller.transferBytes) {
    throw usage(
      `--blocks ${blocks} is ${blocks * namespace.blockBytes} bytes; a command moves at most ${controller.transferBytes}`,
    );
  }
  const polls = options.completions === "poll";
  const result = await measureReads(controller, namespace, { seconds: options.seconds, blocks, polls });
  const { reads, wrong, seconds, bytes, inFlight, problem } = result;
  const report = {
    reads,
    wrong,
    bytes,
    inFlight,
    seconds: Number(seconds.toFixed(3)),
    readsPerSecond: Math.round(reads / seconds),
    mibPerSecond: Math.round((reads * bytes) / seconds / (1 << 20)),
    interrupts: controller.interrupts,
    missed: controller.missed,
  };
  if (problem === undefined && wrong === 0 && reads > 0) return report;
  const why = problem ?? (reads === 0 ? "nothing was read" : `${wrong} of ${reads} reads brought wrong data`);
  throw new NvmeError("ERR_NVME_DATA", why, { facts: report });
}

/**
 * A file's bytes, which have to be whole blocks, and as many as were asked for: a file that ends early is not taken for one that does not.
 *
 * @param {string} file @param {Namespace} namespace @param {number | undefined} blocks
 */
function wholeBlocks(file, { blockBytes }, blocks) {
  const bytes = readFileSync(file);
  const wanted = blocks === undefined ? bytes.length : blocks * blockBytes;
  if (bytes.length < wanted)
    throw usage(`${file} has ${bytes.length} bytes; ${blocks} blocks of ${blockBytes} have ${wanted}`);
  if (wanted === 0 || wanted % blockBytes !== 0) {
    throw usage(
      `${file} has ${bytes.length} bytes; whole blocks of ${blockBytes} are wanted. --blocks N takes its first ones`,
    );
  }
  return new Uint8Array(bytes.subarray(0, wanted));
}

const LINE = 16;
const LINES_MAX = 64;

/** As hexdump does it: lines that are the same as the one before are a star. @param {Uint8Array} bytes */
function hexLines(bytes) {
  const lines = [];
  let last = "";
  for (let at = 0; at < bytes.length && lines.length < LINES_MAX; at += LINE) {
    const part = bytes.subarray(at, at + LINE);
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = [...part].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    if (hex !== last) lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(3 * LINE)} ${text}`);
    else if (lines.at(-1) !== "*") lines.push("*");
    last = hex;
  }
  return lines.length < LINES_MAX ? [...lines, bytes.length.toString(16).padStart(8, "0")] : [...lines, "..."];
}

/** @param {Report} report */
function inWords(report) {
  const lines = [];
  for (const [name, value] of Object.entries(report)) {
    if (name === "data") lines.push("", .../** @type {string[]} */ (value));
    else if (name === "namespaces") lines.push(.../** @type {any[]} */ (value).map(namespaceLine));
    else lines.push(`${name.padEnd(16)}${value}`);
  }
  return lines.join("\n");
}

/** @param {{ id: number, blocks: number, blockBytes: number, holds?: string[], problem?: string }} namespace */
function namespaceLine({ id, blocks, blockBytes, holds = [], problem }) {
  const has = problem ?? (holds.length === 0 ? "its beginning and end are empty" : `holds ${holds.join(", ")}`);
  return `${`namespace ${id}`.padEnd(16)}${blocks} blocks of ${blockBytes} bytes; ${has}`;
}

/** @param {Options} options @returns {{ kernel: import("dma-window").Syscalls, end: () => void }} */
function machineOf({ kernel, platform, address = MODEL_ADDRESS, image }) {
  if (kernel === "linux") return { kernel: ownMachine(), end: () => {} };
  if (image === undefined) return { kernel: modelMachine({ platform, address }), end: () => {} };
  const disk = new Uint8Array(readFileSync(image));
  return { kernel: modelMachine({ platform, address, disk }), end: () => writeFileSync(image, disk) };
}

const WORK = { info, read, write, bench };

/** @param {Options} options @returns {Promise<Report>} */
async function run(options) {
  const {
    command,
    address = MODEL_ADDRESS,
    noIommu,
    force,
    completions,
    queues,
    depth,
    transferBytes,
    timeoutMs,
  } = options;
  const machine = machineOf(options);
  const settings = { completions, queues, depth, transferBytes, timeoutMs };
  const signals = new Signals();
  try {
    const stand = await Stand.open({ kernel: machine.kernel, address, noIommu, force, settings });
    try {
      return await Promise.race([stand.wanted(signals), WORK[command](stand, options)]);
    } finally {
      await stand.close();
      if (command === "write") machine.end();
    }
  } finally {
    signals.end();
  }
}

/**
 * @param {readonly string[]} args What stands behind the program's name.
 * @param {{ log(text: string): void, error(text: string): void }} output
 * @returns {Promise<number>} The exit code: 0 only where the data was right.
 */
export async function main(args, output) {
  const json = args.includes("--json");
  try {
    const options = readOptions(args);
    if (options.command === "help") {
      output.log(HELP);
      return 0;
    }
    const report = await run(options);
    output.log(json ? JSON.stringify({ right: true, ...report }) : inWords(report));
    return 0;
  } catch (error) {
    const { code, facts } = /** @type {{ code?: string, facts?: Report }} */ (error);
    if (json) output.log(JSON.stringify({ right: false, code, message: wordsOf(error), ...facts }, plain));
    else output.error(`${code ?? "error"}: ${wordsOf(error)}`);
    return code === "ERR_NVME_USAGE" ? 2 : 1;
  }
}

/** @param {string} _key @param {unknown} value */
const plain = (_key, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value);
