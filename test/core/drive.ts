/** Maps and unmaps through the core as its user makes them, with the kernel's twin behind the calls. */
import { type Core, NO_ADDRESS, NOT_CALLED, Owner, Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { largestHole } from "../reference/holes.ts";
import { KernelTwin } from "../reference/kernel.ts";
import { type Batch, type PlannedCall, planMaps, planUndo, planUnmaps, type Request } from "../reference/requests.ts";
import type { Twin } from "../reference/twin.ts";
import type { Run } from "../reference/window.ts";
import { WindowTwin } from "../reference/window.ts";
import { agree, same } from "./support.ts";

/** The kernel's answer to a call in place of its own: calls that are not to fail give `undefined`. */
export type Answer = (index: number, call: number) => number | undefined | WrongSize;

/**
 * UNMAP, answered with 0 though the kernel took away `size` bytes only: nothing at all, as version 1 of type1 does where a
 * map would be cut, or (`gone`) because somebody else had taken it away before.
 */
export interface WrongSize {
  readonly size: bigint;
  readonly gone: boolean;
}

/** Where the memory of {@link requestsIn} begins. */
export const MEMORY = 1n << 40n;

/**
 * What makes requests by number of page: `pages` of the window's from its page `page` on, to as many of the memory from its page
 * `memory` on. Both ways.
 */
export function requestsIn({
  start,
  pageShift,
}: WindowShape): (page: number, pages?: number, memory?: number) => Request {
  const bytes = (pages: number): bigint => BigInt(pages) << BigInt(pageShift);
  return (page, pages = 1, memory = page) => ({
    va: MEMORY + bytes(memory),
    iova: start + bytes(page),
    length: bytes(pages),
    permission: 3,
  });
}

const obey: Answer = () => undefined;

export interface WindowShape {
  readonly start: bigint;
  readonly size: bigint;
  readonly pageShift: number;
}

/** A container with windows, once in the core and once as the kernel has it: an sPAPR one, unless its twin is another. */
export class Bench<Kernel extends Twin = KernelTwin> {
  readonly core: Core;
  readonly container: number;
  readonly windows: number[];
  readonly kernel: Kernel;
  #wrong: number[] = [];

  /** On an IOMMU whose twin `make` makes. */
  static on<Kernel extends Twin>(
    core: Core,
    make: (windows: WindowTwin[]) => Kernel,
    ...shapes: WindowShape[]
  ): Bench<Kernel> {
    return new Bench<Kernel>(core, 12, shapes, make);
  }

  static spapr(core: Core, cpuPageShift: number, ...shapes: WindowShape[]): Bench {
    return new Bench(core, cpuPageShift, shapes, (windows) => new KernelTwin(cpuPageShift, windows));
  }

  private constructor(
    core: Core,
    cpuPageShift: number,
    shapes: readonly WindowShape[],
    make: (windows: WindowTwin[]) => Kernel,
  ) {
    this.core = core;
    this.kernel = make(shapes.map(({ start, size, pageShift }) => new WindowTwin(start, size, pageShift)));
    this.container = core.containerOpen(cpuPageShift, this.kernel.iommu);
    this.windows = shapes.map(({ start, size, pageShift }) => core.windowOpen(this.container, start, size, pageShift));
    for (const handle of [this.container, ...this.windows]) {
      if (handle <= 0) throw new Error(`the core refused to open: ${handle}`);
    }
  }

  handle(window: number): number {
    return this.windows[window] as number;
  }

  twin(window: number): WindowTwin {
    return this.kernel.windows[window] as WindowTwin;
  }

  reserve(window: number, iova: bigint, length: bigint): void {
    agree(this.core.windowReserve(this.handle(window), iova, length), Status.OK, () => "windowReserve");
    for (const page of this.twin(window).pages(iova, length)) this.twin(window).reserved.add(page);
  }

  /**
   * Maps a batch and gives its status. `answer` and `undoAnswer` may refuse calls. The calls must be the twin's, and
   * the tables must say in the end what the kernel has.
   */
  map(requests: readonly Request[], options: MapOptions = {}): number {
    const { window = 0, owner = Owner.PROGRAM, answer = obey, undoAnswer = obey } = options;
    const { core } = this;
    const batch = planMaps(this.kernel, window, requests, owner);
    fill(core, requests);
    const status = core.prepareMaps(this.handle(window), requests.length, owner);
    this.#sameBatch(batch, status);
    if (status !== Status.OK) return status;
    same(
      [...core.u64(core.iovaColumn(), requests.length)],
      batch.requests.map((request) => request.iova),
      () => "the IOVAs of the requests",
    );
    for (const request of batch.requests) this.kernel.direct?.map(this.twin(window), request);

    const done = this.#run(0, answer);
    agree(core.collectMaps(), done === batch.calls.length ? 1 : 0, () => "collectMaps");
    if (done !== batch.calls.length) {
      core.prepareUndo();
      sameCalls(core, planUndo(batch, done));
      this.#runAll(undoAnswer);
      core.collectUndo(this.handle(window));
    }
    const mapped = this.#mappedOf(window, batch.requests);
    agree(core.settleMaps(this.handle(window)), mapped.filter(Boolean).length, () => "settleMaps");
    for (const [i, each] of mapped.entries()) agree(core.leftMapped(i), each ? 1 : 0, () => `leftMapped(${i})`);
    this.check();
    return status;
  }

  unmap(requests: readonly Request[], options: Omit<MapOptions, "undoAnswer"> = {}): number {
    const { window = 0, owner = Owner.PROGRAM, answer = obey } = options;
    const { core } = this;
    const batch = planUnmaps(this.kernel, window, requests, owner);
    fill(core, requests);
    const status = core.prepareUnmaps(this.handle(window), requests.length, owner);
    this.#sameBatch(batch, status);
    if (status !== Status.OK) return status;
    for (const request of requests) this.kernel.direct?.unmap(this.twin(window), request);

    const wrong = this.#runAll(answer);
    const found: number[] = [];
    for (let at = core.wrongUnmap(0); at < core.callCount(); at = core.wrongUnmap(at + 1)) found.push(at);
    same(found, wrong, () => "the calls that unmapped another length");
    const unmapped = this.#mappedOf(window, requests).filter((mapped) => !mapped).length;
    agree(core.settleUnmaps(this.handle(window)), unmapped, () => "settleUnmaps");
    this.check();
    return status;
  }

  /** Ends the registrations of which nothing is mapped. */
  endIdle(answer: Answer = obey): void {
    agree(this.core.prepareIdle(this.container), Status.OK, () => "prepareIdle");
    this.#runAll(answer);
    agree(this.core.settleIdle(this.container), Status.OK, () => "settleIdle");
    this.check();
  }

  /** Unmaps all, ends all registrations, and closes the windows and the container. */
  close(): void {
    for (const [index, window] of this.kernel.windows.entries()) {
      const runs = window.runs();
      if (runs.length > 0)
        agree(this.unmap(runs, { window: index, owner: Owner.WINDOW }), Status.OK, () => "unmap all");
    }
    this.endIdle();
    agree(this.core.containerRegistrations(this.container), 0, () => "registrations after unmapping all");
    for (const window of this.windows) agree(this.core.windowClose(window), Status.OK, () => "windowClose");
    agree(this.core.containerClose(this.container), Status.OK, () => "containerClose");
  }

  /** Fails unless the core's tables say what the kernel has. */
  check(): void {
    const { core, kernel } = this;
    agree(core.containerRegistrations(this.container), kernel.pieces, () => "containerRegistrations");
    agree(core.containerHasIdle(this.container), kernel.hasIdle() ? 1 : 0, () => "containerHasIdle");
    for (const [index, twin] of kernel.windows.entries()) {
      const window = this.handle(index);
      const runs = twin.runs();
      agree(core.windowLiveTces(window), BigInt(twin.memoryAt.size), () => "windowLiveTces");
      same(listAll(core, window, twin.start), runs, () => `what is mapped in window ${index}`);
      for (const run of runs) checkEdges(core, window, twin, run);
      if (twin.size / twin.page <= 4096n) {
        const hole = BigInt(largestHole(twin.free())) * twin.page;
        agree(core.windowLargestHole(window), hole, () => "windowLargestHole");
      }
    }
  }

  #sameBatch(batch: Batch, status: number): void {
    agree(status, batch.status, () => "the batch's status");
    if (status === Status.OK) {
      sameCalls(this.core, batch.calls);
    } else {
      agree(this.core.refusedRequest(), batch.refused, () => "the request that is refused");
      this.check();
    }
  }

  #mappedOf(window: number, requests: readonly Request[]): boolean[] {
    return requests.map(({ va, iova }) => this.twin(window).memoryAt.get(iova) === va);
  }

  /** Makes the calls from `from` on, until one is not answered with 0. The index of that one, or of the end. */
  #run(from: number, answer: Answer): number {
    const { core } = this;
    const total = core.callCount();
    for (let index = from; index < total; index++) {
      const call = core.callAt(index);
      const at = core.structAt(index);
      const result = this.#answerTo(index, call, core.bytes().subarray(at, at + 40), answer);
      new DataView(core.memory.buffer).setInt32(core.callTable() + index * 16 + 8, result, true);
      agree(core.resultAt(index), result, () => "resultAt");
      if (result !== 0) return index;
    }
    return total;
  }

  /** The answer to a call: the kernel reads and writes the struct in place. */
  #answerTo(index: number, call: number, struct: Uint8Array, answer: Answer): number {
    const instead = answer(index, call);
    if (typeof instead === "number") return instead;
    if (instead === undefined || call !== VfioCall.IOMMU_UNMAP_DMA) return this.kernel.execute(call, struct);
    if (instead.gone) this.kernel.execute(call, struct);
    new DataView(struct.buffer, struct.byteOffset).setBigUint64(16, instead.size, true);
    this.#wrong.push(index);
    return 0;
  }

  /** Makes all calls, and goes on behind those that fail. The UNMAPs that were answered with a wrong size. */
  #runAll(answer: Answer): number[] {
    this.#wrong = [];
    let at = 0;
    while (at < this.core.callCount()) {
      at = this.#run(at, answer);
      if (at < this.core.callCount()) at = this.core.afterFailure(at);
    }
    return this.#wrong;
  }
}

