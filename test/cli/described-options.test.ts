/** Options that describe a machine, in any combination: a plan comes of it, or words that a user can do something with. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CommandLine } from "../../src/cli/options.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { planCommand } from "../../src/cli/plan.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { Random } from "../support/random.ts";

const SIZES = [
  "0",
  "1",
  "3K",
  "4K",
  "64K",
  "2M",
  "1G",
  "16T",
  "0x8000000000000000",
  "0xffffffffffff0000",
  "-1",
  "x",
  "",
];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  machine: ["power10", "lpar", "laptop", "vm", "nope", "/"],
  memory: SIZES,
  "page-size": SIZES,
  "cpu-page-size": SIZES,
  "iommu-pages": [...SIZES, "4K,2M", "1G,4K"],
  "iommu-bits": ["0", "33", "48", "64", "65"],
  range: ["0-4095", "4096-0", "0xffffffffffff0000-0xffffffffffffffff", "5"],
  ram: SIZES,
  memlock: [...SIZES, "unlimited"],
  entries: ["0", "1", "4294967296"],
  "device-bits": ["0", "1", "32", "64"],
  platform: ["powernv", "pseries", "type1", "noiommu", "s390"],
  iova: ["rebased", "va", "pa"],
  "grow-to": SIZES,
  "highest-ram": SIZES,
  compare: ["all", "3K", "4K,64K", "1G"],
};

const any = suite("any machine on the command line");

any("is planned for, or refused with what to do, and with no stack", () => {
  const seed = Number(process.env.DMA_WINDOW_SEED ?? 29);
  const random = new Random(seed);
  const ends = { plan: 0, usage: 0, error: 0 };
  for (let i = 0; i < 3000; i++) {
    const options = Array.from({ length: 1 + random.below(5) }, () => {
      const option = random.pick(Object.keys(VALUES));
      return `--${option}=${random.pick(VALUES[option] ?? [])}`;
    });
    try {
      planCommand(parseCommandLine(["plan", "--memory=1G", ...options]) as CommandLine, () => ends.plan++);
    } catch (error) {
      if (error instanceof UsageError) ends.usage++;
      else if (error instanceof DmaWindowError) ends.error++;
      else assert.unreachable(`seed ${seed}: plan --memory=1G ${options.join(" ")}: ${(error as Error).stack}`);
      if (error instanceof UsageError) assert.match((error as Error).message, /--\w/);
    }
  }
  for (const [end, times] of Object.entries(ends)) assert.ok(times > 100, `${end}: ${times}`);
});

any.run();
