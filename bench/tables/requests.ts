/** Requests to be held against a window, and the core's way to do it: what the bench of checks is about, in any engine. */
import { type Core, type CoreBuild, instantiateCore, readCore } from "../../src/core.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Random } from "../harness/random.ts";
import type { Contender } from "../harness/rounds.ts";
import { Column, mustEqual, spoil } from "./batch.ts";
import { openWindow } from "./memory.ts";

export const START = 0x0800_0000_0000_0000n;
export const SIZE = 1n << 40n;
export const PAGE_SHIFT = 16;
export const NONE = 2n ** 64n - 1n;

export interface Requests {
  readonly iovas: BigUint64Array;
  readonly lengths: BigUint64Array;
  readonly indexes: BigUint64Array;
  readonly inside: number;
}

/** One in sixteen does not lie in the window: it begins before or behind it, ends behind it, is empty, or wraps. */
export function requestsFor(count: number, random: Random): Requests {
  const requests = {
    iovas: new BigUint64Array(count),
    lengths: new BigUint64Array(count),
    indexes: new BigUint64Array(count),
  };
  let inside = 0;
  for (let i = 0; i < count; i++) {
    const page = BigInt(random.below(2 ** 23));
    let iova = START + (page << BigInt(PAGE_SHIFT));
    let length = BigInt(1 + random.below(64)) << BigInt(PAGE_SHIFT);
    const isInside = random.below(16) !== 0;
    if (!isInside) {
      const wrong = random.below(5);
      if (wrong === 0) iova = START - 1n - page;
      else if (wrong === 1) iova = START + SIZE + page;
      else if (wrong === 2) length = SIZE;
      else if (wrong === 3) length = 0n;
      else length = NONE - page;
      if (wrong === 2 && page === 0n) iova += 1n;
    }
    requests.iovas[i] = iova;
    requests.lengths[i] = length;
    requests.indexes[i] = isInside ? (iova - START) >> BigInt(PAGE_SHIFT) : NONE;
    if (isInside) inside++;
  }
  return { ...requests, inside };
}

/** The requests in the core's memory. The contenders write `indexes`; the requests stand in the other two columns. */
export interface InCore {
  readonly core: Core;
  readonly ours: Contender;
  readonly iovas: Column;
  readonly lengths: Column;
  readonly indexes: Column;
  readonly checks: { readonly spoil: () => void; readonly verify: () => void };
}

export function inCore(name: string, build: CoreBuild, requests: Requests): InCore {
  const core = instantiateCore(readCore(build));
  const window = openWindow(core, START, SIZE, PAGE_SHIFT);
  const count = requests.iovas.length;
  const [iovas, lengths, indexes] = [new Column(core, count), new Column(core, count), new Column(core, count)];
  iovas.values.set(requests.iovas);
  lengths.values.set(requests.lengths);
  const checks = {
    spoil: () => spoil(indexes.values),
    verify: () => mustEqual(name, indexes.values, requests.indexes),
  };
  const ours = inJavaScript({
    name,
    once: `sum += checkMany(window, iovas, lengths, indexes, ${count});`,
    scope: {
      checkMany: core.windowCheckMany,
      window,
      iovas: iovas.pointer,
      lengths: lengths.pointer,
      indexes: indexes.pointer,
    },
    expected: requests.inside,
    ...checks,
  });
  return { core, ours, iovas, lengths, indexes, checks };
}
