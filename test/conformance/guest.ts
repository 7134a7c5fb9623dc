/**
 * Runs rows on the Linux below: the program for a machine, real or emulated, whose groups may be used up.
 *
 *     node guest.mjs --platform pseries --groups /dev/vfio/0,/dev/vfio/1 --devices 0000:00:00.0,0001:00:00.0
 *     node guest.mjs ... --call MAP_DMA     only the rows of such calls
 *     node guest.mjs ... --harm "VFIO_IOMMU_SPAPR_TCE_CREATE (pSeries) 23"
 *                                           one row that harms the kernel: start the machine again afterwards
 *                                           (two CPUs, please: one may wait for ever for a lock of the crashed call)
 *
 * It is to be started by root, with the devices' nodes open to everybody, and `ulimit -H -l unlimited`. It prints a line for
 * each difference, and at the end `SUMMARY` and the summary as JSON. A row that needs a small RLIMIT_MEMLOCK and no
 * CAP_IPC_LOCK runs in a process of its own, and so does one at which the kernel may crash.
 */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { linuxKernel } from "../../src/linux/index.ts";
import { errands } from "./errands.ts";
import { type LinuxMachine, linuxTarget } from "./linux-target.ts";
import type { Needs, PlatformName } from "./row.ts";
import { answerOf, needsOf, type PlacedRow, rowsOf, runRows, type Summary } from "./run-on.ts";
import type { Target } from "./target.ts";

/** Milliseconds for one row, Node's own start in an emulated machine included. */
const PATIENCE = 90_000;

const { values } = parseArgs({
  options: {
    platform: { type: "string", default: "powernv" },
    groups: { type: "string", default: "" },
    devices: { type: "string", default: "" },
    call: { type: "string", default: "" },
    harm: { type: "string" },
    // For the processes that it starts itself.
    row: { type: "string" },
    errand: { type: "string" },
  },
});

const own = [...process.execArgv, process.argv[1] as string];
const same = ["--platform", values.platform, "--groups", values.groups, "--devices", values.devices];

const machine: LinuxMachine = {
  platform: values.platform as PlatformName,
  groups: values.groups.split(",").filter((one) => one !== ""),
  devices: values.devices.split(",").filter((one) => one !== ""),
  hugepages: { 21: freeHugepages(2048), 24: freeHugepages(16384), 30: freeHugepages(1048576) },
  alone: values.row !== undefined,
  again: [process.execPath, ...own],
};

if (values.errand !== undefined) {
  // The parent put them there.
  console.log(errands(linuxKernel(), values.errand, { container: 3, group: 4 }));
} else {
  await runHere(linuxTarget(machine));
}

async function runHere(target: Target): Promise<void> {
  const all = rowsOf(target);
  const named = values.row ?? values.harm;
  if (named === undefined) {
    const chosen = all.filter(({ section, row }) => section.call.includes(values.call) && !needsOf(row).reboot);
    await summarize(target, chosen);
    return;
  }
  const placed = all.find(({ id }) => id === named);
  if (placed === undefined) throw new Error(`no row "${named}" for ${target.name}`);
  if (values.row === undefined) await summarize(target, [placed]);
  else console.log(`ANSWER ${answerOf(placed, target)}`);
}

/** Runs rows one by one, each where it may be run, and says how they went. */
async function summarize(target: Target, chosen: readonly PlacedRow[]): Promise<void> {
  const alone = chosen.filter(({ row }) => needsOf(row).limit !== undefined || needsOf(row).reboot);
  const here = chosen.filter((placed) => !alone.includes(placed));
  const summary = runRows(target, console.log, here);
  const differences = [...summary.differences];
  for (const placed of alone) {
    const { id, row } = placed;
    const [situation, , , expected] = row;
    const got = await answerAlone(placed, target);
    if (got === expected) continue;
    console.log(`different: ${id} (${situation}): expected "${expected}", got "${got}"`);
    differences.push({ id, situation, expected, got });
  }
  const result: Summary = { ...summary, rows: summary.rows + alone.length, differences };
  console.log(`SUMMARY ${JSON.stringify(result)}`);
  // A child that hangs in a crashed kernel is not waited for.
  process.exit();
}

/** Asks one row in a process of its own, under its limit, if it has one. */
async function answerAlone({ id, row }: PlacedRow, target: Target): Promise<string> {
  const { limit } = needsOf(row);
  const command = [process.execPath, ...own, ...same, "--row", id];
  const limited = `ulimit -l ${limit === undefined ? "" : kilobytes(limit, target)}; exec "$@"`;
  const child =
    limit === undefined
      ? spawn(command[0] as string, command.slice(1))
      : // Nobody, who has no CAP_IPC_LOCK. Node itself refuses to change its user while it runs.
        spawn("/bin/sh", ["-c", limited, "sh", ...command], { uid: 65534, gid: 65534 });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const ended = new Promise<string>((resolve) => {
    child.on("close", (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
  // A process in whose system call the kernel crashed dies, or waits for ever for a lock that the crash left behind.
  const how = await Promise.race([ended, setTimeout(PATIENCE, "does not end")]);
  const answer = /^ANSWER (.*)$/m.exec(said)?.[1];
  return answer ?? (kernelCrashed() ? "Oops" : `${how}: ${said}`);
}

function kernelCrashed(): boolean {
  return /Oops: /.test(spawnSync("dmesg", { encoding: "utf8" }).stdout);
}

function kilobytes(limit: NonNullable<Needs["limit"]>, { pageSize }: Target): bigint {
  return ("bytes" in limit ? limit.bytes : limit.pages * BigInt(pageSize)) / 1024n;
}

function freeHugepages(kilobytes: number): number {
  try {
    return Number(readFileSync(`/sys/kernel/mm/hugepages/hugepages-${kilobytes}kB/free_hugepages`, "utf8"));
  } catch {
    return 0;
  }
}