export interface MapOptions {
  readonly window?: number;
  readonly owner?: number;
  readonly answer?: Answer;
  readonly undoAnswer?: Answer;
}

/** Writes the requests into the core's columns. */
export function fill(core: Core, requests: readonly Request[]): void {
  const total = requests.length;
  if (core.reserveRequests(total) !== 1) throw new Error("no room for the requests");
  core.u64(core.vaColumn(), total).set(requests.map((request) => request.va));
  core.u64(core.iovaColumn(), total).set(requests.map((request) => request.iova));
  core.u64(core.lengthColumn(), total).set(requests.map((request) => request.length));
  core.u32(core.permissionColumn(), total).set(requests.map((request) => request.permission ?? 0));
}

/** Fails unless the core has written exactly these calls, byte by byte, and none is marked as made. */
export function sameCalls(core: Core, calls: readonly PlannedCall[]): void {
  const written = Array.from({ length: core.callCount() }, (_, index) => {
    const [entry, at] = [core.callTable() + index * 16, core.structAt(index)];
    const view = new DataView(core.memory.buffer);
    // The kernel's own reading of the table and of the struct, so what the shim goes through and no more.
    agree(view.getUint32(entry, true), core.callAt(index), () => "callAt");
    agree(view.getUint32(entry + 4, true), at, () => "structAt");
    agree(view.getInt32(entry + 8, true), NOT_CALLED, () => `the result of call ${index} before it is made`);
    agree(core.resultAt(index), NOT_CALLED, () => "resultAt");
    agree(at % 8, 0, () => "alignment of a struct");
    const struct = core.bytes().slice(at, at + view.getUint32(at, true));
    return { request: core.requestAt(index), call: core.callAt(index), struct: Buffer.from(struct).toString("hex") };
  });
  const expected = calls.map(({ request, call, struct }) => ({
    request,
    call,
    struct: Buffer.from(struct).toString("hex"),
  }));
  same(written, expected, () => "the calls that are written");
}

