/** What stands on the command line, and what it means. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import type { IovaMode } from "../plan/index.ts";
import { IOVA_MODES } from "../plan/request.ts";
import type { KernelName, MachineOptions, PlatformName } from "./machine.ts";
import { parseChoice, parseCount, parseSize, UsageError } from "./usage.ts";

export const HELP = `dma-window: a DMA window, sized once

  dma-window run     plan a window for this machine, create it, map memory into it, and let a storm of allocations
                     and frees go through it; then the same storm under the scheme that resizes its window
  dma-window plan    plan a window for this machine and say why, without creating it

  --kernel model|linux     the software kernel (default), or this machine's VFIO
  --platform powernv|pseries
                           what the software kernel is like: bare metal (default) or an LPAR
  --group N                with --kernel linux: the IOMMU group of the device, bound to vfio-pci; may be repeated
  --iova rebased|va|pa     what a device's address is: an offset in the window (default), the virtual address, or the
                           physical one
  --grow-to SIZE           how large memory may become, such as 64G (default: what the memory's lists can hold; in mode
                           pa the machine's highest RAM)
  --highest-ram ADDRESS    the last address of RAM, where /proc/iomem does not say
  --steps N                of the storm (default 4000)
  --seed N                 of the storm (default 1)
  --json                   one JSON document instead of words
  --help, --version

  Exit codes: 0 done; 1 it could not be done, or the storm met with failures, interruptions or leaks; 2 wrong usage.
`;

const config = {
  allowPositionals: true,
  strict: true,
  options: {
    kernel: { type: "string", default: "model" },
    platform: { type: "string", default: "powernv" },
    group: { type: "string", multiple: true, default: [] },
    iova: { type: "string", default: "rebased" },
    "grow-to": { type: "string" },
    "highest-ram": { type: "string" },
    steps: { type: "string", default: "4000" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
    version: { type: "boolean", default: false },
  },
} as const satisfies ParseArgsConfig;

export interface CommandLine {
  readonly command: "run" | "plan" | "help" | "version";
  readonly machine: MachineOptions;
  readonly iovaMode: IovaMode;
  readonly growTo?: bigint;
  readonly steps: number;
  readonly seed: number;
  readonly json: boolean;
}

/** @throws UsageError, saying which option takes what. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(args);
  const kernel = parseChoice<KernelName>("kernel", values.kernel, ["model", "linux"]);
  const platform = parseChoice<PlatformName>("platform", values.platform, ["powernv", "pseries"]);
  const groups = values.group.map((group) => parseCount("group", group, 0, 2 ** 31 - 1));
  const wantsHelp = values.help || (positionals.length === 0 && !values.version);
  const command = wantsHelp ? "help" : values.version ? "version" : commandOf(positionals);
  if (kernel === "linux" && groups.length === 0 && (command === "run" || command === "plan")) {
    throw new UsageError("--kernel linux needs --group N: the IOMMU group of a device that is bound to vfio-pci");
  }
  const highestRam = values["highest-ram"];
  const growTo = values["grow-to"];
  return {
    command,
    machine: {
      kernel,
      platform,
      groups,
      ...(highestRam === undefined ? {} : { highestRam: parseSize("highest-ram", highestRam) }),
    },
    iovaMode: parseChoice("iova", values.iova, IOVA_MODES),
    ...(growTo === undefined ? {} : { growTo: parseSize("grow-to", growTo) }),
    steps: parseCount("steps", values.steps, 1, 10_000_000),
    // The generator has no state 0.
    seed: parseCount("seed", values.seed, 1, 2 ** 32 - 1),
    json: values.json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ ...config, args: [...args] });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function commandOf(positionals: readonly string[]): "run" | "plan" {
  const [command = "", extra] = positionals;
  if (extra !== undefined) throw new UsageError(`one command at a time; got ${positionals.join(" ")}`);
  if (command === "run" || command === "plan") return command;
  throw new UsageError(`there is no command ${JSON.stringify(command)}: the commands are run and plan`);
}
