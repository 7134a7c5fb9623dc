import { type Range, SortedRanges } from "../../model/sorted.ts";
import type { Program } from "../program.ts";
import type { CallRecord } from "./call-record.ts";

/** IOVAs that a MAP made live, or what is left of them. In pages of 4 KiB, below 2^52: exact as numbers. */
export interface LiveMap extends Range {
  /** IOVA pages. */
  readonly start: number;
  readonly end: number;
  /** The page of the program's memory that `start` leads to. */
  readonly page: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly program: Program;
  readonly call: CallRecord;
}

/** Pages in 2 MiB: pieces up to that size are found by where their memory lies, larger ones are few. */
const BUCKET = 512;

/** What devices of a container reach, by IOVA and by memory. */
export class LiveMaps {
  readonly #byIova = new SortedRanges<LiveMap>();
  readonly #small = new Map<number, Set<LiveMap>>();
  readonly #large = new Set<LiveMap>();

  get all(): readonly LiveMap[] {
    return [...this.#byIova];
  }

  /** Whatever was live there is not any more. */
  add(map: LiveMap): void {
    this.remove(map.start, map.end);
    this.#insert(map);
  }

  /** What was live in [start, end), cut to fit. */
  remove(start: number, end: number): LiveMap[] {
    const removed: LiveMap[] = [];
    for (;;) {
      const map = this.#byIova.overlapping(start, end);
      if (map === undefined) return removed;
      this.#delete(map);
      if (map.start < start) this.#insert(cut(map, map.start, start));
      if (map.end > end) this.#insert(cut(map, end, map.end));
      removed.push(cut(map, Math.max(map.start, start), Math.min(map.end, end)));
    }
  }

  /** What is live in [start, end), cut to fit. */
  within(start: number, end: number): LiveMap[] {
    const found: LiveMap[] = [];
    for (let at = start; at < end; ) {
      const map = this.#byIova.overlapping(at, end);
      if (map === undefined) break;
      found.push(cut(map, Math.max(map.start, start), Math.min(map.end, end)));
      at = map.end;
    }
    return found;
  }

  /** What leads to pages [start, end) of a process's memory, cut to fit. */
  leadingTo(program: Program, start: number, end: number): LiveMap[] {
    const found = new Set<LiveMap>();
    for (const map of this.#large) if (touches(map, start, end)) found.add(map);
    const [first, last] = [Math.floor(start / BUCKET), Math.floor((end - 1) / BUCKET)];
    const buckets =
      last - first < this.#small.size
        ? Array.from({ length: last - first + 1 }, (_, index) => this.#small.get(first + index))
        : this.#small.values();
    for (const bucket of buckets) for (const map of bucket ?? []) if (touches(map, start, end)) found.add(map);
    return [...found]
      .filter((map) => map.program === program)
      .sort((a, b) => a.start - b.start)
      .map((map) => {
        const from = Math.max(map.page, start);
        const to = Math.min(map.page + map.end - map.start, end);
        return cut(map, map.start + from - map.page, map.start + to - map.page);
      });
  }

  #insert(map: LiveMap): void {
    this.#byIova.insert(map);
    if (map.end - map.start > BUCKET) {
      this.#large.add(map);
      return;
    }
    for (const key of bucketsOf(map)) {
      const bucket = this.#small.get(key) ?? new Set();
      bucket.add(map);
      this.#small.set(key, bucket);
    }
  }

  #delete(map: LiveMap): void {
    this.#byIova.remove(map);
    this.#large.delete(map);
    for (const key of bucketsOf(map)) {
      const bucket = this.#small.get(key);
      bucket?.delete(map);
      if (bucket?.size === 0) this.#small.delete(key);
    }
  }
}

function bucketsOf({ page, start, end }: LiveMap): number[] {
  const [first, last] = [Math.floor(page / BUCKET), Math.floor((page + end - start - 1) / BUCKET)];
  return first === last ? [first] : [first, last];
}

function touches({ page, start: from, end: to }: LiveMap, start: number, end: number): boolean {
  return page < end && page + (to - from) > start;
}

function cut(map: LiveMap, start: number, end: number): LiveMap {
  return start === map.start && end === map.end ? map : { ...map, start, end, page: map.page + (start - map.start) };
}
