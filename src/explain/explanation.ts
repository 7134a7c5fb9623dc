/** Why a call was answered so: its causes, in the order in which the kernel makes its checks, judged by what is known. */
import type { MachineFiles } from "../syscalls.ts";
import {
  type Asked,
  type Cause,
  CRASH,
  type Finding,
  type IommuKind,
  POSITIVE,
  SUCCESS,
  type Verdict,
} from "./cause.ts";
import { inGeneral } from "./general.ts";
import { adviceOf, ask } from "./judge.ts";
import { isBefore, Machine, versionOf } from "./machine.ts";
import { placeOf } from "./order.ts";
import { causes as table } from "./table.ts";
import { isOfVersion } from "./versions.ts";

/** What a program may run on; `spapr` is either of POWER's. */
export type Platform = "powernv" | "pseries" | "spapr" | "type1" | "noiommu";

export interface ExplainOptions {
  /** Without: the causes on all of them, each with where it is one. */
  readonly platform?: Platform | undefined;
  /** The kernel's version, such as `6.12.107`: causes of other versions are left out. */
  readonly linux?: string | undefined;
  /** The machine's files, where the call was made on this machine: causes are judged by them too. */
  readonly files?: MachineFiles | undefined;
  /** Operands and what came before, by the names of `Known` and of the structs' fields. */
  readonly asked?: Asked | undefined;
  /** A program that is in use for long made the call: that it made it wrongly is the last thing to think of. */
  readonly isProven?: boolean;
  /** The ids of the causes that a message of the kernel or of a program names itself: one of them is the case. */
  readonly named?: readonly string[] | undefined;
}

/** One of the reasons, as the command and the playground show it. */
export interface ExplainedCause {
  /** 1 is the likeliest. */
  readonly rank: number;
  /** Names the check: with call and answer it is one row of docs/errors.md. */
  readonly check: string;
  readonly verdict: Verdict;
  /** Where it can be: without, everywhere. */
  readonly on?: readonly IommuKind[];
  /** The versions of Linux, where not all: `since 6.2`, `before 5.19`. */
  readonly linux?: string;
  /** The answer that it is a cause of, where the call's is not known. */
  readonly answer?: string;
  readonly why: string;
  /** `file: function` of Linux 6.12. */
  readonly source: string;
  /** What to do; empty where nothing can be done, or need be. */
  readonly fix: string;
}

export interface Explanation {
  /** As `<linux/vfio.h>` or the manual has it. */
  readonly call: string;
  /** `EINVAL`, `positive`, `success`, `Oops`, `unknown`. */
  readonly answer: string;
  readonly causes: readonly ExplainedCause[];
  /** Checks with the same answer that the operands pass. */
  readonly passed: readonly string[];
}

/** Where no version is known: what no kernel since then does is unlikely. The oldest that Debian and its like have. */
const OLDEST = [6, 1];

/** The answer of a line that does not say it. */
const UNKNOWN = "unknown";

const ORDER: readonly Verdict[] = ["sure", "likely", "possible", "unlikely", "ruled out"];
const KINDS: readonly (IommuKind | undefined)[] = ["type1", "spapr", "noiommu"];

/** Never throws. Without an answer: the causes of all its failures. `call` and `answer` as `callsNamed` and `answerNamed` give them. */
export function explainCall(call: string, answer: string | undefined, options: ExplainOptions = {}): Explanation {
  if (answer === undefined) return ofAnyAnswer(call, options);
  const kind = kindOf(options.platform);
  const isProven = options.isProven ?? false;
  const asked = factsOf(options);
  const machine = new Machine(options.files);
  const release = versionOf(options.linux ?? "") ?? machine.release;
  const rows = (name: string) =>
    table
      .filter((cause) => cause.call === name && cause.errno === answer && !cause.summary && isOn(cause, kind))
      .filter((cause) => {
        // A stated version is exact; one of a machine may be a distribution's, which carries changes back.
        return options.linux === undefined || release === undefined || isOfVersion(cause, release);
      })
      .map(inGeneral);
  const own = judgeAll(rows(call), kind, machine, asked, release, isProven);
  const open = own.filter(({ verdict }) => verdict !== "ruled out");
  const all = open.length > 0 ? own : [...own, ...judgeAll(rows("any"), kind, machine, asked, release, isProven)];
  const { named = [] } = options;
  const found = named.length === 0 ? all : all.map((one) => naming(one, named));
  const ranked = found.filter(({ verdict }) => verdict !== "ruled out").sort(byRank(kind, named));
  return {
    call,
    answer,
    causes: ranked.map((one, i) => shown(one, i + 1, kind)),
    passed: found.filter(({ verdict }) => verdict === "ruled out").map(({ cause }) => cause.id),
  };
}

/** Where it is not known what was answered: the causes of each failure of the call, each with its answer. What is met more often first. */
function ofAnyAnswer(call: string, options: ExplainOptions): Explanation {
  const each = answersOf(call)
    .filter((answer) => answer !== SUCCESS && answer !== CRASH)
    .map((answer) => explainCall(call, answer, options));
  const causes = each.flatMap((one) => one.causes.map((cause) => ({ ...cause, answer: one.answer })));
  const answers = each.map(({ answer }) => answer);
  const often = table.filter((cause) => cause.call === call).map(({ errno, id }) => `${errno} ${id}`);
  const placeIn = ({ answer, check }: (typeof causes)[number]) => often.indexOf(`${answer} ${check}`);
  const ranked = causes.sort(
    (a, b) =>
      ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) ||
      answers.indexOf(a.answer) - answers.indexOf(b.answer) ||
      placeIn(a) - placeIn(b),
  );
  return {
    call,
    answer: UNKNOWN,
    causes: ranked.map((cause, i) => ({ ...cause, rank: i + 1 })),
    passed: each.flatMap(({ passed }) => passed),
  };
}

