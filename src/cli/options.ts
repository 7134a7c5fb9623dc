/** What stands on the command line, and what it means. */
import type { ParseArgsConfig } from "node:util";
import { nearest } from "../known.ts";
import type { ModelPlatform } from "../model/index.ts";
import type { IovaMode } from "../plan/index.ts";
import { IOVA_MODES } from "../plan/request.ts";
import { DEVICE_COMMANDS, type DeviceCommand, type DeviceLine, deviceLine, isDeviceCommand } from "./device-line.ts";
import { type DocsLine, docsLine } from "./docs-line.ts";
import { type ExecLine, execLine, isExec } from "./exec-line.ts";
import { type ExplainLine, explainLine } from "./explain-line.ts";
import { HELP_OF } from "./help.ts";
import type { KernelName, MachineOptions } from "./machine.ts";
import { parsed } from "./parsed.ts";
import {
  PICTURE_OPTIONS,
  type PlanOptions,
  planOptions,
  refusePictureOptions,
  type ShowOptions,
  showOptions,
  withValues,
} from "./show-line.ts";
import { parseChoice, parseCount, parseSize, UsageError } from "./usage.ts";

const PLATFORMS: readonly ModelPlatform[] = ["powernv", "pseries", "type1", "noiommu"];

/** Of the storm, where nothing is said. */
const STEPS = "4000";
const SEED = "1";

const config = {
  allowPositionals: true,
  strict: true,
  options: {
    kernel: { type: "string" },
    platform: { type: "string" },
    group: { type: "string", multiple: true, default: [] },
    "no-iommu": { type: "boolean", default: false },
    iova: { type: "string" },
    "grow-to": { type: "string" },
    "highest-ram": { type: "string" },
    steps: { type: "string" },
    seed: { type: "string" },
    trace: { type: "string" },
    force: { type: "boolean", default: false },
    root: { type: "string" },
    ...PICTURE_OPTIONS,
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
    version: { type: "boolean", default: false },
  },
} as const satisfies ParseArgsConfig;

export interface CommandLine {
  readonly command: "run" | "plan" | "show" | "help" | "version";
  readonly machine: MachineOptions;
  readonly iovaMode: IovaMode;
  readonly growTo?: bigint;
  readonly steps: number;
  readonly seed: number;
  readonly json: boolean;
  /** Where `run` writes the trace of its calls. */
  readonly traceFile?: string;
  /** Of `plan` and `show`. */
  readonly plan?: PlanOptions;
  /** Of `show`. */
  readonly show?: ShowOptions;
  /** Of `help`: the command whose options are asked for. */
  readonly topic?: string;
}

/** `replay` needs no machine: what it works with is in its file. */
export interface ReplayLine {
  readonly command: "replay";
  readonly file: string;
  readonly kernel: KernelName;
  /** Left out: what the trace was recorded on. */
  readonly platform?: ModelPlatform;
  /** Instead of the trace's, in the order in which it opens them. */
  readonly groups: readonly number[];
  readonly json: boolean;
}

/** @throws UsageError, saying which option takes what. */
export function parseCommandLine(
  args: readonly string[],
): CommandLine | ReplayLine | DeviceLine | DocsLine | ExplainLine | ExecLine {
  if (isExec(args)) return execLine(args);
  const isExplain = args[0] === "explain";
  const asksForHelp = args.includes("--help") || args.includes("-h");
  if (isExplain && !asksForHelp) return explainLine(args);
  if (args[0] === "docs" && !asksForHelp) return docsLine(args);
  // Its operands are options that no other command has.
  const { values, positionals } = parse(isExplain ? ["explain", "--help"] : args);
  const kernel = parseChoice<KernelName>("kernel", values.kernel ?? "model", ["model", "linux"]);
  const groups = values.group.map((group) => parseCount("group", group, 0, 2 ** 31 - 1));
  const wantsHelp = values.help || (positionals.length === 0 && !values.version);
  const command = wantsHelp ? "help" : values.version ? "version" : commandOf(positionals);
  refusePictureOptions(command, values);
  if (isDeviceCommand(command)) {
    refuseTogether(values.kernel === "model" ? "model" : "linux", values);
    return deviceLine(command, positionals, values, parseChoice("platform", values.platform ?? "powernv", PLATFORMS));
  }
  if (command === "plan" || command === "show" || command === "replay") refuseOthers(command, values);
  if (command !== "help" && command !== "version") refuseOfDevices(values);
  if (command !== "help" && command !== "version") refuseTogether(kernel, values);
  const stated = values.platform === undefined ? undefined : parseChoice("platform", values.platform, PLATFORMS);
  if (command === "replay") {
    const platform = stated === undefined ? {} : { platform: stated };
    return { command, file: fileOf(positionals), kernel, ...platform, groups, json: values.json };
  }
  const picture =
    command === "show"
      ? { show: showOptions(positionals, values), plan: planOptions(values) }
      : command === "plan"
        ? { plan: planOptions(values) }
        : {};
  const platform = stated ?? "powernv";
  const machine = { kernel, platform, groups, ...(values["no-iommu"] ? { noIommu: true } : {}) };
  const needsMachine = command === "run" || command === "plan" || (command === "show" && positionals[1] === undefined);
  if (needsMachine) checkMachine(machine);
  const noIommu = kernel === "linux" ? values["no-iommu"] : platform === "noiommu";
  const highestRam = values["highest-ram"];
  const growTo = values["grow-to"];
  return {
    command,
    machine: {
      ...machine,
      ...(highestRam === undefined ? {} : { highestRam: parseSize("highest-ram", highestRam) }),
    },
    // Nothing else is possible without an IOMMU; who states another one is told so by the plan.
    iovaMode: parseChoice("iova", values.iova ?? (noIommu ? "pa" : "rebased"), IOVA_MODES),
    ...(growTo === undefined ? {} : { growTo: parseGrowth(growTo) }),
    steps: parseCount("steps", values.steps ?? STEPS, 1, 10_000_000),
    // The generator has no state 0.
    seed: parseCount("seed", values.seed ?? SEED, 1, 2 ** 32 - 1),
    json: values.json,
    ...(values.trace === undefined ? {} : { traceFile: values.trace }),
    ...picture,
    ...(command === "help" && positionals[0] !== undefined ? { topic: topicOf(positionals[0]) } : {}),
  };
}

