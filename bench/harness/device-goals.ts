/**
 * The goals of what drives a device. See goals.ts.
 *
 * Of registers: to hand two numbers over and one back takes a call that does nothing three times as long, in C as well, so what is
 * checked on the way may take as much as two of these. A number more is half of one; a bigint, which is an object, is one or two.
 */
import { each, type Goal } from "./goal.ts";

const ACCESS = each("access");
const COMMAND = each("command");

export const deviceGoals = {
  "register-read32-vs-native": {
    goal: 5,
    unit: ACCESS,
    about: "`bar.read32` of memory that is mapped as a device's; a native call that does nothing",
  },
  "register-write32-vs-native": { goal: 5.5, unit: ACCESS, about: "`bar.write32`, likewise" },
  "register-read64-vs-native": { goal: 6, unit: ACCESS, about: "`bar.read64`, whose answer is a bigint, likewise" },
  "register-write64-vs-native": { goal: 7, unit: ACCESS, about: "`bar.write64`, likewise" },
  "register-garbage": { goal: 0, unit: "bytes of garbage per access", about: "`bar.read32` and `bar.write32`" },
  "nvme-entry": {
    goal: 40,
    unit: COMMAND,
    about: "an entry of 64 bytes in a submission queue, with the IOVA of a buffer: `putBlocks` of examples/nvme",
  },
  "nvme-polled": {
    goal: 200,
    unit: COMMAND,
    about:
      "a command by itself: entry, doorbell, completion, doorbell, less what the controller takes, which completes at once",
  },
  "nvme-batch-32": { goal: 80, unit: COMMAND, about: "the same of 32 at once, with two doorbells for all of them" },
  "nvme-garbage": { goal: 0, unit: "bytes of garbage per command", about: "both" },
  "interrupt-to-callback": {
    goal: 1,
    unit: "us",
    about: "an eventfd that another thread writes to the listener of a vector, the median; `fs.read` again and again",
  },
  "interrupt-to-callback-p99": { goal: 1, unit: "us", about: "the same, 99 of 100" },
} as const satisfies Readonly<Record<string, Goal>>;
