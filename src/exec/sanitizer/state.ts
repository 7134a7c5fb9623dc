import { type Range, SortedRanges } from "../../model/sorted.ts";
import type { GivenFile } from "../given-files.ts";
import type { Program } from "../program.ts";
import type { CallRecord } from "./call-record.ts";
import { type LiveMap, LiveMaps } from "./live-maps.ts";

/** An UNMAP that took something away. */
export interface PastUnmap {
  readonly call: CallRecord;
  readonly program: Program;
  /** The pages that it named, IOVA. */
  readonly start: number;
  readonly end: number;
  readonly cleared: readonly LiveMap[];
}

/** What failed, or did less than was asked, and was not mended yet. */
export interface Unheeded {
  readonly call: CallRecord;
  readonly program: Program;
  /** Why it matters, for the report. */
  readonly why: string;
  /** IOVA pages of a MAP or UNMAP; memory's pages of a REGISTER. */
  readonly start: number;
  readonly end: number;
}

/** What the sanitizer knows of a container. */
export class ContainerState {
  readonly file: GivenFile;
  readonly maps = new LiveMaps();
  isSpapr = false;
  /** No descriptor leads to it any more. */
  isClosed = false;
  /** In pages of IOVA; of sPAPR. */
  windows: readonly Range[] = [];
  lastUnmap: PastUnmap | undefined;
  unheeded: Unheeded[] = [];

  constructor(file: GivenFile) {
    this.file = file;
  }

  /** What a process unmapped last, if it has given up no memory since: what it gives up next is what it meant. */
  takeLastUnmap(program: Program): PastUnmap | undefined {
    const last = this.lastUnmap;
    this.lastUnmap = undefined;
    return last?.program === program ? last : undefined;
  }

  /** The program has done something about what failed. */
  heeded(which: (one: Unheeded) => boolean): void {
    if (this.unheeded.length > 0) this.unheeded = this.unheeded.filter((one) => !which(one));
  }
}

/** Memory that was registered: one REGISTER. In pages. */
export interface Registration extends Range {
  readonly call: CallRecord;
  readonly container: ContainerState;
  /** A MAP led a device into it. */
  mapped: boolean;
  /** A MAP of it that failed. */
  failed: CallRecord | undefined;
}

/** What a process has registered: of ranges that overlap the first is kept. */
export class RegisteredMemory {
  readonly #ranges = new SortedRanges<Registration>();

  get all(): readonly Registration[] {
    return [...this.#ranges];
  }

  add(registration: Registration): void {
    if (this.#ranges.overlapping(registration.start, registration.end) === undefined) this.#ranges.insert(registration);
  }

  at(page: number): Registration | undefined {
    return this.#ranges.at(page);
  }

  /** The registration of exactly that range, which is none from then on. */
  take(start: number, end: number): Registration | undefined {
    const found = this.#ranges.at(start);
    if (found?.start !== start || found.end !== end) return undefined;
    this.#ranges.remove(found);
    return found;
  }

  /** Those of a container, which are none from then on. */
  takeAllOf(container: ContainerState): Registration[] {
    const found = this.all.filter((one) => one.container === container);
    for (const one of found) this.#ranges.remove(one);
    return found;
  }
}
