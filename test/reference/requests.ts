/**
 * What must become of a batch of maps or unmaps: which request is refused and why, or which calls are written. The twin
 * of `assembly/requests.ts`: it lets a copy of the kernel run ahead, one request after the other.
 */
import { NO_ADDRESS, Owner, Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { isAligned } from "./bits.ts";
import { firstFit } from "./holes.ts";
import type { KernelTwin } from "./kernel.ts";
import { isRange } from "./range.ts";
import { mapStruct, registerStruct, unmapStruct } from "./structs.ts";
import type { WindowTwin } from "./window.ts";

export interface Request {
  readonly va: bigint;
  /** NO_ADDRESS: of a map, that the core is to choose. */
  readonly iova: bigint;
  readonly length: bigint;
  /** Maps only. */
  readonly permission?: number;
}

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

/** Whether memory of which something is registered needs no REGISTER: what is there reaches through, and is in use. */
function registrationStatus(kernel: KernelTwin, va: bigint, length: bigint): number {
  let reached = va;
  for (const each of kernel.registrationsIn(va, length)) {
    if (each.va > reached) break;
    if (!kernel.isMapped(each)) return Status.STALE_REGISTRATION;
    reached = each.va + each.length;
  }
  return reached >= va + length ? Status.OK : Status.PARTLY_REGISTERED;
}

function mapStatus(kernel: KernelTwin, window: WindowTwin, request: Request, owner: number): number {
  const { va, iova, length, permission = 0 } = request;
  const unregistered = () => kernel.registrationsIn(va, length).length === 0;
  const broken = firstBroken([
    ...shapeRules(window, request, owner),
    [Status.BAD_PERMISSION, () => ![1, 2, 3].includes(permission)],
    [Status.ALREADY_LIVE, () => [...window.pages(iova, length)].some((page) => window.memoryAt.has(page))],
    [Status.VA_ALREADY_MAPPED, () => [...window.pages(va, length)].some((page) => window.iovaOf.has(page))],
    [Status.UNALIGNED_VA, () => unregistered() && !isAligned(va, kernel.cpuPageShift)],
    [Status.UNALIGNED_LENGTH, () => unregistered() && !isAligned(length, kernel.cpuPageShift)],
  ]);
  return broken !== Status.OK || unregistered() ? broken : registrationStatus(kernel, va, length);
}

function unmapStatus(window: WindowTwin, request: Request, owner: number): number {
  const { va, iova, length } = request;
  const pages = () => [...window.pages(iova, length)];
  return firstBroken([
    ...shapeRules(window, request, owner),
    [Status.NOT_LIVE, () => pages().some((page) => !window.memoryAt.has(page))],
    [Status.VA_MISMATCH, () => pages().some((page) => window.memoryAt.get(page) !== va + (page - iova))],
  ]);
}

/** What is decided about one request: a status, or the request as it will be carried out. */
type Decide = (ahead: KernelTwin, window: WindowTwin, request: Request) => Request | number;

type CarryOut = (ahead: KernelTwin, request: Request, call: (number: number, struct: Uint8Array) => void) => void;

/** The batch for `requests` in the window with that index, as the kernel stands now. Changes nothing. */
function planned(
  kernel: KernelTwin,
  window: number,
  requests: readonly Request[],
  decide: Decide,
  carryOut: CarryOut,
): Batch {
  const ahead = kernel.clone();
  const calls: PlannedCall[] = [];
  const decided: Request[] = [];
  for (const [index, request] of requests.entries()) {
    const decision = decide(ahead, ahead.windows[window] as WindowTwin, request);
    if (typeof decision === "number") return { status: decision, refused: index, calls: [], requests: decided };
    decided.push(decision);
    carryOut(ahead, decision, (call, struct) => {
      const answer = ahead.execute(call, struct);
      if (answer !== 0) throw new Error(`the twin's own call ${call} was answered ${answer}`);
      calls.push({ request: index, call, struct });
    });
  }
  return { status: Status.OK, refused: -1, calls, requests: decided };
}

export function planMaps(kernel: KernelTwin, window: number, requests: readonly Request[], owner: number): Batch {
  const decide: Decide = (ahead, at, request) => {
    const placed = request.iova === NO_ADDRESS ? place(at, request.length) : { iova: request.iova };
    if (typeof placed === "number") return placed;
    return mapStatus(ahead, at, { ...request, ...placed }, owner) || { ...request, ...placed };
  };
  return planned(kernel, window, requests, decide, (ahead, { va, iova, length, permission = 0 }, call) => {
    if (!ahead.isRegistered(va, length)) call(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY, registerStruct(va, length));
    call(VfioCall.IOMMU_MAP_DMA, mapStruct(permission, va, iova, length));
  });
}

export function planUnmaps(kernel: KernelTwin, window: number, requests: readonly Request[], owner: number): Batch {
  const decide: Decide = (_ahead, at, request) => unmapStatus(at, request, owner) || request;
  return planned(kernel, window, requests, decide, (ahead, { va, iova, length }, call) => {
    call(VfioCall.IOMMU_UNMAP_DMA, unmapStruct(iova, length));
    for (const each of ahead.registrationsIn(va, length)) {
      if (!ahead.isMapped(each)) {
        call(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY, registerStruct(each.va, each.length));
      }
    }
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
