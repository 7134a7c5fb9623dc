/** What stands on the command line, and what it means. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { nearest } from "../known.ts";
import type { ModelPlatform } from "../model/index.ts";
import type { IovaMode } from "../plan/index.ts";
import { IOVA_MODES } from "../plan/request.ts";
import { DEVICE_COMMANDS, type DeviceCommand, type DeviceLine, deviceLine, isDeviceCommand } from "./device-line.ts";
import { type ExplainLine, explainLine } from "./explain-line.ts";
import type { KernelName, MachineOptions } from "./machine.ts";
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

export const HELP = `dma-window: a DMA window, sized once

  dma-window run     plan a window for this machine, create it, map memory into it, and let a storm of allocations
                     and frees go through it; then, where the kernel has windows (POWER), the same storm under the
                     scheme that resizes its window
  dma-window plan    plan a window for this machine, or for one that is described, and say why, without creating it
  dma-window show [FILE]
                     draw a window by address: of a plan, of a trace, also one that is being written; without a FILE the
                     plan of this machine or of one that is described
  dma-window replay FILE
                     make the system calls of a trace again, and list every answer that is another one
  dma-window doctor  one page about this machine: which ways to a device are open (through an IOMMU, without one, by the
                     software kernel), what closes the others, and the command that mends it; changes nothing
  dma-window explain CALL [ANSWER] | LINE | --trace FILE | --file FILE
                     say why VFIO answers so: MAP_DMA EINVAL, a line of a log (DPDK, SPDK, QEMU, strace, dmesg), a whole
                     log on stdin or in a file, or every failing call of a trace
  dma-window devices [ADDRESS]
                     list this machine's PCI devices: class, IOMMU group, driver, and what would be lost if VFIO had
                     it; of one also why VFIO would refuse it, and what to do
  dma-window bind ADDRESS
                     take a device from its driver and give it to vfio-pci; as root
  dma-window unbind ADDRESS
                     give it back to the driver that it had, also after a program that was killed; as root

  --kernel model|linux     the software kernel (default), or this machine's VFIO; doctor, devices, bind and unbind
                           are about this machine by default
  --platform powernv|pseries|type1|noiommu
                           with --kernel model: what that is like: POWER's bare metal (default) or an LPAR, an IOMMU of
                           x86 and Arm, or none at all; a replay's default is what the trace was recorded on
  --group N                with --kernel linux: the IOMMU group of the device, bound to vfio-pci; may be repeated; a
                           replay uses it instead of the trace's own
  --no-iommu               with --kernel linux: the groups are /dev/vfio/noiommu-N, and nothing keeps their devices from
                           any memory of this machine
  --iova rebased|va|pa     what a device's address is: an offset in the window (default), the virtual address, or the
                           physical one, which without an IOMMU is all there is, and the default
  --grow-to SIZE           how large memory may become, such as 64G (default: what the memory's lists can hold; in mode
                           pa the machine's highest RAM)
  --highest-ram ADDRESS    the last address of RAM, where /proc/iomem does not say
  --steps N                of the storm (default 4000)
  --seed N                 of the storm (default 1)
  --trace FILE             with run: write down every system call of the first storm, for replay
  --machine FILE|NAME      with plan and show: the machine that FILE describes, or power10, lpar, laptop or vm. These
                           change it, or describe one by themselves: --platform, --iova, --grow-to, --memory SIZE of a
                           list of --page-size SIZE, --cpu-page-size SIZE, --iommu-pages SIZE,SIZE, --iommu-bits N,
                           --range START-LAST (may be repeated), --ram SIZE, --memlock SIZE|unlimited, --entries N
  --device-bits N          with plan and show: the address bits of the device
  --compare [SIZE,SIZE]    with plan: the same memory in pages of each size, side by side
  --output FILE            with plan: write the plan as JSON, for readPlan(FILE), and for show
  --storm                  with show: the storm of run, a static window beside a dynamic one
  --steps [N]              with show FILE: a trace as it grew, in N moments (default 16)
  --at LINE                with show FILE: a trace as it was after that line (default: when most was live)
  --follow                 with show FILE: the trace of a program that runs, again whenever it changes
  --svg FILE, --html FILE  with show: write the picture, as SVG or as a page that can be zoomed
  --linux VERSION          with explain: the kernel's version, such as 6.12.107; with --kernel linux this machine's
                           files are asked about the causes; --platform as above
  --vaddr, --iova, --size, --argsz, --flags, --page-shift, --levels, --start, --index, --count, --argument, --group N,
  --path, --name TEXT      with explain: operands of the call
  --force                  with bind: though it is in use, by a disk that is mounted, a network, a console
  --root DIR               with doctor, devices, bind and unbind: where the machine's /sys, /proc and /dev lie, such as
                           /host in a container, or a copy of another machine's
  --json                   one JSON document instead of words
  --help, --version

  Exit codes: 0 done; 1 it could not be done, the storm met with failures, interruptions or leaks, the replay with
  differences, or the doctor found no way that is ready; 2 wrong usage.
`;

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
export function parseCommandLine(args: readonly string[]): CommandLine | ReplayLine | DeviceLine | ExplainLine {
  if (args[0] === "explain" && !args.includes("--help") && !args.includes("-h")) return explainLine(args);
  const { values, positionals } = parse(args);
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
    ...(growTo === undefined ? {} : { growTo: parseSize("grow-to", growTo) }),
    steps: parseCount("steps", values.steps ?? STEPS, 1, 10_000_000),
    // The generator has no state 0.
    seed: parseCount("seed", values.seed ?? SEED, 1, 2 ** 32 - 1),
    json: values.json,
    ...(values.trace === undefined ? {} : { traceFile: values.trace }),
    ...picture,
  };
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
  refuseUnknown(args);
  try {
    return parseArgs({ ...config, args: withValues(args) });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** parseArgs refuses them too, but does not say which option was likely meant. */
function refuseUnknown(args: readonly string[]): void {
  const { tokens } = parseArgs({ ...config, args: [...args], strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== "option" || Object.hasOwn(config.options, token.name)) continue;
    const meant = nearest(token.name, Object.keys(config.options));
    throw new UsageError(
      `there is no option ${token.rawName}${meant === undefined ? "" : `; did you mean --${meant}?`}`,
    );
  }
}

const COMMANDS = ["run", "plan", "show", "replay", "explain", ...DEVICE_COMMANDS] as const;

function commandOf(positionals: readonly string[]): "run" | "plan" | "show" | "replay" | DeviceCommand {
  const [command = "", extra] = positionals;
  if (command === "replay" || command === "show" || isDeviceCommand(command)) return command;
  if (extra !== undefined) throw new UsageError(`one command at a time; got ${positionals.join(" ")}`);
  if (command === "run" || command === "plan") return command;
  const meant = nearest(command, COMMANDS);
  throw new UsageError(
    `there is no command ${JSON.stringify(command)}${meant === undefined ? ": the" : `; did you mean ${meant}? The`} ` +
      "commands are run, plan, show, replay, explain, doctor, devices, bind and unbind",
  );
}

function fileOf(positionals: readonly string[]): string {
  const [, file, extra] = positionals;
  if (file === undefined || file === "")
    throw new UsageError("replay takes the FILE of a trace: dma-window replay FILE");
  if (extra !== undefined) throw new UsageError(`replay takes one FILE; got ${positionals.slice(1).join(" ")}`);
  return file;
}
