/** `dma-window replay FILE`: the calls of a trace, made again, and every answer that is another one. */
import { bytes } from "../hex.ts";
import { linuxKernel } from "../linux/index.ts";
import { type ModelPlatform, modelKernel } from "../model/index.ts";
import { IommuType, type Syscalls } from "../syscalls.ts";
import { type Replayed, readTrace, replay, type TraceCall, type TraceHeader, traceLines } from "../trace/index.ts";
import type { ReplayLine } from "./options.ts";
import { modelPageSizes } from "./pool.ts";
import { withRereadable } from "./read-again.ts";
import { UsageError } from "./usage.ts";

/** What a trace says about the machine that it wants. */
interface Survey {
  readonly header: TraceHeader;
  /** The groups that could be opened, in the order of their first opening. */
  readonly groups: readonly Group[];
  readonly platform: ModelPlatform | undefined;
}

interface Group {
  readonly number: number;
  /** It is /dev/vfio/noiommu-N. */
  readonly noIommu: boolean;
}

/** 0 when every answer was the recorded one. */
export function replayCommand(line: ReplayLine, print: (text: string) => void): number {
  return withRereadable(line.file, (path) => replayOf(path, line, print));
}

function replayOf(path: string, line: ReplayLine, print: (text: string) => void): number {
  // The whole file is read before the first call is made: half a replay would help nobody.
  const survey = surveyOf(path);
  const groups = renamed(survey.groups, line.groups);
  const platform = line.platform ?? survey.platform ?? "powernv";
  const kernel = line.kernel === "linux" ? linuxKernel() : modelLike(survey, platform, groups);
  const result = replay(traceLines(path), kernel, { groups });
  if (line.json) print(JSON.stringify({ kernel: line.kernel, ...result }));
  else print(replayLines(survey.header, line.kernel === "linux" ? undefined : platform, result).join("\n"));
  return result.differences.length === 0 ? 0 : 1;
}

function surveyOf(file: string): Survey {
  const { header, calls } = readTrace(traceLines(file));
  const groups = new Map<number, Group>();
  let platform: ModelPlatform | undefined;
  for (const call of calls) {
    const group = openedGroup(call);
    if (group !== undefined && !groups.has(group.number)) groups.set(group.number, group);
    platform ??= platformIn(call);
  }
  return { header, groups: [...groups.values()], platform };
}

function openedGroup({ call, fields, answer }: TraceCall): Group | undefined {
  if (call !== "open" || typeof answer !== "string" || !answer.startsWith("f")) return undefined;
  const [, prefix, number] = /^\/dev\/vfio\/(noiommu-)?(\d+)$/.exec(String(fields.path)) ?? [];
  return number === undefined ? undefined : { number: Number(number), noIommu: prefix !== undefined };
}

/** Which machine's answer it is; most calls are answered alike on all of them. */
function platformIn({ call, fields, answer, out }: TraceCall): ModelPlatform | undefined {
  if (answer !== 0) return undefined;
  if (call === "SET_IOMMU") {
    const type = fields.argument;
    if (type === IommuType.TYPE1 || type === IommuType.TYPE1v2) return "type1";
    return type === IommuType.NOIOMMU ? "noiommu" : undefined;
  }
  // Firmware's tables have one level, bare metal's may have several.
  if (call !== "GET_INFO" || typeof out?.levels !== "number") return undefined;
  return out.levels === 1 ? "pseries" : "powernv";
}

/** Which group stands for which of the trace's. */
function renamed(recorded: readonly Group[], here: readonly number[]): Map<number, number> {
  if (here.length > recorded.length) {
    throw new UsageError(`--group is there ${here.length} times; the trace opens ${recorded.length} of them`);
  }
  return new Map(recorded.map(({ number }, i) => [number, here[i] ?? number]));
}

/** A software kernel with what the recording's process had: its groups, its page size, and what it might still lock. */
function modelLike(survey: Survey, platform: ModelPlatform, renamed: ReadonlyMap<number, number>): Syscalls {
  const { lockedMemory, pageSize } = survey.header;
  const { limit, used, privileged } = lockedMemory;
  const left = limit === null ? null : limit > used ? limit - used : 0n;
  const named = (groups: readonly Group[]) => [...new Set(groups.map(({ number }) => renamed.get(number) ?? number))];
  // Beside others, groups without an IOMMU are type1's only.
  const apart = platform === "type1" ? survey.groups.filter(({ noIommu }) => noIommu) : [];
  return modelKernel({
    platform,
    groups: named(survey.groups.filter((group) => !apart.includes(group))),
    ...(apart.length === 0 ? {} : { noIommuGroups: named(apart) }),
    pageSize: modelPageSizes(platform).includes(pageSize) ? pageSize : 4096,
    lockedMemory: { limit: left, privileged },
  });
}

function replayLines(header: TraceHeader, platform: ModelPlatform | undefined, result: Replayed): string[] {
  const { calls, differences, moved } = result;
  const from = header.kernel === "linux" ? "a real kernel" : "the software kernel";
  const note = header.note === undefined ? "" : `: ${header.note}`;
  return [
    `  trace    recorded on ${from} with pages of ${bytes(header.pageSize)}${note}`,
    `  kernel   ${platform === undefined ? "this machine's VFIO" : `the software model of Linux's VFIO (${platform})`}`,
    `  calls    ${calls}`,
    ...(moved === 0 ? [] : [`  memory   ${moved} regions could not lie to the others as they lay in the recording`]),
    "",
    ...differences.map(
      ({ line, call, expected, got }) => `  line ${line}: ${call} was answered ${expected}; now ${got}`,
    ),
    ...(differences.length === 0 ? [] : [""]),
    differences.length === 0
      ? "  Every answer is the recorded one."
      : `  ${differences.length} of ${calls} answers ${differences.length === 1 ? "differs" : "differ"}.`,
  ];
}
