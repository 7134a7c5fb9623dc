/** "What the tables say is mapped is what the kernel has mapped": the invariant that everything else rests on. */
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import { core } from "../../src/core.ts";
import { thrownBy } from "./failure.ts";
import type { Program } from "./program.ts";

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
