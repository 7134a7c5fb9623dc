/** The command line of `show`, and what `plan` takes beside this machine's options. */
import type { DescribedMachine } from "../plan/described.ts";
import { DESCRIBING, type DescribingValues, isDescribed, machineFrom } from "./described-line.ts";
import { parseCount, parseSize, UsageError } from "./usage.ts";

/** The options of both, for parseArgs. */
export const PICTURE_OPTIONS = {
  ...DESCRIBING,
  "device-bits": { type: "string" },
  compare: { type: "string" },
  output: { type: "string" },
  storm: { type: "boolean" },
  at: { type: "string" },
  follow: { type: "boolean" },
  svg: { type: "string" },
  html: { type: "string" },
} as const;

/** What `plan` does beside making one. */
export interface PlanOptions {
  /** The machine; undefined for this one. */
  readonly described?: DescribedMachine;
  readonly deviceAddressBits?: number;
  /** Page sizes in bytes, or all that the IOMMU has. */
  readonly compare?: readonly bigint[] | "all";
  /** Where the plan is written. */
  readonly outputFile?: string;
}

/** What `show` shows, and where. */
export interface ShowOptions {
  /** A plan or a trace; undefined for the plan of a machine. */
  readonly file?: string;
  /** The storm of `run`, static beside dynamic. */
  readonly storm: boolean;
  /** In how many moments a trace is shown as it grew. */
  readonly moments?: number;
  /** After which line of a trace. */
  readonly atLine?: number;
  readonly follow: boolean;
  readonly svgFile?: string;
  readonly htmlFile?: string;
}

const MOMENTS = "16";
const MOMENTS_MAX = 1000;

/** Options that may stand without a value get one: parseArgs knows none such. */
export function withValues(args: readonly string[]): string[] {
  const isShow = args.includes("show");
  return args.map((arg, i) => {
    const hasValue = /^\d/.test(args[i + 1] ?? "");
    if (arg === "--compare" && !hasValue) return "--compare=all";
    return arg === "--steps" && isShow && !hasValue ? `--steps=${MOMENTS}` : arg;
  });
}

const OF_SHOW = ["storm", "at", "follow", "svg", "html"];
const OF_PLAN = ["compare", "output"];

/** Refuses what the command does nothing with. */
export function refusePictureOptions(command: string, values: DescribingValues): void {
  const isThere = (option: string) => values[option] !== undefined && values[option] !== false;
  const wrong = (options: readonly string[], where: string) => {
    const option = options.find(isThere);
    if (option !== undefined) throw new UsageError(`--${option} goes with ${where}`);
  };
  if (command !== "show") wrong(OF_SHOW, "show");
  if (command !== "plan") wrong(OF_PLAN, "plan");
  if (command !== "plan" && command !== "show") wrong([...Object.keys(DESCRIBING), "device-bits"], "plan and show");
}

/** @throws UsageError */
export function planOptions(values: DescribingValues): PlanOptions {
  const { compare, output } = values as { readonly compare?: string; readonly output?: string };
  if (output === "") throw new UsageError("--output takes a FILE for the plan, such as plan.json");
  const bits = values["device-bits"] as string | undefined;
  const described = describedBy(values);
  return {
    ...(described === undefined ? {} : { described }),
    ...(bits === undefined ? {} : { deviceAddressBits: parseCount("device-bits", bits, 1, 64) }),
    ...(compare === undefined ? {} : { compare: comparedSizes(compare) }),
    ...(output === undefined ? {} : { outputFile: output }),
  };
}

function describedBy(values: DescribingValues): DescribedMachine | undefined {
  if (!isDescribed(values)) return undefined;
  const own = Object.keys(DESCRIBING).find((option) => values[option] !== undefined);
  if (values.kernel === "linux") {
    throw new UsageError(`--${own} describes a machine, and --kernel linux is this one: leave one of them out`);
  }
  return machineFrom(values);
}

function comparedSizes(text: string): readonly bigint[] | "all" {
  if (text === "all") return "all";
  return text.split(",").map((size) => {
    const bytes = parseSize("compare", size);
    if (bytes >= 4096n && bytes <= 1n << 40n && (bytes & (bytes - 1n)) === 0n) return bytes;
    throw new UsageError(
      `--compare takes page sizes, powers of two from 4K to 1T, such as 64K,2M; got ${JSON.stringify(size)}`,
    );
  });
}

/** @throws UsageError */
export function showOptions(positionals: readonly string[], values: DescribingValues): ShowOptions {
  const [, file, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`show takes one FILE; got ${positionals.slice(1).join(" ")}`);
  if (file === "") throw new UsageError("show takes the FILE of a plan or a trace");
  const {
    svg,
    html,
    at,
    steps,
    storm = false,
    follow = false,
  } = values as {
    readonly [option in "svg" | "html" | "at" | "steps"]?: string;
  } & { readonly storm?: boolean; readonly follow?: boolean };
  if (svg === "" || html === "") throw new UsageError("--svg and --html take a FILE for the picture");
  if (file !== undefined) refuseBesideFile(values);
  if (storm && isDescribed(values)) {
    throw new UsageError(
      "--storm asks a kernel: the software one, or this machine's; a machine that is described has none",
    );
  }
  if (file === undefined && (follow || at !== undefined)) {
    throw new UsageError(`--${follow ? "follow" : "at"} goes with the FILE of a trace: dma-window show FILE`);
  }
  if (follow && (svg ?? html ?? at ?? steps) !== undefined) {
    throw new UsageError(
      "--follow shows what is there now, in the terminal: leave --svg, --html, --at and --steps out",
    );
  }
  if (steps !== undefined && !storm && file === undefined) {
    throw new UsageError("--steps goes with the FILE of a trace, or with --storm");
  }
  if (follow && values.json === true) throw new UsageError("--follow draws: leave --json out");
  if (follow && file === "-") throw new UsageError("--follow takes a FILE that is written, and no stdin");
  if (at !== undefined && steps !== undefined)
    throw new UsageError("--at shows one moment, --steps several: leave one out");
  return {
    ...(file === undefined ? {} : { file }),
    storm,
    ...(steps === undefined || storm ? {} : { moments: parseCount("steps", steps, 1, MOMENTS_MAX) }),
    ...(at === undefined ? {} : { atLine: parseCount("at", at, 1, Number.MAX_SAFE_INTEGER) }),
    follow,
    ...(svg === undefined ? {} : { svgFile: svg }),
    ...(html === undefined ? {} : { htmlFile: html }),
  };
}

/** What a file says itself. */
const SAID_BY_FILE = ["storm", "platform", "kernel", "iova", "grow-to", "highest-ram", "seed", "device-bits"];

function refuseBesideFile(values: DescribingValues): void {
  const option = [...SAID_BY_FILE, ...Object.keys(DESCRIBING)].find(
    (one) => values[one] !== undefined && values[one] !== false,
  );
  if (option !== undefined)
    throw new UsageError(`--${option} goes with show without a FILE: what is in one, it says itself`);
}
