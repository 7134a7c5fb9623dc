// @ts-check
/** What stands on the command line. */
import { parseArgs } from "node:util";
import { NvmeError } from "./errors.mjs";

export const HELP = `nvme: a driver in user space, on dma-window

  node examples/nvme/main.mjs info                      what the controller says of itself, and what is on the disk
  node examples/nvme/main.mjs read                      read blocks, surely: twice, into memory that held something else
  node examples/nvme/main.mjs write --i-know            write blocks, flush, and read them again
  node examples/nvme/main.mjs bench                     read as fast as it goes, and look at every answer

  --kernel model|linux     a software machine with a software controller (default), or this machine
  --device ADDRESS         0000:01:00.0; with --kernel linux it has to be named
  --namespace N            which disk of the controller (default: its first)
  --lba N, --blocks N      where, and how much (default: 0, and 1, or what --file has; bench: 4 KiB a command)
  --file FILE              read: what has to be there; write: what is written
  --out FILE               read: where to write it, instead of showing it
  --i-know                 write: what is on the disk there is lost
  --force                  also a disk that is in use: mounted, swap, RAID, LVM
  --poll, --msix, --intx   how completions are noticed (default: msix)
  --queues N, --depth N    pairs of queues, and commands under way in each (default: 1, 32)
  --transfer BYTES         the most that one command moves (default: 131072)
  --timeout MS             of a command (default: 10000)
  --seconds N              of bench (default: 2)
  --no-iommu               with --kernel linux: the device's group has no IOMMU
  --platform powernv|pseries|type1|noiommu
                           with --kernel model: which machine (default: powernv)
  --image FILE             with --kernel model: what is on the disk; written to as well
  --json                   one JSON document instead of words

  Exit codes: 0 the data was right; 1 it was not, or something failed; 2 wrong usage.
`;

const COMMANDS = ["info", "read", "write", "bench"];

const config = /** @type {const} */ ({
  allowPositionals: true,
  strict: true,
  options: {
    kernel: { type: "string", default: "model" },
    device: { type: "string" },
    namespace: { type: "string" },
    lba: { type: "string", default: "0" },
    blocks: { type: "string" },
    file: { type: "string" },
    out: { type: "string" },
    "i-know": { type: "boolean", default: false },
    force: { type: "boolean", default: false },
    poll: { type: "boolean", default: false },
    msix: { type: "boolean", default: false },
    intx: { type: "boolean", default: false },
    queues: { type: "string", default: "1" },
    depth: { type: "string", default: "32" },
    transfer: { type: "string", default: "131072" },
    timeout: { type: "string", default: "10000" },
    seconds: { type: "string", default: "2" },
    "no-iommu": { type: "boolean", default: false },
    platform: { type: "string" },
    image: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
  },
});

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {readonly string[]} args @throws `ERR_NVME_USAGE` */
export function readOptions(args) {
  const { values, positionals } = parse(args);
  if (values.help || positionals.length === 0) return { command: /** @type {const} */ ("help") };
  const command = oneOf("the command", positionals[0] ?? "", COMMANDS);
  if (positionals.length > 1) throw usage(`one command at a time; got ${positionals.join(" ")}`);
  const kernel = oneOf("--kernel", values.kernel, ["model", "linux"]);
  if (kernel === "linux") {
    if (values.device === undefined) throw usage("--kernel linux wants --device ADDRESS, such as 0000:01:00.0");
    if (values.platform !== undefined || values.image !== undefined)
      throw usage("--platform and --image go with --kernel model");
  } else if (values["no-iommu"]) {
    throw usage("--no-iommu goes with --kernel linux; the model has --platform noiommu");
  }
  if (command === "write" && values.file === undefined) throw usage("write wants --file FILE: what is written");
  if (command !== "read" && values.out !== undefined) throw usage("--out goes with read");
  const platform = oneOf("--platform", values.platform ?? "powernv", ["powernv", "pseries", "type1", "noiommu"]);
  return {
    command: /** @type {"info" | "read" | "write" | "bench"} */ (command),
    kernel,
    platform,
    address: values.device,
    namespace: values.namespace === undefined ? undefined : whole("--namespace", values.namespace, 1),
    lba: whole("--lba", values.lba, 0),
    blocks: values.blocks === undefined ? undefined : whole("--blocks", values.blocks, 1),
    file: values.file,
    out: values.out,
    knows: values["i-know"],
    force: values.force,
    completions: completionsOf(values),
    queues: whole("--queues", values.queues, 1, 256),
    depth: whole("--depth", values.depth, 1, 4095),
    transferBytes: whole("--transfer", values.transfer, 4096, 2 ** 21),
    timeoutMs: whole("--timeout", values.timeout, 1, 2 ** 31 - 1),
    seconds: positive("--seconds", values.seconds),
    noIommu: kernel === "linux" ? values["no-iommu"] : platform === "noiommu",
    image: values.image,
    json: values.json,
  };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    return parseArgs({ ...config, args: [...args] });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

/** @param {{ poll: boolean, msix: boolean, intx: boolean }} values @returns {import("./completions.mjs").CompletionMode} */
function completionsOf({ poll, msix, intx }) {
  if (Number(poll) + Number(msix) + Number(intx) > 1) throw usage("one of --poll, --msix and --intx");
  return poll ? "poll" : intx ? "intx" : "msix";
}

/** @param {string} name @param {string} value @param {readonly string[]} choices */
function oneOf(name, value, choices) {
  if (choices.includes(value)) return value;
  throw usage(`${name} is one of ${choices.join(", ")}; got "${value}"`);
}

/** @param {string} name @param {string} text @param {number} least */
function whole(name, text, least, most = Number.MAX_SAFE_INTEGER) {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw usage(`${name} is a whole number from ${least} to ${most}; got "${text}"`);
}

/** @param {string} name @param {string} text */
function positive(name, text) {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 86_400) return value;
  throw usage(`${name} is a number of seconds; got "${text}"`);
}

/** @param {string} message */
export const usage = (message) => new NvmeError("ERR_NVME_USAGE", message);
