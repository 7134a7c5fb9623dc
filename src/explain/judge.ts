/** From the table to words: which causes an answer may have here, the likeliest first. */
import type { Asked, Cause, Finding, IommuKind, Verdict } from "./cause.ts";
import type { Machine } from "./machine.ts";
import { causes as table } from "./table.ts";
import { isOfVersion } from "./versions.ts";

export { POSITIVE } from "./cause.ts";

/** A cause as it looks on this machine. Plain data: it stands in an error's `facts`. */
export interface JudgedCause {
  readonly id: string;
  readonly verdict: Verdict;
  /** What is the case and what to do, in the machine's numbers where it gave some. */
  readonly says: string;
  /** The place in the kernel: `file: function`. */
  readonly source: string;
}

const ORDER: readonly Verdict[] = ["sure", "likely", "possible", "unlikely", "ruled out"];

/** So many causes stand in a message; the others are in its error's `facts`. */
const TOLD = 4;

/** Where all causes are ruled out. */
const UNKNOWN = "none of the causes that are known: see the kernel's log (dmesg)";

/** The causes of an answer, likeliest first; of equals the more frequent. `errno` is its name, or {@link POSITIVE}. */
export function judge(
  call: string,
  errno: string,
  iommu: IommuKind | undefined,
  machine: Machine,
  asked: Asked,
): JudgedCause[] {
  const of = (name: string) =>
    table
      .filter((cause) => cause.call === name && cause.errno === errno && isOn(cause, iommu) && !cause.others)
      .map((cause) => judged(cause, machine, asked))
      .filter((cause) => cause !== undefined);
  const own = of(call);
  const found = own.some(({ verdict }) => verdict !== "ruled out") ? own : [...own, ...of("any")];
  return found.sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict)); // stable: the table's own order stays
}

/** The causes in words: the sure one alone, or the likeliest first and a few more. */
export function tell(causes: readonly JudgedCause[]): string {
  const [first] = causes;
  if (first === undefined) return "";
  if (first.verdict === "sure") return first.says;
  const open = causes.filter(({ verdict }) => verdict !== "ruled out");
  const told = open.slice(0, TOLD);
  const room = Math.min(TOLD - told.length, 2);
  const not = causes
    .filter(({ verdict }) => verdict === "ruled out")
    .slice(0, room)
    .map(({ says }) => `It is not that ${says}`);
  const more = open.length - told.length;
  const words = [told.length === 0 ? UNKNOWN : told.map(({ says }) => says).join(". Or "), ...not];
  return words.join(". ") + (more > 0 ? `. Or one of ${more} more, in facts.causes` : "");
}

function isOn({ iommu }: Cause, kind: IommuKind | undefined): boolean {
  return iommu === undefined || (kind !== undefined && iommu.includes(kind));
}

/** What is to be done: what a guard protects is said first. Nobody is to do anything about what is ruled out. */
export function adviceOf({ guards, next: own }: Cause, { verdict, next = own }: Partial<Finding>): string {
  if (next === undefined || verdict === "ruled out") return "";
  return guards === undefined ? next : `${guards}; ${next}`;
}

/** `undefined` for a cause that is ruled out, and about which there is nothing to be said. */
function judged(cause: Cause, machine: Machine, asked: Asked): JudgedCause | undefined {
  const { id, source } = cause;
  const finding = ask(cause, machine, asked);
  if (finding?.verdict === "ruled out" && finding.why === undefined) return undefined;
  const verdict = finding?.verdict ?? (isOfThisVersion(cause, machine) ? "possible" : "unlikely");
  const why = finding?.why ?? cause.why;
  const advice = adviceOf(cause, { ...finding, verdict });
  return { id, verdict, says: advice === "" ? why : `${why}: ${advice}`, source };
}

export function ask({ ask: question }: Cause, machine: Machine, asked: Asked): Finding | undefined {
  try {
    return question?.(machine, asked);
  } catch {
    return undefined; // a file in a form that nobody knows
  }
}

/** Distributions carry changes back, so another version makes a cause unlikely, and no more. */
function isOfThisVersion(cause: Cause, { release }: Machine): boolean {
  return release === undefined || isOfVersion(cause, release);
}
