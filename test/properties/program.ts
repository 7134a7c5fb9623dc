/** Runs a program from its first step to an end where nothing is left. */
import * as assert from "uvu/assert";
import { closeContainer } from "./acts/windows.ts";
import { Choices, type Program } from "./choices.ts";
import { check, checkAll } from "./invariants.ts";
import { deviceStep } from "./steps/device.ts";
import { badTimesStep } from "./steps/faults.ts";
import { mapStep, unmapStep } from "./steps/maps.ts";
import {
  addListStep,
  addStep,
  allocateStep,
  closeTableStep,
  freeStep,
  removeListStep,
  removeStep,
} from "./steps/memory.ts";
import {
  attachStep,
  closeContainerStep,
  closeWindowStep,
  createWindowStep,
  detachStep,
  limitStep,
  openStep,
} from "./steps/windows.ts";
import { AMPLE, type Outcome, type World } from "./world.ts";

type Step = (world: World, choices: Choices) => Outcome | undefined;

const steps: readonly (readonly [number, readonly [string, Step]])[] = [
  [26, ["map", mapStep]],
  [20, ["unmap", unmapStep]],
  [14, ["allocate", allocateStep]],
  [9, ["free", freeStep]],
  [4, ["add", addStep]],
  [3, ["remove", removeStep]],
  [6, ["add a list", addListStep]],
  [2, ["remove a list", removeListStep]],
  [9, ["attach", attachStep]],
  [4, ["detach", detachStep]],
  [6, ["create a window", createWindowStep]],
  [4, ["close a window", closeWindowStep]],
  [1, ["close a container", closeContainerStep]],
  [4, ["open a container", openStep]],
  [1, ["close a table", closeTableStep]],
  [2, ["limit", limitStep]],
  [5, ["device", deviceStep]],
  [2, ["bad times", badTimesStep]],
];

/** How often everything is looked at, and not only what a step touched. */
const FULL_CHECK_EVERY = 32;

export type Outcomes = Map<string, number>;

/** Throws where something does not hold. `outcomes` counts what the steps came to. */
export function runProgram(world: World, program: Program, outcomes?: Outcomes): void {
  start(world);
  program.forEach((numbers, i) => {
    const choices = new Choices(numbers);
    const [name, step] = choices.weighted(steps);
    const outcome = step(world, choices);
    if (outcome !== undefined) {
      const word = `${name}: ${outcome.word}`;
      outcomes?.set(word, (outcomes.get(word) ?? 0) + 1);
      const goodDay = world.kernel.refused.length === 0 && world.limit === AMPLE;
      if (outcome.left.some(({ what }) => what !== "charged") && goodDay)
        throw new Error(`residue on a good day: ${word}`);
      check(world);
    }
    world.heal();
    (world.kernel.refused as string[]).length = 0;
    if (i % FULL_CHECK_EVERY === FULL_CHECK_EVERY - 1) checkAll(world);
  });
  checkAll(world);
  world.badTimes = undefined;
  world.silence = undefined;
  end(world);
}

/** Most programs want a container and a window: they begin with what choosing 0 everywhere gives. */
function start(world: World): void {
  const plainest = new Choices([]);
  for (const step of [openStep, createWindowStep, addListStep]) {
    if (!step(world, plainest)?.done) throw new Error("the plainest of all beginnings fails");
    check(world);
  }
}

/** Everything is closed, and nothing is left of it in the kernel or in the address space. */
export function end(world: World): void {
  for (const seat of world.seats) {
    if (seat.container === undefined) continue;
    const { word } = closeContainer(world, seat);
    if (word !== "done") throw new Error(`closing a container on a good day: ${word}`);
    check(world);
  }
  for (const { table } of world.tables) table.close();
  const { leakedBytes } = world.model.snapshot().charges;
  const leaks = world.model.leaks().filter((one) => !one.endsWith("stay charged for windows that could not be made"));
  assert.equal(leaks, [], "what is left");
  assert.is(world.model.lockedMemory().used, leakedBytes, "locked");
  const left = world.guard.space.ranges.filter(({ start: first, end: last }) => !isNamed(world, first, last));
  assert.equal(left, [], "address space that is left, and no error said so");
  if (world.spaceLeft.length === 0) assert.equal(world.model.snapshot().hugepages, world.hugepages, "free hugepages");
}

function isNamed({ spaceLeft }: World, start: number, end: number): boolean {
  let at = start;
  for (const range of [...spaceLeft].sort((a, b) => a.start - b.start)) {
    if (range.start <= at && range.end > at) at = range.end;
  }
  return at >= end;
}