/** What is mapped in a window, asked for a few runs at a time. */
export function listAll(core: Core, window: number, start: bigint): Run[] {
  const limit = 7;
  const runs: Run[] = [];
  core.reserveRequests(limit);
  for (let from = start; ; ) {
    const rows = core.listMaps(window, from, limit);
    const vas = core.u64(core.vaColumn(), rows);
    const iovas = core.u64(core.iovaColumn(), rows);
    const lengths = core.u64(core.lengthColumn(), rows);
    for (let i = 0; i < rows; i++) {
      runs.push({ va: vas[i] as bigint, iova: iovas[i] as bigint, length: lengths[i] as bigint });
    }
    const last = runs.at(-1);
    if (rows < limit || !last) return runs;
    from = BigInt.asUintN(64, last.iova + last.length);
    if (core.windowContains(window, from, 1n) === 0) return runs;
  }
}

/** Asks for the first and last byte of a run and for those just outside, in both directions. */
function checkEdges(core: Core, window: number, twin: WindowTwin, { va, iova, length }: Run): void {
  for (const offset of [-1n, 0n, length - 1n, length]) {
    const [atVa, atIova] = [BigInt.asUintN(64, va + offset), BigInt.asUintN(64, iova + offset)];
    agree(core.windowTranslate(window, atVa), twin.translate(atVa), () => `translate 0x${atVa.toString(16)}`);
    const reverse = twin.contains(atIova, 1n) ? twin.reverse(atIova) : NO_ADDRESS;
    agree(core.windowReverse(window, atIova), reverse, () => `reverse 0x${atIova.toString(16)}`);
  }
}
