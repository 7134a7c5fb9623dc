/**
 * What must become of a batch of maps or unmaps: which request is refused and why, or which calls are written. The twin
 * of `assembly/requests.ts`: it lets a copy of the kernel run ahead, one request after the other.
 */
import { NO_ADDRESS, Owner, Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { isAligned } from "./bits.ts";
import { firstFit } from "./holes.ts";
import { isRange } from "./range.ts";
import { registerStruct, unmapStruct } from "./structs.ts";
import type { Call, Request, Twin } from "./twin.ts";
import type { WindowTwin } from "./window.ts";

export type { Request } from "./twin.ts";

export interface PlannedCall {
  readonly request: number;
  readonly call: number;
  readonly struct: Uint8Array;
}

export interface Batch {
  readonly status: number;
  /** The request that is refused, when `status` is not OK. */
  readonly refused: number;
  readonly calls: readonly PlannedCall[];
  /** The requests with the IOVAs that were chosen for them; those behind the one that is refused are left out. */
  readonly requests: readonly Request[];
}

type Rule = readonly [status: number, broken: () => boolean];

/** The status of the first rule that is broken; a later rule may rely on those before it. */
function firstBroken(rules: readonly Rule[]): number {
  return rules.find(([, broken]) => broken())?.[0] ?? Status.OK;
}

function shapeRules(window: WindowTwin, { va, iova, length }: Request, owner: number): Rule[] {
  const pages = () => [...window.pages(iova, length)];
  return [
    [Status.ZERO_LENGTH, () => length === 0n],
    [Status.WRAPS, () => !isRange(va, length) || !isRange(iova, length)],
    [Status.UNALIGNED_VA, () => !isAligned(va, window.pageShift)],
    [Status.UNALIGNED_IOVA, () => !isAligned(iova, window.pageShift)],
    [Status.UNALIGNED_LENGTH, () => !isAligned(length, window.pageShift)],
    [Status.OUTSIDE_WINDOW, () => !window.contains(iova, length)],
    [Status.RESERVED, () => owner === Owner.PROGRAM && pages().some((page) => window.reserved.has(page))],
    [Status.NOT_RESERVED, () => owner === Owner.MEMORY && !pages().every((page) => window.reserved.has(page))],
  ];
}

/** The lowest IOVA with so many bytes free behind it; the status that says why there is none otherwise. */
function place(window: WindowTwin, length: bigint): { iova: bigint } | number {
  if (length === 0n) return Status.ZERO_LENGTH;
  if (!isAligned(length, window.pageShift)) return Status.UNALIGNED_LENGTH;
  const index = length > window.size ? -1 : firstFit(window.free(), Number(length / window.page), 1);
  return index === -1 ? Status.NO_HOLE : { iova: window.start + BigInt(index) * window.page };
}

function mapStatus(kernel: Twin, window: WindowTwin, request: Request, owner: number): number {
  const { va, iova, length, permission = 0 } = request;
  const broken = firstBroken([
    ...shapeRules(window, request, owner),
    [Status.BAD_PERMISSION, () => ![1, 2, 3].includes(permission)],
    [Status.ALREADY_LIVE, () => [...window.pages(iova, length)].some((page) => window.memoryAt.has(page))],
    [Status.VA_ALREADY_MAPPED, () => [...window.pages(va, length)].some((page) => window.iovaOf.has(page))],
  ]);
  return broken || kernel.mapStatus(request);
}

function unmapStatus(kernel: Twin, window: WindowTwin, request: Request, owner: number): number {
  const { va, iova, length } = request;
  const pages = () => [...window.pages(iova, length)];
  const broken = firstBroken([
    ...shapeRules(window, request, owner),
    [Status.NOT_LIVE, () => pages().some((page) => !window.memoryAt.has(page))],
    [Status.VA_MISMATCH, () => pages().some((page) => window.memoryAt.get(page) !== va + (page - iova))],
  ]);
  return broken || kernel.unmapStatus(request);
}

/** What is decided about one request: a status, or the request as it will be carried out. */
type Decide = (ahead: Twin, window: WindowTwin, request: Request) => Request | number;

interface Way {
  readonly decide: Decide;
  readonly calls: (ahead: Twin, request: Request) => Iterable<Call>;
  readonly direct: "map" | "unmap";
}

/** The batch for `requests` in the window with that index, as the kernel stands now. Changes nothing. */
function planned(kernel: Twin, window: number, requests: readonly Request[], way: Way): Batch {
  const ahead = kernel.clone();
  const calls: PlannedCall[] = [];
  const decided: Request[] = [];
  const at = ahead.windows[window] as WindowTwin;
  for (const [index, request] of requests.entries()) {
    const decision = way.decide(ahead, at, request);
    if (typeof decision === "number") return { status: decision, refused: index, calls: [], requests: decided };
    decided.push(decision);
    ahead.direct?.[way.direct](at, decision);
    for (const [call, struct] of way.calls(ahead, decision)) {
      const answer = ahead.execute(call, struct.slice());
      if (answer !== 0) throw new Error(`the twin's own call ${call} was answered ${answer}`);
      calls.push({ request: index, call, struct });
    }
  }
  return { status: Status.OK, refused: -1, calls, requests: decided };
}

export function planMaps(kernel: Twin, window: number, requests: readonly Request[], owner: number): Batch {
  const decide: Decide = (ahead, at, request) => {
    const placed = request.iova === NO_ADDRESS ? place(at, request.length) : { iova: request.iova };
    if (typeof placed === "number") return placed;
    return mapStatus(ahead, at, { ...request, ...placed }, owner) || { ...request, ...placed };
  };
  return planned(kernel, window, requests, {
    decide,
    calls: (ahead, request) => ahead.mapCalls(request),
    direct: "map",
  });
}

export function planUnmaps(kernel: Twin, window: number, requests: readonly Request[], owner: number): Batch {
  return planned(kernel, window, requests, {
    decide: (ahead, at, request) => unmapStatus(ahead, at, request, owner) || request,
    calls: (ahead, request) => ahead.unmapCalls(request),
    direct: "unmap",
  });
}

/** The calls that take back the first `done` of a batch of maps: the latest request first, UNMAP before UNREGISTER. */
export function planUndo(batch: Batch, done: number): PlannedCall[] {
  const made = batch.calls.slice(0, done);
  const undone = batch.requests.flatMap(({ va, iova, length }, index): PlannedCall[] => {
    const mine = made.filter((each) => each.request === index).map((each) => each.call);
    const undo: PlannedCall[] = [];
    if (mine.includes(VfioCall.IOMMU_MAP_DMA)) {
      undo.push({ request: index, call: VfioCall.IOMMU_UNMAP_DMA, struct: unmapStruct(iova, length) });
    }
    if (mine.includes(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY)) {
      const call = VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY;
      undo.push({ request: index, call, struct: registerStruct(va, length) });
    }
    return undo;
  });
  return undone.sort((a, b) => b.request - a.request);
}
