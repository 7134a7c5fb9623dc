/** Findings while a program runs: what its calls and its memory say of each other. The rules stand in the files beside. */
import { ERRNO } from "../../errno.ts";
import { hex } from "../../hex.ts";
import type { IovaEvent, ModelKernel } from "../../model/index.ts";
import { bytesOf, PAGES_OF_ADDRESS_SPACE, pageOf } from "../../model/pages.ts";
import { IommuType, VfioCall } from "../../syscalls.ts";
import type { GivenBack } from "../changes.ts";
import type { DeviceAccess } from "../devices.ts";
import type { GivenFile } from "../given-files.ts";
import type { CallWitness, ProgramCall } from "../ioctls.ts";
import type { Program } from "../program.ts";
import type { TransferWitness } from "../transfers.ts";
import { answerText, CallRecord } from "./call-record.ts";
import { judgeCharges, judgeNeverUnmapped, judgeRegistered, judgeUnheeded } from "./end-rules.ts";
import type { Finding, Found } from "./finding.ts";
import type { LiveMap } from "./live-maps.ts";
import { StaleMemories } from "./stale-memory.ts";
import { ContainerState, RegisteredMemory, type Unheeded } from "./state.ts";
import { judgeMeant, judgeUnmap } from "./unmap-rules.ts";
import { addressesOf, madeBy, named, reached } from "./words.ts";

const EEXIST_WHY =
  "other memory is mapped there, and stays so; the program went on as if its own were. UNMAP what is there first, or choose another IOVA.";

/** VFIO_DMA_UNMAP_FLAG_ALL and _VADDR, of type1. */
const UnmapFlag = { ALL: 2n, VADDR: 4n };

/** Where a thread was, innermost first. */
export type Unwind = (thread: number, instruction: bigint) => readonly string[];

/**
 * Looks at what a program does with DMA, and says what is wrong with it. It keeps an account of its own: which MAP made which IOVA live,
 * which REGISTER what memory; what becomes of IOVAs the model tells.
 */
export class Sanitizer implements CallWitness, TransferWitness {
  readonly findings: Finding[] = [];
  /** Calls of VFIO that programs made. */
  calls = 0;
  readonly #tell: (finding: Finding) => void;
  readonly #unwind: Unwind;
  readonly #containers = new Map<number, ContainerState>();
  readonly #registered = new Map<Program, RegisteredMemory>();
  readonly #unheeded: Unheeded[] = [];
  readonly #said = new Set<string>();
  readonly #machine: ModelKernel;
  readonly #stale = new StaleMemories();
  /** Of the call under way. */
  #record: CallRecord | undefined;
  #events: IovaEvent[] = [];

  constructor(machine: ModelKernel, tell: (finding: Finding) => void, unwind: Unwind) {
    this.#tell = tell;
    this.#unwind = unwind;
    this.#machine = machine;
    machine.watch((event) => this.#events.push(event));
  }

  asked(call: ProgramCall): void {
    this.#events = [];
    const container = call.file.kind === "container" ? this.#containers.get(call.file.number) : undefined;
    this.#record = new CallRecord(++this.calls, call, container?.isSpapr ?? false);
  }

  answered({ program, file, call, argument, struct }: ProgramCall, answer: number): void {
    const record = this.#record as CallRecord;
    record.answer = answer;
    const lost = this.#lost();
    if (file.kind !== "container") {
      if (lost.length > 0) this.#add(judgeNeverUnmapped(lost, "The group left its container"), record);
      return;
    }
    const container = this.#containerOf(file);
    switch (call) {
      case VfioCall.IOMMU_MAP_DMA:
        this.#mapped(container, program, record);
        if (container.isSpapr) this.#judgeWindow(container, program, record);
        break;
      case VfioCall.IOMMU_UNMAP_DMA:
        this.#unmapped(container, program, record, lost, struct?.getBigUint64(16, true) ?? 0n);
        break;
      case VfioCall.IOMMU_SPAPR_REGISTER_MEMORY:
        if (container.isSpapr) this.#register(container, program, record);
        break;
      case VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY:
        if (container.isSpapr) this.#unregister(container, program, record);
        break;
      case VfioCall.SET_IOMMU:
        if (answer === 0) container.isSpapr = argument === IommuType.SPAPR_TCE_V2 || argument === IommuType.SPAPR_TCE;
        break;
      case VfioCall.IOMMU_SPAPR_TCE_CREATE:
      case VfioCall.IOMMU_SPAPR_TCE_REMOVE:
        container.windows = windowsOf(program, file.number);
    }
  }

  notModelled(_call: ProgramCall, why: string): void {
    const record = this.#record as CallRecord;
    record.answer = -ERRNO.EOPNOTSUPP;
    this.#add(
      [{ kind: "not-modelled", message: `${record.text}: ${why}`, addresses: [], calls: [record.text] }],
      record,
    );
  }

