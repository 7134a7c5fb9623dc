/** Reads of 4 KiB by the NVMe driver on the software kernel: how many a test may make in a second, and what of that is the driver's. */

import { short } from "../harness/format.ts";
import { type Bench, exactly, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript, type Work } from "../harness/loop.ts";
import { DEPTH, NvmeMachine, type Platform, READS } from "../tables/nvme-machine.ts";

const PLATFORMS: readonly Platform[] = ["powernv", "pseries", "type1"];
const AROUND = 1024;
const DRIVEN = `the driver, ${DEPTH} places of the disk`;
const ALONE = "the same without a driver: entries that lie there, and two doorbells";

const named = (platform: Platform): string => `the driver, ${AROUND} places of the disk, ${platform}`;

async function run(bench: Bench): Promise<Outcome> {
  const machines: NvmeMachine[] = [];
  const make = async (platform: Platform, work: (machine: NvmeMachine) => Promise<Work>): Promise<Work> => {
    const machine = new NvmeMachine(platform);
    machines.push(machine);
    return work(machine);
  };
  try {
    const works: Work[] = [];
    for (const platform of PLATFORMS) {
      works.push(await make(platform, async (one) => one.reads(named(platform), await one.open(), AROUND)));
    }
    works.push(await make("powernv", async (one) => one.reads(DRIVEN, await one.open(), DEPTH)));
    works.push(await make("powernv", async (one) => one.alone(ALONE, await one.open())));
    const found = figures(await bench.compete("nvme-model", works.map(inJavaScript)), READS);
    const least = (name: string): number => exactly(found, name)?.minimum ?? Number.NaN;
    const perSecond = (name: string): string => short(Math.round(1e9 / least(name)));
    return {
      figures: found,
      rows: [],
      notes: [
        ...PLATFORMS.map((platform) => `${platform}: ${perSecond(named(platform))} reads of 4 KiB in a second`),
        `The controller alone takes ${short(least(ALONE))} of the ${short(least(DRIVEN))} ns of a read.`,
      ],
    };
  } finally {
    for (const machine of machines) await machine.close();
  }
}

export const nvmeModel: Group = {
  name: "nvme-model",
  title: `The NVMe driver on the software kernel: reads of 4 KiB, ${DEPTH} under way, polled`,
  unit: "ns per read",
  rows: [],
  run,
};
