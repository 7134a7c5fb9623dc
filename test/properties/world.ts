/** One process on a software kernel, with everything that a random program can reach, and what should be there beside it. */
import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";
import { hex } from "../../src/hex.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type Fault, type FaultyKernel, faulty } from "../../src/model/faults.ts";
import { type ModelKernel, type ModelSnapshot, modelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { GROUND_END, HUGE, layOut, OWN, SMALL } from "./ground.ts";
import { Guard, type Stretch } from "./guard.ts";
import { Pagemap } from "./pagemap.ts";
import { type Left, readResidue } from "./residue.ts";
import { addressOf, type Entry, pageOf, Seat, TableTwin } from "./twins.ts";

export interface Kind {
  readonly platform: "powernv" | "pseries" | "type1" | "noiommu";
  /** type1: 1 for a kernel without v2. */
  readonly iommuVersion?: 1 | 2;
  /** Bytes of a page of the CPU. */
  readonly pageSize: 4096 | 65536;
}

/** `powernv-4096` */
export function nameOfKind({ platform, pageSize }: Kind): string {
  return `${platform}-${pageSize}`;
}

/** What a test may put between the faults and the kernel: a trace, or a kernel that lies. */
export type Between = (kernel: Syscalls, model: ModelKernel) => Syscalls;

/** Two for containers of their own, and one that can join another. */
export const GROUPS: readonly number[] = [26, 27, 28];

export const AMPLE = 1n << 44n;

/** Whether a call may take a live page away. */
export type Owns = (seat: Seat, iovaPage: number, entry: Entry) => boolean;

/** What a step came to: the error, if there was one, and what it says is left. */
export interface Outcome {
  readonly done: boolean;
  /** `undefined` where it went well, or an argument was refused. */
  readonly error: DmaWindowError | undefined;
  readonly left: readonly Left[];
  /** `done`, or the error's code, for counting. */
  readonly word: string;
}

export class World {
  readonly kind: Kind;
  readonly model: ModelKernel;
  readonly guard: Guard;
  readonly kernel: FaultyKernel;
  /** What the library is given: the same, or what a test puts in front of it. */
  readonly front: Syscalls;
  readonly seats = [new Seat(26), new Seat(27)] as const;
  tables: TableTwin[] = [];
  /** Address space that an error said was not given back. */
  readonly spaceLeft: { readonly start: number; readonly end: number }[] = [];
  /** Bytes of each charge that an error of this step said to stay. */
  readonly charged: bigint[] = [];
  readonly small = SMALL;
  readonly huge = HUGE;
  readonly own = OWN;
  /** Bytes of a hugepage. */
  readonly hugePage: bigint;
  /** Bytes of a page of `own`. */
  readonly ownPage: bigint;
  /** What is free of them while no table has any. */
  readonly hugepages: ModelSnapshot["hugepages"];
  /** The model as it was after the last step. */
  seen: ModelSnapshot;
  /** Live pages that went away and should not have, in sentences. */
  readonly lost: string[] = [];
  /** A call that the kernel refuses for some more steps. */
  badTimes: (Fault & { readonly steps: number }) | undefined;
  /** For some more steps the kernel says only so many times where memory lies. */
  silence: { readonly times: number; readonly steps: number } | undefined;
  /** What a failing program prints; `undefined` when nobody will read it. */
  lines: string[] | undefined;
  #tables = 0;
  #armed: readonly Fault[] = [];
  readonly #pagemap: Pagemap;

  constructor(
    kind: Kind,
    between: Between = (kernel) => kernel,
    inFront: (kernel: Syscalls) => Syscalls = (kernel) => kernel,
  ) {
    this.kind = kind;
    const few = kind.platform === "type1" ? { dmaEntryLimit: 40 } : {};
    // Only root may use devices that reach all memory.
    const lockedMemory = { limit: AMPLE, privileged: this.isBare };
    this.model = modelKernel({ ...kind, ...few, groups: GROUPS, lockedMemory });
    this.guard = new Guard(this.model);
    this.guard.mapsNothing = this.isBare;
    this.guard.reached = (page, pages) => this.#reachedIn(page, pages);
    if (!this.isSpapr) this.guard.planned = (group) => this.#windowsOf(group);
    this.#pagemap = new Pagemap(between(this.guard, this.model));
    this.kernel = faulty(this.#pagemap);
    this.front = inFront(this.kernel);
    this.hugePage = kind.platform === "pseries" ? 16n << 20n : 2n << 20n;
    this.ownPage = this.isBare ? this.hugePage : this.cpuPage;
    layOut(this.model, this.hugePage, this.ownPage);
    this.hugepages = this.model.snapshot().hugepages;
    this.addTable();
    this.addTable();
    this.seen = this.model.snapshot();
  }

  /** False once the process was killed. */
  get isAlive(): boolean {
    const { process, processes } = this.model.snapshot();
    return processes.some(({ id }) => id === process);
  }

  /** Windows and registrations are the kernel's business. On type1 it knows of maps alone. */
  get isSpapr(): boolean {
    return this.kind.platform === "powernv" || this.kind.platform === "pseries";
  }

  /** No IOMMU: IOVAs are physical addresses, maps are the library's tables alone, and only hugepages stay where they are. */
  get isBare(): boolean {
    return this.kind.platform === "noiommu";
  }

  /**
   * What a device may really do with what is mapped with an access (1 read, 2 write). PowerNV lets it read through a map that is
   * for writing only; an LPAR, VT-d since Linux 6.16, and an SMMU do not. Without an IOMMU nobody stops it.
   */
  accessOf(access: number): number {
    const { platform } = this.kind;
    if (platform === "noiommu") return 3;
    return access === 2 && platform === "powernv" ? 3 : access;
  }

  /** Where memory lies, by the kernel's own word; `undefined` where none is there. */
  physicalOf(va: bigint): bigint | undefined {
    const page = (va / this.cpuPage) * this.cpuPage;
    try {
      return (this.model.physicalAddresses(page, 1, this.model.pageSize)[0] ?? 0n) + (va - page);
    } catch (error) {
      if (error instanceof DmaWindowError && error.code === "ERR_PAGE_NOT_PRESENT") return undefined;
      throw error;
    }
  }

  /** The memory that is mapped at an IOVA: the kernel knows. Without an IOMMU only the tables do, and every IOVA leads somewhere. */
  mappedAt(seat: Seat, iovaPage: number): bigint | undefined {
    const iova = addressOf(iovaPage);
    return this.isBare ? seat.windowAt(iovaPage)?.window.vaOf(iova) : this.model.tceAt(seat.group, iova)?.va;
  }

  /** A page of memory in a range that a device has been given, and that it could still reach. */
  #reachedIn(page: number, pages: number): bigint | undefined {
    for (const seat of this.seats)
      for (const [iovaPage, { vaPage }] of seat.live) {
        if (vaPage < page || vaPage >= page + pages) continue;
        if (this.mappedAt(seat, iovaPage) === addressOf(vaPage)) return addressOf(vaPage);
      }
    return undefined;
  }

  #windowsOf(group: number): Stretch[] {
    const windows = this.seats.find((seat) => seat.group === group)?.windows ?? [];
    return windows.map(({ startPage, endPage, unit }) => ({ start: startPage, end: endPage, unit }));
  }

  /** RLIMIT_MEMLOCK. */
  get limit(): bigint {
    return this.model.lockedMemory().limit ?? AMPLE;
  }

  /** Memory that the program has had from the beginning. */
  isGround(vaPage: number): boolean {
    return vaPage < pageOf(GROUND_END);
  }

  get cpuPage(): bigint {
    return BigInt(this.kind.pageSize);
  }

  addTable(): void {
    this.tables.push(new TableTwin(++this.#tables, new MemsegTable({ kernel: this.front, physical: this.isBare })));
  }

  say(line: () => string): void {
    this.lines?.push(line());
  }

  /** Sets faults up for what comes next. */
  arm(faults: readonly Fault[]): void {
    this.kernel.fail(...faults);
    if (this.badTimes !== undefined) {
      const { steps, ...fault } = this.badTimes;
      this.kernel.fail(fault);
      this.badTimes = steps > 1 ? { ...fault, steps: steps - 1 } : undefined;
    }
    if (this.silence !== undefined) {
      const { times, steps } = this.silence;
      this.#pagemap.timesLeft = times;
      this.silence = steps > 1 ? { times, steps: steps - 1 } : undefined;
    }
    this.#armed = faults;
  }

  /** No fault is left for what comes next. */
  heal(): void {
    this.kernel.heal();
    this.#pagemap.timesLeft = undefined;
  }

  /** What comes next, and the faults that were set up for it. */
  begin(line: () => string): void {
    this.say(line);
    const armed = this.#armed;
    this.#armed = [];
    const { timesLeft } = this.#pagemap;
    if (timesLeft !== undefined) this.say(() => `  where memory lies is told ${timesLeft} times`);
    if (armed.length > 0) this.say(() => `  with ${armed.map(faultWords).join(" and ")}`);
  }

  /**
   * Runs a call of the library; only errors with a code may come out of it. `owns` says which live pages it may take away, be
   * it for a moment.
   */
  attempt(run: () => void, owns: Owns = () => false): Outcome {
    const outcome = this.#outcomeOf(run);
    this.heal();
    for (const { group, iovaPage, pages, lost } of this.guard.touched) {
      const seat = this.seats.find((one) => one.group === group);
      if (seat === undefined || !lost) continue;
      for (let page = iovaPage; page < iovaPage + pages; page++) {
        const entry = seat.live.get(page);
        if (entry !== undefined && !owns(seat, page, entry))
          this.lost.push(`IOVA ${hex(addressOf(page))} was live, and went away`);
      }
    }
    return outcome;
  }

  #outcomeOf(run: () => void): Outcome {
    try {
      run();
      this.say(() => "  done");
      return { done: true, error: undefined, left: [], word: "done" };
    } catch (error) {
      // Whatever was made of it on the way: nothing that is said after the end means anything.
      if (!this.isAlive) throw error;
      this.say(() => `  ${error instanceof Error ? `${(error as { code?: string }).code}: ${error.message}` : error}`);
      const { code } = error as { code?: unknown };
      if (error instanceof DmaWindowError) {
        assert.match(error.code, /^ERR_[A-Z0-9_]+$/);
        const left = error.message.startsWith("closing the container") ? [] : readResidue(error.residue?.left ?? []);
        for (const one of left) if (one.what === "charged") this.charged.push(one.length);
        return { done: false, error, left, word: left.length === 0 ? error.code : `${error.code} with residue` };
      }
      const expected = error instanceof TypeError ? "ERR_INVALID_ARG_TYPE" : "ERR_OUT_OF_RANGE";
      if ((error instanceof TypeError || error instanceof RangeError) && code === expected)
        return { done: false, error: undefined, left: [], word: expected };
      throw error;
    }
  }

  /** Address space that `left` names is expected to be there at the end. */
  noteSpace(left: readonly Left[]): void {
    for (const one of left) {
      if (one.what !== "space") continue;
      this.spaceLeft.push({ start: pageOf(one.va), end: pageOf(one.va + one.length) });
    }
  }
}

function faultWords({ call, nth = 0, times = 1, answer }: Fault): string {
  const which = `${call} number ${nth}${times === 1 ? "" : ` to ${nth + times - 1}`}`;
  return `${which} answered ${answer}`;
}