  transferNotModelled(what: string, why: string, thread: number, instruction: bigint): void {
    const message = `A ${what}: ${why}`;
    this.#addAll([{ kind: "not-modelled", message, addresses: [], calls: [] }], this.#unwind(thread, instruction));
  }

  /** A process is about to lose memory, or what it may be used for. What of it devices reach, and go on to. */
  givenBack(
    program: Program,
    { start, end, how, protection }: GivenBack,
    thread: number,
    instruction: bigint,
  ): readonly LiveMap[] {
    const reachedStill: LiveMap[] = [];
    for (const container of this.#containers.values()) {
      // Memory that a MAP failed for, and that is not used any more.
      container.heeded(({ call }) => call.field("vaddr") >= start && call.field("vaddr") < end);
      const maps = container.maps
        .leadingTo(program, pageOf(start), pageOf(end))
        .filter(
          ({ read, write }) =>
            !protection || (write && !protection.write) || (read && !protection.read && !protection.write),
        );
      if (maps.length === 0) continue;
      const last = container.takeLastUnmap(program);
      const wrong = judgeMeant(last, maps, { text: how, call: -1 });
      const remedy = protection
        ? "The device goes on to use it as before: UNMAP it first, or map it as it may be used."
        : "The device goes on to reach the pages that were there, which the program has not any more: UNMAP first.";
      const found: Found = {
        kind: "given-back-while-reachable",
        message: `Memory goes by ${how} while the device reaches it at ${reached(maps)}. ${remedy}`,
        addresses: addressesOf(maps),
        calls: [...madeBy(maps), ...(last ? [last.call.text] : [])],
      };
      const stack = this.#unwind(thread, instruction);
      this.#addAll([...wrong, found], stack);
      // Memory that is protected otherwise is there still.
      if (protection !== undefined) continue;
      reachedStill.push(...maps);
      this.#stale.add(container, maps, how, stack);
    }
    return reachedStill;
  }