function parseGrowth(text: string): bigint {
  const size = parseSize("grow-to", text);
  if (size === 0n) throw new UsageError(`--grow-to takes at least 1 byte: how large memory may become; got ${text}`);
  return size;
}

/** What a command does not do anything with, and where it belongs. */
const NOT_OF: Readonly<Record<"plan" | "show" | "replay", Readonly<Record<string, string>>>> = {
  plan: {
    trace: "--trace goes with run: only that has system calls to write down",
    steps: "--steps goes with run: a plan has no storm",
    seed: "--seed goes with run: a plan has no storm",
  },
  show: {
    trace: "--trace goes with run: show draws the trace in a FILE",
    "no-iommu": "--no-iommu goes with run and plan",
  },
  replay: {
    trace: "--trace goes with run: only that has system calls to write down",
    steps: "--steps goes with run: a replay makes the calls of its trace",
    seed: "--seed goes with run: a replay makes the calls of its trace",
    iova: "--iova goes with run and plan: a replay makes the calls of its trace",
    "grow-to": "--grow-to goes with run and plan: a replay makes the calls of its trace",
    "highest-ram": "--highest-ram goes with run and plan: a replay makes the calls of its trace",
    "no-iommu": "a replay takes no --no-iommu: which groups have none, its trace says",
  },
};

function refuseOthers(command: "plan" | "show" | "replay", values: Readonly<Record<string, unknown>>): void {
  for (const [option, words] of Object.entries(NOT_OF[command])) {
    if (values[option] !== undefined && values[option] !== false) throw new UsageError(words);
  }
}

function refuseOfDevices({ force, root }: { readonly force: boolean; readonly root?: string | undefined }): void {
  if (force) throw new UsageError("--force goes with bind");
  if (root !== undefined) throw new UsageError("--root goes with doctor, devices, bind and unbind");
}

/** What is of no use with the kernel that was chosen. */
function refuseTogether(kernel: KernelName, { platform }: { readonly platform?: string | undefined }): void {
  if (kernel !== "linux" || platform === undefined) return;
  const besides = platform === "noiommu" ? "; for groups of this machine that have no IOMMU state --no-iommu" : "";
  throw new UsageError(`--platform says what the software kernel is like; with --kernel linux leave it out${besides}`);
}

/** That a device may reach all memory is said in full, or not at all: nothing of it is taken from a half of it. */
function checkMachine({ kernel, platform, groups, noIommu = false }: MachineOptions): void {
  if (kernel === "model") {
    if (groups.length > 0) {
      throw new UsageError("--group goes with --kernel linux: the software kernel has a device and a group of its own");
    }
    if (!noIommu || platform === "noiommu") return;
    throw new UsageError("--no-iommu goes with --kernel linux; the software kernel has none with --platform noiommu");
  }
  if (groups.length === 0) {
    throw new UsageError("--kernel linux needs --group N: the IOMMU group of a device that is bound to vfio-pci");
  }
}

function parse(args: readonly string[]) {
  return parsed({ ...config, args: withValues(args) }, (option) => `there is no option ${option}`);
}

const COMMANDS = ["run", "plan", "show", "replay", "exec", "explain", ...DEVICE_COMMANDS, "docs"] as const;

function commandOf(positionals: readonly string[]): "run" | "plan" | "show" | "replay" | DeviceCommand {
  const [command = "", extra] = positionals;
  if (command === "replay" || command === "show" || isDeviceCommand(command)) return command;
  if (extra !== undefined) throw new UsageError(`one command at a time; got ${positionals.join(" ")}`);
  if (command === "run" || command === "plan") return command;
  throw noCommand(command);
}

function topicOf(command: string): string {
  if (!Object.hasOwn(HELP_OF, command)) throw noCommand(command);
  return command;
}

function noCommand(command: string): UsageError {
  const meant = nearest(command, COMMANDS);
  return new UsageError(
    `there is no command ${JSON.stringify(command)}${meant === undefined ? ": the" : `; did you mean ${meant}? The`} ` +
      "commands are run, plan, show, replay, exec, explain, doctor, devices, bind, unbind and docs",
  );
}

function fileOf(positionals: readonly string[]): string {
  const [, file, extra] = positionals;
  if (file === undefined || file === "")
    throw new UsageError("replay takes the FILE of a trace: dma-window replay FILE");
  if (extra !== undefined) throw new UsageError(`replay takes one FILE; got ${positionals.slice(1).join(" ")}`);
  return file;
}
