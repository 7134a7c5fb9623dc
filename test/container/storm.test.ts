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
  /** What memory is registered in: a page of the CPU, which may be several of the window's. */
  readonly registered: bigint;
  readonly random: Random;
}

function anyMap({ window, va, page, registered, random }: Storm): MapRequest {
  const unit = random.once(4) ? page : registered;
  const at = { va: va + BigInt(random.below(PAGES)) * unit, length: BigInt(1 + random.below(6)) * unit };
  return random.once(2) ? at : { ...at, iova: window.start + BigInt(random.below(PAGES)) * unit };
}

/** Mostly something that is mapped, or a part of it. */
function anyUnmap({ window, page, random }: Storm): UnmapRequest {
  const runs = [...window.maps()];
  if (runs.length === 0 || random.once(8)) {
    return { iova: window.start + BigInt(random.below(PAGES)) * page, length: BigInt(1 + random.below(8)) * page };
  }
  const { iova, length } = random.pick(runs);
  if (random.once(2)) return { iova, length };
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

interface Kind {
  readonly platform: "powernv" | "pseries";
  /** Bytes of a page of the CPU, and of the window. */
  readonly pageSize: number;
  readonly windowPage: number;
}

function storm(seed: number, steps: number, { platform, pageSize, windowPage }: Kind): Map<string, number> {
  const program = new Program({ platform, pageSize });
  const [page, registered] = [BigInt(windowPage), BigInt(pageSize)];
  const window = program.window(4n * MiB, { pageSize: page });
  const random = new Random(seed);
  const va = program.allocate(BigInt(PAGES + 8) * registered);
  const made: Storm = { program, window, va, page, registered, random };
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

const kinds: readonly Kind[] = [
  { platform: "powernv", pageSize: 4096, windowPage: 4096 },
  { platform: "powernv", pageSize: 65536, windowPage: 65536 },
  { platform: "powernv", pageSize: 65536, windowPage: 4096 },
  { platform: "pseries", pageSize: 4096, windowPage: 4096 },
  { platform: "pseries", pageSize: 65536, windowPage: 4096 },
];

for (const [seed, kind] of kinds.entries()) {
  const { platform, pageSize, windowPage } = kind;
  test(`${platform}, CPU pages of ${pageSize} and window pages of ${windowPage}: the tables say what the kernel has`, () => {
    const outcomes = storm(seed, 1000, kind);
    // All of these must have happened, or the storm has not been one.
    const wanted = ["done", "ERR_KERNEL", "ERR_KERNEL with residue", "ERR_NOT_LIVE"];
    // Registrations of many small pages are seldom emptied at random.
    if (windowPage === pageSize) wanted.push("ERR_STILL_REGISTERED with residue");
    for (const what of wanted) assert.ok((outcomes.get(what) ?? 0) > 3, `${what}: ${JSON.stringify([...outcomes])}`);
  });
}

test.run();
