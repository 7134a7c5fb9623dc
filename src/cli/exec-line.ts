/** The command line of `dma-window exec`: its own options, and behind `--` those of a program. */
import { FINDING_KINDS, type FindingKind } from "../exec/sanitizer/finding.ts";
import type { ModelPlatform } from "../model/index.ts";
import { parsed } from "./parsed.ts";
import { parseChoice, parseCount, UsageError } from "./usage.ts";

export interface ExecLine {
  readonly command: "exec";
  readonly platform: ModelPlatform;
  readonly groups: readonly number[];
  readonly linux?: string;
  readonly devicesFile?: string;
  readonly faultsFile?: string;
  /** `memlock=64M`, `maps=1000`, as they were given. */
  readonly limits: readonly string[];
  readonly traceFile?: string;
  readonly reportFile?: string;
  /** Findings that make the command fail. */
  readonly failOn: readonly FindingKind[];
  readonly program: readonly string[];
}

const PLATFORMS: readonly ModelPlatform[] = ["powernv", "pseries", "type1", "noiommu"];

const options = {
  platform: { type: "string", default: "powernv" },
  devices: { type: "string" },
  faults: { type: "string" },
  limits: { type: "string", multiple: true, default: [] as string[] },
  group: { type: "string", multiple: true, default: [] as string[] },
  linux: { type: "string" },
  trace: { type: "string" },
  report: { type: "string" },
  "fail-on": { type: "string", multiple: true, default: [] as string[] },
} as const;

/** An option behind the program is the program's own: its help too. */
export function isExec(args: readonly string[]): boolean {
  return args[0] === "exec" && !["--help", "-h"].includes(args[1] ?? "");
}

/** @throws UsageError */
export function execLine(args: readonly string[]): ExecLine {
  const border = args.indexOf("--");
  // Without it the first word that is no option begins the program, as with env and nice.
  const { own, program } = border >= 0 ? { own: args.slice(0, border), program: args.slice(border + 1) } : parted(args);
  const { values, positionals } = parsed(
    { options, args: own.slice(1), allowPositionals: true },
    (option) => `exec has no option ${option}`,
  );
  if (positionals.length > 0)
    throw new UsageError(`exec takes a program behind --; got ${positionals.join(" ")} before it`);
  if (program.length === 0) throw new UsageError("exec takes a program: dma-window exec [OPTIONS] -- PROGRAM ARGS");
  return {
    command: "exec",
    platform: parseChoice("platform", values.platform, PLATFORMS),
    groups: values.group.map((group) => parseCount("group", group, 0, 2 ** 31 - 1)),
    ...(values.linux === undefined ? {} : { linux: values.linux }),
    ...(values.devices === undefined ? {} : { devicesFile: values.devices }),
    ...(values.faults === undefined ? {} : { faultsFile: values.faults }),
    limits: values.limits,
    ...(values.trace === undefined ? {} : { traceFile: values.trace }),
    ...(values.report === undefined ? {} : { reportFile: values.report }),
    failOn: [...new Set(values["fail-on"].flatMap((text) => text.split(",").flatMap(kindsOf)))],
    program,
  };
}

function kindsOf(text: string): readonly FindingKind[] {
  return text === "any" ? FINDING_KINDS : [parseChoice("fail-on", text, FINDING_KINDS)];
}

function parted(args: readonly string[]): { readonly own: readonly string[]; readonly program: readonly string[] } {
  let at = 1;
  for (; at < args.length; at++) {
    const word = args[at] ?? "";
    if (!word.startsWith("-")) break;
    if (!word.includes("=") && Object.hasOwn(options, word.replace(/^--/, ""))) at++; // its value
  }
  return { own: args.slice(0, at), program: args.slice(at) };
}
