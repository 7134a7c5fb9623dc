/** Why calls of a trace failed: its failing calls one by one, with their causes judged by what the calls before have made. */
import { CRASH, POSITIVE, SUCCESS } from "../explain/cause.ts";
import { type ExplainOptions, type Explanation, explainCall, type Platform } from "../explain/explanation.ts";
import { IommuType, VfioCall, vfioCallName } from "../syscalls.ts";
import { callOfShortName } from "../trace/calls.ts";
import type { Trace, TraceCall } from "../trace/index.ts";
import { factsOf } from "./facts.ts";
import { isSpapr } from "./files.ts";
import { History } from "./history.ts";

export interface TracedExplanation extends Explanation {
  /** The line of the trace. */
  readonly line: number;
}

/** sPAPR's calls that fail with positive numbers. */
const FAILS_POSITIVE: readonly number[] = [
  VfioCall.IOMMU_MAP_DMA,
  VfioCall.IOMMU_UNMAP_DMA,
  VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
];

/** Answers of 0 that are looked at too: what they hide costs the most. */
const HIDING: readonly number[] = [VfioCall.IOMMU_UNMAP_DMA, VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY];

/**
 * Every call of the trace that failed, as it is read; and a call that answered 0 where the trace shows that it did not do what it
 * seems to. `platform` and `linux` stand before what the trace shows.
 *
 * @throws what reading the trace throws: `ERR_TRACE_MALFORMED` at the line that is.
 */
export function* explainTrace(
  { header, calls }: Trace,
  options: Pick<ExplainOptions, "platform" | "linux"> = {},
): Generator<TracedExplanation, void, void> {
  const history = new History(header);
  for (const call of calls) {
    const answer = answerOf(call);
    if (answer === undefined) {
      history.add(call);
      continue;
    }
    if (answer !== SUCCESS) yield told(history, call, answer, options);
    history.add(call);
    if (answer !== SUCCESS) continue;
    const explanation = told(history, call, answer, options);
    if (explanation.causes[0]?.verdict === "sure") yield explanation;
  }
}

function told(
  history: History,
  call: TraceCall,
  answer: string,
  { platform, linux }: ExplainOptions,
): TracedExplanation {
  const container = history.containerOf(call);
  const seen = history.platform ?? (container !== undefined && isSpapr(container) ? "spapr" : undefined);
  const asked = factsOf(history, call);
  const where = platform ?? seen;
  return {
    line: call.line,
    ...explainCall(nameOf(call, container?.type, where), answer, { platform: where, linux, asked }),
  };
}

/** `EINVAL`, `positive`, `Oops`; `success` of a call that is looked at all the same. */
function answerOf({ call, answer, throws }: TraceCall): string | undefined {
  if (throws !== undefined) return throws === "ERR_MODEL_KERNEL_OOPS" ? CRASH : undefined;
  const number = callOfShortName(call);
  if (typeof answer === "string") return /^E[A-Z0-9]+$/.test(answer) ? answer : undefined;
  if (typeof answer !== "number" || number === undefined) return undefined;
  if (answer > 0) return FAILS_POSITIVE.includes(number) ? POSITIVE : undefined;
  return answer === 0 && HIDING.includes(number) ? SUCCESS : undefined;
}

/** As the table has it. */
function nameOf({ call, fields }: TraceCall, type: number | undefined, platform: Platform | undefined): string {
  const number = callOfShortName(call);
  if (number === undefined)
    return call === "open" ? (fields.path === "/dev/vfio/vfio" ? "open /dev/vfio/vfio" : "open group") : call;
  const isType1 = platform === "type1" || type === IommuType.TYPE1 || type === IommuType.TYPE1v2;
  return number === VfioCall.IOMMU_SPAPR_TCE_GET_INFO && isType1 ? "VFIO_IOMMU_GET_INFO" : vfioCallName(number);
}
