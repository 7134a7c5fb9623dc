/**
 * Runs rows on the Linux below: the program for a machine, real or emulated, whose groups may be used up.
 *
 *     node guest.mjs --platform pseries --groups /dev/vfio/0,/dev/vfio/1 --devices 0000:00:00.0,0001:00:00.0
 *     node guest.mjs ... --call MAP_DMA     only the rows of such calls
 *     node guest.mjs --platform pseries --nvme 0002:00:00.0 --nvme-group /dev/vfio/2
 *                                           the rows about devices, and no others; --card and --port (with their groups) name
 *                                           more devices, and --raw the program that makes calls past the shim
 *     node guest.mjs ... --harm "VFIO_IOMMU_SPAPR_TCE_CREATE (pSeries) 23"
 *                                           one row that harms the kernel: start the machine again afterwards
 *                                           (two CPUs, please: one may wait for ever for a lock of the crashed call)
 *
 * It is to be started by root, with the devices' nodes open to everybody, and `ulimit -H -l unlimited`. It prints a line for
 * each difference, and at the end `SUMMARY` and the summary as JSON. Rows that need a small RLIMIT_MEMLOCK and no
 * CAP_IPC_LOCK run in processes of their own, and so does one at which the kernel may crash.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { linuxKernel } from "../../src/linux/index.ts";
import { answerRows, runAlone } from "./alone.ts";
import { errands } from "./errands.ts";
import { type LinuxMachine, linuxTarget, runningLinux } from "./linux-target.ts";
import { rawCallsBy } from "./raw-calls.ts";
import { isAboutDevice, type PlatformName } from "./row.ts";
import { needsOf, type PlacedRow, rowsOf, runRows, type Summary } from "./run-on.ts";
import type { Target } from "./target.ts";
import { readWithoutMemory } from "./without-memory.ts";

const { values } = parseArgs({
  options: {
    platform: { type: "string", default: "powernv" },
    groups: { type: "string", default: "" },
    devices: { type: "string", default: "" },
    nvme: { type: "string" },
    "nvme-group": { type: "string", default: "" },
    card: { type: "string" },
    "card-group": { type: "string", default: "" },
    port: { type: "string" },
    "port-group": { type: "string", default: "" },
    raw: { type: "string" },
    call: { type: "string", default: "" },
    harm: { type: "string" },
    // For the processes that it starts itself.
    row: { type: "string", multiple: true },
    errand: { type: "string" },
    "without-memory": { type: "boolean" },
  },
});

const own = [...process.execArgv, process.argv[1] as string];
const same = ["--platform", values.platform, "--groups", values.groups, "--devices", values.devices];
const again = [process.execPath, ...own, ...same];

const machine: LinuxMachine = {
  platform: values.platform as PlatformName,
  linux: runningLinux(),
  groups: values.groups.split(",").filter((one) => one !== ""),
  devices: values.devices.split(",").filter((one) => one !== ""),
  nvme: values.nvme === undefined ? undefined : { name: values.nvme, group: values["nvme-group"] },
  card: values.card === undefined ? undefined : { name: values.card, group: values["card-group"] },
  port: values.port === undefined ? undefined : { name: values.port, group: values["port-group"] },
  raw: values.raw === undefined ? undefined : rawCallsBy(values.raw),
  hugepages: { 21: freeHugepages(2048), 24: freeHugepages(16384), 30: freeHugepages(1048576) },
  alone: values.row !== undefined,
  again: [process.execPath, ...own],
};

if (values.errand !== undefined) {
  // The parent put them there.
  console.log(errands(linuxKernel(), values.errand, { container: 3, group: 4 }));
} else if (values["without-memory"]) {
  console.log(readWithoutMemory(linuxKernel(), 3));
} else {
  await runHere(linuxTarget(machine));
}

async function runHere(target: Target): Promise<void> {
  const all = rowsOf(target);
  if (values.row !== undefined) {
    answerRows(
      values.row.map((id) => find(all, id)),
      target,
    );
    return;
  }
  const { harm } = values;
  if (harm !== undefined) await summarize(target, [find(all, harm)]);
  else {
    const ofDevices = values.nvme !== undefined;
    const wanted = all.filter(({ row }) => !needsOf(row).reboot && isAboutDevice(needsOf(row)) === ofDevices);
    const chosen = wanted.filter(({ section }) => section.call.includes(values.call));
    await summarize(target, chosen);
  }
}

function find(rows: readonly PlacedRow[], named: string): PlacedRow {
  const found = rows.find(({ id }) => id === named);
  if (found === undefined) throw new Error(`no row "${named}" here`);
  return found;
}

/** Runs rows one by one, each where it may be run, and says how they went. */
async function summarize(target: Target, chosen: readonly PlacedRow[]): Promise<void> {
  const alone = chosen.filter(({ row }) => needsOf(row).limit !== undefined || needsOf(row).reboot);
  const here = runRows(
    target,
    console.log,
    chosen.filter((placed) => !alone.includes(placed)),
  );
  const differences = [...here.differences, ...(await runAlone(alone, target, again, console.log))];
  if (alone.length > 0) console.log(`${target.name}: ${alone.length} more in processes of their own`);
  const summary: Summary = { ...here, rows: here.rows + alone.length, differences };
  console.log(`SUMMARY ${JSON.stringify(summary)}`);
  // A child that hangs in a crashed kernel is not waited for.
  process.exit();
}

function freeHugepages(kilobytes: number): number {
  try {
    return Number(readFileSync(`/sys/kernel/mm/hugepages/hugepages-${kilobytes}kB/free_hugepages`, "utf8"));
  } catch {
    return 0;
  }
}