  /** A device moved data, or wanted to. */
  accessed(access: DeviceAccess): void {
    const { name, group, way, iova, length, unknown, isPhysical } = access;
    if (isPhysical) {
      const message = `The device ${name} ${way === "read" ? "reads" : "writes"} physical memory, and moves nothing: without an IOMMU nobody here knows whose memory it is.`;
      this.#addAll([{ kind: "not-modelled", message, addresses: [], calls: [] }], []);
      return;
    }
    if (length === 0 || (this.#stale.isEmpty && unknown === undefined)) return;
    const [start, end] = pagesOf(iova, BigInt(length));
    const leadsTo = (page: number) => {
      const reached = this.#machine.tceAt(group, bytesOf(page));
      return reached === undefined ? undefined : pageOf(reached.va);
    };
    const found = this.#stale.judge(access, start, end, leadsTo);
    for (const { stack, ...one } of found) this.#addAll([one], stack);
    if (found.length > 0 || unknown === undefined) return;
    const message = `The device ${name} ${way === "read" ? "read" : "wrote"} IOVA ${hex(iova)}, where nobody knows what it finds: ${unknown}. UNMAP before memory goes.`;
    this.#addAll([{ kind: "stale-access", message, addresses: [{ iova, length: BigInt(length) }], calls: [] }], []);
  }

  /** Files have been closed, for the last time. */
  closed(files: readonly GivenFile[], how: string): void {
    const lost = this.#lost();
    this.#addAll(judgeNeverUnmapped(lost, how), []);
    for (const file of files) {
      const container = file.kind === "container" ? this.#containers.get(file.number) : undefined;
      if (container === undefined) continue;
      for (const memory of this.#registered.values()) this.#addAll(judgeRegistered(memory.takeAllOf(container)), []);
      this.#unheeded.push(...container.unheeded);
      container.unheeded = [];
      container.isClosed = true;
      this.#forgetIfGone(container);
    }
  }

  /** A group that is open keeps its container, and all that is mapped there. (`drivers/vfio/container.c: vfio_container_get`) */
  #forgetIfGone(container: ContainerState): void {
    if (!container.isClosed || container.maps.all.length > 0) return;
    this.#stale.closed(container);
    this.#containers.delete(container.file.number);
  }

  /** A process has ended; the model's has not yet. */
  ended(program: Program): void {
    this.#addAll(judgeCharges(program.kernel.snapshot()), []);
    this.#registered.delete(program);
  }

  /** The program has ended. Who says that it failed has not ignored what failed. */
  finish(hasSucceeded: boolean): void {
    const left = [...this.#unheeded, ...[...this.#containers.values()].flatMap(({ unheeded }) => unheeded)];
    if (hasSucceeded) this.#addAll(judgeUnheeded(left), []);
  }

  /** A MAP that begins in a window and ends behind it: this kernel does not look at its end. */
  #judgeWindow(container: ContainerState, program: Program, record: CallRecord): void {
    const [start, end] = pagesOf(record.field("iova"), record.field("size"));
    // The default window is made by the first call that needs it.
    if (container.windows.length === 0) container.windows = windowsOf(program, container.file.number);
    const window = container.windows.find((one) => one.start <= start && start < one.end);
    if (window === undefined || end <= window.end) return;
    const message =
      `MAP of IOVA ${named(start, end)} ends behind its window, which is ${named(window.start, window.end)}. ` +
      "Where this kernel lets it pass, it writes behind the window's table: map no further than the window's end.";
    const addresses = [{ va: record.field("vaddr"), iova: record.field("iova"), length: record.field("size") }];
    this.#add([{ kind: "past-window-end", message, addresses, calls: [record.text] }], record);
  }

  #mapped(container: ContainerState, program: Program, call: CallRecord): void {
    const [start, end] = pagesOf(call.field("iova"), call.field("size"));
    const page = pageOf(call.field("vaddr"));
    const registration = this.#memoryOf(program).at(page);
    if (call.answer !== 0) {
      if (registration !== undefined) registration.failed ??= call;
      const why =
        call.answer === -ERRNO.EEXIST
          ? EEXIST_WHY
          : `nothing was mapped (${answerText(call.answer)}), and the program went on. Look at what MAP answers.`;
      container.unheeded.push({ call, program, why, start, end });
      return;
    }
    if (registration !== undefined) registration.mapped = true;
    const flags = call.field("flags");
    const map = { start, end, page, read: (flags & 1n) !== 0n, write: (flags & 2n) !== 0n, program, call };
    container.maps.add(map);
    container.heeded((one) => (one.start < end && start < one.end) || one.call.field("vaddr") === call.field("vaddr"));
  }

  #unmapped(
    container: ContainerState,
    program: Program,
    call: CallRecord,
    cleared: readonly LiveMap[],
    unmapped: bigint,
  ): void {
    const flags = container.isSpapr ? 0n : call.field("flags");
    // What is mapped stays so, and only the addresses behind it go. (`drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_unmap`)
    if (call.answer === 0 && (flags & UnmapFlag.VADDR) !== 0n) return;
    const isAll = (flags & UnmapFlag.ALL) !== 0n;
    const [start, end] = isAll ? [0, PAGES_OF_ADDRESS_SPACE] : pagesOf(call.field("iova"), call.field("size"));
    const unmap = { call, program, start, end, cleared };
    // Nothing else can have been meant by all.
    container.lastUnmap = isAll ? undefined : unmap;
    const found = judgeUnmap(container, unmap);
    this.#add(found, call);
    const isUnmap = (one: Unheeded) => one.call.call === VfioCall.IOMMU_UNMAP_DMA;
    if (call.answer === 0) container.heeded((one) => isUnmap(one) && one.start < end && start < one.end);
    if (call.answer !== 0) {
      const why = `nothing was unmapped (${answerText(call.answer)}), and the program went on. Look at what UNMAP answers.`;
      container.unheeded.push({ call, program, why, start, end });
    } else if (!container.isSpapr && unmapped === 0n && cleared.length === 0 && found.length === 0) {
      const why =
        "it gave 0 back as the size that was unmapped: nothing was mapped there, and the program went on. Look at the size.";
      container.unheeded.push({ call, program, why, start, end });
    }
  }

