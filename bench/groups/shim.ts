/** What the shim adds to the system calls that it makes. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { shimAvailable } from "../../src/linux/shim.ts";
import { short } from "../harness/format.ts";
import { row } from "../harness/goals.ts";
import { type Bench, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import type { IoctlTimings } from "../rivals/ioctl-child.ts";

/** Calls in a batch there. */
const IOCTLS = 1024;

const child = fileURLToPath(new URL("../rivals/ioctl-child.ts", import.meta.url));

async function run(bench: Bench): Promise<Outcome> {
  const { rivals, effort, random } = bench;
  const nothing = { figures: [], rows: [] };
  if (rivals.addonFile === undefined || !shimAvailable()) {
    bench.leaveOut(
      `the shim: ${rivals.addonFile === undefined ? "there is no loop in C beside it" : "it is not built"}`,
    );
    return nothing;
  }
  bench.say("shim: in a process of its own");
  const parameters = [rivals.addonFile, random.below(2 ** 32), effort.rounds, effort.sample, effort.warmUp].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, child, ...parameters]);
  const { timings, refused } = JSON.parse(stdout) as IoctlTimings;
  if (refused !== undefined) {
    bench.leaveOut(`the shim: ${refused}`);
    return nothing;
  }
  const found = figures(timings, IOCTLS);
  const ours = fastest(found, "ioctlBatch");
  const rival = fastest(found, "C, the same loop");
  const bare = fastest(found, "C, refused");
  if (!ours || !rival || !bare) throw new Error("the process for ioctls said nothing of one of them");
  const added = ours.minimum - rival.minimum;
  return {
    figures: found,
    rows: [row("shim-batch-vs-c", ours.minimum, rival.minimum, rival.contender)],
    notes: [
      `The shim adds ${short(added)} ns to each ioctl of a batch. Without the filter that answers here an ioctl takes ` +
        `${short(bare.minimum)} ns, of which that is ${short((added / bare.minimum) * 100)} %; one that maps memory takes far longer.`,
    ],
  };
}

export const shim: Group = {
  name: "shim",
  title: "An ioctl that does nothing: in a batch, one by one, and in C",
  unit: "ns per ioctl",
  rows: ["shim-batch-vs-c"],
  run,
};