/** A message's facts have names of their own for the same: what asks the machine's files goes by those. */
function factsOf({ platform, asked = {} }: ExplainOptions): Asked {
  return {
    ...(platform === undefined || platform === "spapr" ? {} : { platform }),
    ...(typeof asked.size === "bigint" ? { length: asked.size } : {}),
    ...(typeof asked.vaddr === "bigint" ? { va: asked.vaddr } : {}),
    ...asked,
  };
}

interface Judged extends Finding {
  readonly cause: Cause;
}

/**
 * The first check that the call fails by what is known is the answer's; those behind it were never made. One before it about
 * which nothing is known leaves a doubt.
 */
function judgeAll(
  causes: readonly Cause[],
  kind: IommuKind | undefined,
  machine: Machine,
  asked: Asked,
  release: readonly number[] | undefined,
  isProven: boolean,
): Judged[] {
  const inOrder = [...causes].sort((a, b) => placeOf(a, kindOfCause(a, kind)) - placeOf(b, kindOfCause(b, kind)));
  let isFound = false;
  let isDoubtful = false;
  return inOrder.map((cause) => {
    const holds = attempt(cause, asked);
    if (holds === false) return { cause, verdict: "ruled out" };
    const finding = ask(cause, machine, asked);
    if (finding?.verdict === "ruled out") return { cause, ...finding };
    if (isFound || holds === null) return { cause, ...finding, verdict: "unlikely" };
    if (holds === undefined) {
      isDoubtful = true;
      const isOther = !isOfVersion(cause, release ?? OLDEST) && (release !== undefined || cause.before !== undefined);
      const isUnlikely = isOther || (isProven && cause.mistake === true);
      return { cause, verdict: isUnlikely ? "unlikely" : "possible", ...finding };
    }
    isFound = true;
    return {
      cause,
      ...finding,
      verdict: isDoubtful ? "likely" : "sure",
      ...(typeof holds === "string" ? { why: holds } : {}),
    };
  });
}

function attempt({ holds }: Cause, asked: Asked): ReturnType<NonNullable<Cause["holds"]>> {
  try {
    return holds?.(asked);
  } catch {
    return undefined; // operands in a form that nobody expects
  }
}

/** Where a message has several reasons, which of them it is only the machine can say. */
function naming(one: Judged, named: readonly string[]): Judged {
  const isNamed = named.includes(one.cause.id);
  if (isNamed && named.length === 1) return { ...one, verdict: "sure" };
  if (isNamed) return one.verdict === "possible" ? { ...one, verdict: "likely" } : one;
  return one.verdict === "sure" || one.verdict === "likely" ? { ...one, verdict: "possible" } : one;
}

/** The likeliest first; of equals, those that are named, in their order, and then what the kernel checks first. */
function byRank(kind: IommuKind | undefined, named: readonly string[]): (a: Judged, b: Judged) => number {
  const placeOfName = ({ cause }: Judged) => (named.includes(cause.id) ? named.indexOf(cause.id) : named.length);
  return (a, b) => {
    const kinds = KINDS.indexOf(kindOfCause(a.cause, kind)) - KINDS.indexOf(kindOfCause(b.cause, kind));
    const places = placeOf(a.cause, kindOfCause(a.cause, kind)) - placeOf(b.cause, kindOfCause(b.cause, kind));
    const names = placeOfName(a) - placeOfName(b);
    return ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || names || kinds || places;
  };
}

function shown(
  { cause, verdict, why = cause.why, ...finding }: Judged,
  rank: number,
  kind: IommuKind | undefined,
): ExplainedCause {
  const versions = [
    ...(cause.since === undefined ? [] : [`since ${cause.since}`]),
    ...(cause.before === undefined ? [] : [`before ${cause.before}`]),
  ];
  return {
    rank,
    check: cause.id,
    verdict,
    ...(cause.iommu === undefined || kind !== undefined ? {} : { on: cause.iommu }),
    ...(versions.length === 0 ? {} : { linux: versions.join(", ") }),
    why: why === cause.why || why.includes(cause.why) ? why : `${cause.why} (${why})`,
    source: cause.source,
    fix: adviceOf(cause, { ...finding, verdict }),
  };
}

export function kindOf(platform: string | undefined): IommuKind | undefined {
  if (platform === "powernv" || platform === "pseries" || platform === "spapr") return "spapr";
  return platform === "type1" || platform === "noiommu" ? platform : undefined;
}

function kindOfCause({ iommu }: Cause, kind: IommuKind | undefined): IommuKind | undefined {
  return kind ?? iommu?.[0] ?? "type1";
}

function isOn({ iommu }: Cause, kind: IommuKind | undefined): boolean {
  return iommu === undefined || kind === undefined || iommu.includes(kind);
}

/** All answers of a call that the table knows, those of success and of a crash last. */
export function answersOf(call: string): readonly string[] {
  const found = [...new Set(table.filter((cause) => cause.call === call).map(({ errno }) => errno))];
  const late = [POSITIVE, SUCCESS, CRASH];
  return found.sort((a, b) => late.indexOf(a) - late.indexOf(b));
}

/** Whether a version is one that this knows how to compare. */
export function isVersion(text: string): boolean {
  const version = versionOf(text);
  return version !== undefined && version.length >= 2 && !isBefore(version, [2]);
}
