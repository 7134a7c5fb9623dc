/** "What the tables say is mapped is what the kernel has mapped": the invariant that everything else rests on. */
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { core } from "../../src/core.ts";
import { thrownBy } from "./failure.ts";
import type { Program } from "./program.ts";

const PAGE = 4096n;

/** Fails unless every page that the window says is mapped is what the device reaches, and the device reaches no other. */
export function agree(program: Program, window: Window): void {
  const page = 1n << BigInt(window.pageShift);
  let pages = 0;
  for (const { va, iova, length } of window.maps()) {
    for (let offset = 0n; offset < length; offset += page) {
      assert.is(program.model.tceAt(program.group, iova + offset)?.va, va + offset, "what the device reaches");
      assert.is(window.translate(va + offset), iova + offset, "va to IOVA");
      assert.is(window.vaOf(iova + offset), va + offset, "IOVA to va");
      pages++;
    }
  }
  const inKernel = program.seen.windows.find(({ start }) => start === window.start);
  assert.is(inKernel?.liveTces, pages, "live TCEs");
  assert.is(window.liveBytes, BigInt(pages) * page, "bytes that are mapped");
  assert.is(core.containerRegistrations(window.target.container), program.seen.registrations.length, "registrations");
  assert.equal(program.model.snapshot().zombies, [], "memory that was unregistered while mapped");
}

/** Everything that a failed call could have changed, to be compared before and after it. */
export function stateOf(program: Program, window?: Window): unknown {
  const maps = window === undefined || window.closed ? [] : [...window.maps()];
  return {
    model: program.model.snapshot(),
    maps,
    hole: window === undefined || window.closed ? 0n : window.largestHole,
  };
}

/**
 * Fails unless `run` throws an error with this code (or refuses an argument, `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE`)
 * before the kernel was asked anything, and with nothing changed.
 */
export function refusedUnseen(program: Program, window: Window, code: string, run: () => unknown): Error {
  const before = stateOf(program, window);
  program.record.take();
  const error = thrownBy(run);
  assert.is(error.code, code, error.stack ?? error.message);
  assert.ok(error.message.length > 20, error.message);
  assert.equal(program.record.take(), [], "what reached the kernel");
  assert.equal(stateOf(program, window), before, "what changed");
  return error;
}

/** Whether the kernel has exactly what the window says, on every IOMMU. */
export function agreed(program: Program, window: Window): void {
  const said = [...window.maps()].map(({ va, iova, length }) => `${iova}+${length}: ${va}`);
  const live = program.model.live(program.group).map(({ va, iova, length }) => `${iova}+${length}: ${va}`);
  assert.equal(said, live);
  if (program.container.kind === "spapr") agree(program, window);
}

/** Whether the window has at least what the kernel has, and the error names what it has besides: maps of two pages of 4 KiB. */
export function covers(program: Program, window: Window, left: readonly string[]): void {
  for (const { va, iova, length } of program.model.live(program.group))
    for (let at = 0n; at < length; at += PAGE)
      assert.is(window.translate(va + at), iova + at, "live, and not in the tables");
  for (const { iova, length } of window.maps()) {
    for (let at = iova; at < iova + length; at += 2n * PAGE) {
      if (program.model.tceAt(program.group, at) !== undefined) continue;
      const named = `8 KiB at IOVA 0x${at.toString(16)} may still be mapped`;
      assert.ok(
        left.some((sentence) => sentence.startsWith(named)),
        `${named}: ${left}`,
      );
    }
  }
  assert.equal(program.model.snapshot().zombies, []);
}
