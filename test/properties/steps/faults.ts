/** A bad day for the kernel: none, one or two faults, of the calls that a step makes. */
import type { Fault } from "../../../src/model/faults.ts";
import { no } from "../../support/faulty.ts";
import type { Choices } from "../choices.ts";
import type { World } from "../world.ts";

/** sPAPR's calls fail with positive numbers too. */
const IOCTL_ANSWERS = [no.EINVAL, no.ENOMEM, no.EIO, no.EPERM, no.EINTR, no.EFAULT, 1, 5];
const OTHER_ANSWERS = [no.ENOMEM, no.EINTR, no.EIO, no.EINVAL];
const OTHERS = ["mmap", "munmap", "open", "GROUP_GET_STATUS", "GET_API_VERSION", "CHECK_EXTENSION"];

/** `calls` are those that a step makes, `undoing` those that take back what it did. */
export function faultsOf(choices: Choices, calls: readonly string[], undoing: readonly string[] = calls): Fault[] {
  const day = choices.weighted([
    [8, "good"],
    [3, "bad"],
    [3, "very bad"],
  ] as const);
  if (day === "good") return [];
  const first = anyFault(choices, calls);
  return day === "bad" ? [first] : [first, anyFault(choices, undoing)];
}

function anyFault(choices: Choices, calls: readonly string[]): Fault {
  const call = choices.pick(calls);
  const nth = choices.weighted([
    [4, 0],
    [3, 1],
    [2, 2],
    [1, 4],
  ] as const);
  const times = choices.weighted([
    [3, 1],
    [1, 2],
    [1, 50],
  ] as const);
  // close answers an error and closes all the same.
  if (call === "close") return { call, nth, times, answer: choices.pick([no.EIO, no.EINTR]), made: true };
  return { call, nth, times, answer: choices.pick(OTHERS.includes(call) ? OTHER_ANSWERS : IOCTL_ANSWERS) };
}

const LASTING = [
  "UNREGISTER_MEMORY",
  "UNREGISTER_MEMORY",
  "UNREGISTER_MEMORY",
  "UNMAP_DMA",
  "MAP_DMA",
  "REGISTER_MEMORY",
  "TCE_CREATE",
  "mmap",
];

/** For some steps from here on the kernel refuses one call, whoever makes it, or does not say where memory lies. */
export function badTimesStep(world: World, choices: Choices): undefined {
  if (world.isBare && choices.below(4) > 0) {
    world.silence = { times: choices.below(4), steps: 1 + choices.below(12) };
    world.say(
      () => `for ${world.silence?.steps} steps the kernel says ${world.silence?.times} times where memory lies`,
    );
    return;
  }
  const call = choices.pick(LASTING);
  world.badTimes = { call, answer: no.EIO, times: Number.POSITIVE_INFINITY, steps: 1 + choices.below(12) };
  world.say(() => `for ${world.badTimes?.steps} steps ${call} is answered EIO`);
}