  #register(container: ContainerState, program: Program, call: CallRecord): void {
    const [start, end] = pagesOf(call.field("vaddr"), call.field("size"));
    if (call.answer === 0) {
      this.#memoryOf(program).add({ start, end, call, container, mapped: false, failed: undefined });
      container.heeded((one) => one.call.field("vaddr") === call.field("vaddr"));
      return;
    }
    const why =
      call.answer > 0
        ? `it is no success: only so many pages could be pinned, and none is registered. The program went on. A REGISTER has gone well only where it answers 0.`
        : `nothing was registered (${answerText(call.answer)}), and the program went on. Look at what REGISTER answers.`;
    container.unheeded.push({ call, program, why, start, end });
  }

  #unregister(container: ContainerState, program: Program, call: CallRecord): void {
    const [start, end] = pagesOf(call.field("vaddr"), call.field("size"));
    if (call.answer !== 0) return;
    container.heeded((one) => one.call.field("vaddr") === call.field("vaddr"));
    const registration = this.#memoryOf(program).take(start, end);
    const left = container.maps.leadingTo(program, start, end);
    const last = container.takeLastUnmap(program);
    if (left.length > 0) {
      this.#add(judgeMeant(last, left, call), call);
      const message =
        `Memory is unregistered while the device reaches it at ${reached(left)}: it stays pinned until the machine is started again, and nobody can register it anew. ` +
        "UNMAP before UNREGISTER.";
      this.#add([{ kind: "zombie", message, addresses: addressesOf(left), calls: [...madeBy(left), call.text] }], call);
    } else if (registration !== undefined && !registration.mapped && registration.failed === undefined) {
      this.#add(judgeRegistered([registration]), call);
    }
  }

  /** What is not live any more, by what the model told since the call was asked. */
  #lost(): LiveMap[] {
    const events = this.#events;
    this.#events = [];
    return events.flatMap(({ container, iova, length }) => {
      const [start, end] = pagesOf(iova, length);
      const state = this.#containers.get(container);
      const removed = state?.maps.remove(start, end) ?? [];
      if (state?.isClosed) this.#forgetIfGone(state);
      return removed;
    });
  }

  #containerOf(file: GivenFile): ContainerState {
    const known = this.#containers.get(file.number) ?? new ContainerState(file);
    this.#containers.set(file.number, known);
    return known;
  }

  #memoryOf(program: Program): RegisteredMemory {
    const known = this.#registered.get(program) ?? new RegisteredMemory();
    this.#registered.set(program, known);
    return known;
  }

  #add(found: readonly Found[], { thread, instruction }: CallRecord): void {
    if (found.length > 0) this.#addAll(found, this.#unwind(thread, instruction));
  }

  /** The same thing at the same place is said once. */
  #addAll(found: readonly Found[], stack: readonly string[]): void {
    for (const one of found) {
      const key = `${one.kind} ${one.addresses.map(({ va, iova, length }) => `${va} ${iova} ${length}`).join()} ${one.message}`;
      if (this.#said.has(key)) continue;
      this.#said.add(key);
      const finding = { ...one, stack };
      this.findings.push(finding);
      this.#tell(finding);
    }
  }
}

function pagesOf(start: bigint, length: bigint): [number, number] {
  return [pageOf(start), pageOf(start + length + 4095n)];
}

function windowsOf({ kernel }: Program, container: number): { start: number; end: number }[] {
  const found = kernel.snapshot().containers.find(({ id }) => id === container);
  return (found?.windows ?? []).map(({ start, size }) => ({ start: pageOf(start), end: pageOf(start + size) }));
}

/** For a line on a terminal. */
export function summaryOf(findings: readonly Finding[]): string {
  const kinds = new Map<string, number>();
  for (const { kind } of findings) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => `${kind}: ${count}`).join(", ");
}
