/**
 * Thousands of random maps and unmaps, many of them wrong, on a kernel that says no at random. After every single one the
 * window's tables are held against the kernel's.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { MapRequest, UnmapRequest, Window } from "../../src/container/window.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { agree } from "../support/agreement.ts";
import { no } from "../support/faulty.ts";
import { MiB, Program } from "../support/program.ts";
import { Random } from "../support/random.ts";

const PAGES = 48;

interface Storm {
  readonly program: Program;
  readonly window: Window;
  readonly va: bigint;
  readonly page: bigint;
  readonly random: Random;
}

function anyMap({ window, va, page, random }: Storm): MapRequest {
  const at = { va: va + BigInt(random.below(PAGES)) * page, length: BigInt(1 + random.below(6)) * page };
  return random.once(2) ? at : { ...at, iova: window.start + BigInt(random.below(PAGES)) * page };
}

/** Mostly something that is mapped, or a part of it. */
function anyUnmap({ window, page, random }: Storm): UnmapRequest {
  const runs = [...window.maps()];
  if (runs.length === 0 || random.once(8)) {
    return { iova: window.start + BigInt(random.below(PAGES)) * page, length: BigInt(1 + random.below(8)) * page };
  }
  const { iova, length } = random.pick(runs);
  const pages = Number(length / page);
  const first = random.below(pages);
  return { iova: iova + BigInt(first) * page, length: BigInt(1 + random.below(pages - first)) * page };
}

function step(storm: Storm): void {
  const { window, random } = storm;
  const many = <T>(make: (from: Storm) => T) => Array.from({ length: 1 + random.below(4) }, () => make(storm));
  if (random.once(2)) window.mapMany(many(anyMap));
  else window.unmapMany(many(anyUnmap));
}

/** Says what happened: `done`, or the code of the error. */
function outcome(run: () => void): string {
  try {
    run();
    return "done";
  } catch (error) {
    if (error instanceof DmaWindowError) return error.residue === undefined ? error.code : `${error.code} with residue`;
    throw error;
  }
}

function storm(
  seed: number,
  steps: number,
  options: { platform: "powernv" | "pseries"; pageSize: number },
): Map<string, number> {
  const program = new Program(options);
  const page = BigInt(options.pageSize);
  const window = program.window(4n * MiB);
  const random = new Random(seed);
  const made: Storm = { program, window, va: program.allocate(BigInt(PAGES + 8) * page), page, random };
  const outcomes = new Map<string, number>();
  for (let i = 0; i < steps; i++) {
    const before = [...window.maps()];
    if (random.once(2)) {
      const answer = random.pick([no.EINVAL, no.ENOMEM, no.EIO, 1]);
      program.kernel.fail({ nth: random.below(8), answer, times: 1 + random.below(3) });
    }
    const what = outcome(() => step(made));
    program.kernel.heal();
    outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    agree(program, window);
    if (what !== "done" && !what.endsWith("with residue")) assert.equal([...window.maps()], before, what);
  }
  program.container.close();
  assert.equal(program.model.leaks(), []);
  assert.is(program.model.lockedMemory().used, 0n);
  return outcomes;
}

for (const platform of ["powernv", "pseries"] as const) {
  for (const pageSize of [4096, 65536]) {
    test(`${platform}, ${pageSize} byte pages: the tables say what the kernel has, after every call`, () => {
      const outcomes = storm(pageSize + platform.length, 1000, { platform, pageSize });
      // All of these must have happened, or the storm has not been one.
      for (const what of [
        "done",
        "ERR_KERNEL",
        "ERR_KERNEL with residue",
        "ERR_STILL_REGISTERED with residue",
        "ERR_NOT_LIVE",
      ]) {
        assert.ok((outcomes.get(what) ?? 0) > 3, `${what}: ${JSON.stringify([...outcomes])}`);
      }
    });
  }
}

test.run();
