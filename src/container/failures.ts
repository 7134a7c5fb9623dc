/** What the core, the kernel or its interface said against a list: the request in words and facts. While the list is there. */
import { core, NO_ADDRESS, NOT_CALLED } from "../core.ts";
import { asOurs, DmaWindowError, errnoName, messageOf, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { VfioCall, vfioCallName } from "../syscalls.ts";
import { rows } from "./columns.ts";
import { refusal } from "./refusals.ts";
import type { ContainerTarget, Target } from "./target.ts";

/** Why a call is in doubt that an interface passed over. */
export const SILENCE = "the kernel interface did not say";

/** Which of a program's requests the rows of the columns are: `first` and following, of `count`. */
export interface Among {
  readonly first: number;
  readonly count: number;
  /** What else is known of a row, in words that go behind the memory's address, and in facts. */
  readonly more?: (request: number) => { readonly words: string; readonly facts: Readonly<Record<string, unknown>> };
}

/** The facts of a request, as every refusal of one has them. */
interface RequestFacts extends Readonly<Record<string, unknown>> {
  readonly index: number;
  readonly count: number;
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

export function factsOf(request: number, { first, count, more }: Among): RequestFacts {
  const { vas, iovas, lengths } = rows(request + 1);
  return {
    index: first + request,
    count,
    va: vas[request] ?? NO_ADDRESS,
    iova: iovas[request] ?? NO_ADDRESS,
    length: lengths[request] ?? 0n,
    ...more?.(request).facts,
  };
}

/** The core refused a request before the kernel was asked. */
export function refused(status: number, what: "map" | "unmap", target: Target, among: Among): DmaWindowError {
  const request = core.refusedRequest();
  return refusal(status, {
    what,
    ...factsOf(request, among),
    window: target.window,
    start: target.start,
    size: target.size,
    pageShift: target.pageShift,
    cpuPageSize: target.kernel.pageSize,
    container: target.container,
    forbidden: target.forbidden,
    allowed: target.allowed,
  });
}

/**
 * Why call `index` of the list failed: what the kernel said, or `threw`, what its interface threw in it. The count of all calls
 * stands for none that failed, and an interface that threw all the same.
 */
export function failureOf(index: number, target: Target, among: Among, threw: unknown): unknown {
  if (index >= core.callCount()) return broken("for a batch of which it had made all", {}, threw);
  const call = core.callAt(index);
  const result = core.resultAt(index);
  const syscall = vfioCallName(call);
  const request = core.requestAt(index);
  const facts = factsOf(request, among);
  const about = `${syscall} for ${inWords(facts, among.more?.(request).words)}`;
  if (result === NOT_CALLED) {
    if (threw !== undefined) return broken(about, { syscall, facts }, threw);
    const silent = `the kernel interface neither made ${about} nor said why`;
    return new DmaWindowError("ERR_INTERFACE", silent, { syscall, facts });
  }
  if (result > 0 && call === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY) {
    return new DmaWindowError(
      "ERR_PINNED_PARTLY",
      `${about}: only the first ${result} pages could be locked, and none are now`,
      { syscall, facts: { ...facts, pages: result } },
    );
  }
  const pins = call === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY || target.kind === "type1";
  const locked = lockedFacts(target.kernel, result, pins ? facts.length : undefined);
  return refusedByKernel(syscall, result, {
    about: `${about}${locked.words}`,
    iommu: target.kind,
    files: target.kernel.files,
    facts: { ...facts, ...locked.facts },
  });
}

/**
 * An error of one page of a request, as one of the request: which one it is in words, and in facts besides the error's own. Errors
 * that are not ours pass through.
 */
export function aboutRequest(error: unknown, request: number, among: Among): unknown {
  if (!(error instanceof DmaWindowError)) return error;
  const { code, message, syscall, errno, facts: own, cause } = error;
  const { iova, ...facts } = factsOf(request, among);
  const { index, count, va, length } = facts;
  const place = iova === NO_ADDRESS ? {} : { iova }; // left out where nobody chose one
  const which = count === 1 ? "" : ` (request ${index} of ${count})`;
  const about = `cannot map ${bytes(length)} of memory at ${hex(va)}${among.more?.(request).words ?? ""}${which}`;
  return new DmaWindowError(code, `${about}: ${message}`, {
    facts: { ...facts, ...place, ...own },
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function inWords({ index, count, va, iova, length }: RequestFacts, more = ""): string {
  const which = count === 1 ? "" : ` (request ${index} of ${count})`;
  return `${bytes(length)} of memory at ${hex(va)}${more}${which} at IOVA ${hex(iova)}`;
}

/** What an interface threw, with the call's words and facts where it has no code of its own. */
function broken(about: string, more: { syscall?: string; facts?: object }, threw: unknown): unknown {
  if (!(threw instanceof DmaWindowError) || threw.code !== "ERR_INTERFACE") return threw;
  return new DmaWindowError(
    "ERR_INTERFACE",
    `the kernel interface threw before it answered ${about}: ${messageOf(threw.cause)}`,
    {
      ...(more as object),
      cause: threw.cause,
    },
  );
}

interface Locked {
  /** ` (10 MiB are locked, of at most 12 MiB; 4 MiB more were asked for)` */
  readonly words: string;
  readonly facts: { readonly lockedMemory?: object };
}

/**
 * How much was locked, and may be, when the kernel answered ENOMEM. `needed` is what the call would have locked, where that is
 * known. Nothing for another answer, or where nobody says.
 */
export function lockedFacts(kernel: Syscalls, answer: number, needed?: bigint): Locked {
  if (answer >= 0 || errnoName(answer) !== "ENOMEM") return { words: "", facts: {} };
  try {
    const { limit, used, privileged } = kernel.lockedMemory();
    const lockedMemory = { limit, used, privileged, ...(needed === undefined ? {} : { needed }) };
    if (limit === null || privileged) return { words: "", facts: { lockedMemory } };
    const more = needed === undefined ? "" : `, ${bytes(needed)} more asked for`;
    return { words: ` (locked are ${bytes(used)} of at most ${bytes(limit)}${more})`, facts: { lockedMemory } };
  } catch {
    return { words: "", facts: {} }; // the numbers are a help; that they cannot be had must not hide the error itself
  }
}

/** The error for calls of the list, UNREGISTER all, that failed; undefined when there are none. */
export function stillRegistered(
  calls: readonly number[],
  target: ContainerTarget,
  threw: unknown,
): DmaWindowError | undefined {
  const [first] = calls;
  if (first === undefined) return undefined;
  const syscall = "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY";
  const { va, length } = registrationOf(first);
  const facts = { va, length };
  const result = core.resultAt(first);
  const { message, ...more } =
    result === NOT_CALLED
      ? unanswered(syscall, threw)
      : refusedByKernel(syscall, result, { iommu: target.kind, files: target.kernel.files, facts });
  const error = new DmaWindowError("ERR_STILL_REGISTERED", message, { facts, ...more });
  const left = calls.map((call) => {
    const { va, length } = registrationOf(call);
    return locked(va, length, core.resultAt(call) === NOT_CALLED ? threw : undefined);
  });
  return withResidue(error, left) as DmaWindowError;
}

function unanswered(syscall: string, threw: unknown): { message: string; syscall: string; cause?: unknown } {
  if (threw === undefined) return { message: `the kernel interface neither made ${syscall} nor said why`, syscall };
  return { message: asOurs(threw).message, syscall, cause: threw };
}

/** The registration that UNREGISTER number `call` of the list is for: not always that of a whole request, nor of one. */
export function registrationOf(call: number): { readonly va: bigint; readonly length: bigint } {
  const [va = 0n, length = 0n] = core.u64(core.structAt(call) + 8, 2); // struct vfio_iommu_spapr_register_memory
  return { va, length };
}

/** `doubt` is what was thrown where nobody knows; so in the next two. */
export function describeMemory(request: number, doubt?: unknown): string {
  const { vas, lengths } = rows(request + 1);
  return locked(vas[request] ?? NO_ADDRESS, lengths[request] ?? 0n, doubt);
}

function locked(va: bigint, length: bigint, doubt: unknown): string {
  const memory = `${bytes(length)} of memory at ${hex(va)}`;
  return doubt === undefined
    ? `${memory} are still registered (locked)`
    : `${memory} may still be registered (${messageOf(doubt)})`;
}

/** Says of a request that a device still reaches its memory, or may. */
export function stillMapped(request: number, doubt?: unknown): string {
  return doubt === undefined
    ? `${describe(request)} is still mapped`
    : `${describe(request)} may still be mapped (${messageOf(doubt)})`;
}

export function describe(request: number): string {
  const { iovas, lengths } = rows(request + 1);
  return `${bytes(lengths[request] ?? 0n)} at IOVA ${hex(iovas[request] ?? NO_ADDRESS)}`;
}
