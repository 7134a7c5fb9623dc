/** A machine that is the same everywhere: nothing of the one that the tests run on is in it. */
import type { Machine } from "../../src/cli/machine.ts";
import type { Pool } from "../../src/cli/pool.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { parseIomem } from "../../src/system/iomem.ts";

export interface MadeMachine extends Machine {
  /** Every kernel that was asked for, in that order. */
  readonly kernels: readonly ModelKernel[];
}

const iomem = parseIomem("00100000-3fffffff : System RAM\n100000000-1ffffffff : System RAM\n");

/** `changes` replaces facts about the machine; `model` says what its software kernel is like. */
export function makeMachine(changes: Partial<Machine> = {}, model: ModelOptions = {}): MadeMachine {
  const kernels: ModelKernel[] = [];
  const { platform = "powernv", pageSize = 4096 } = model;
  const noIommu = platform === "noiommu";
  const pool: Pool = noIommu
    ? { pageSize: 2n << 20n, pages: 32, kind: "simulated hugepages" }
    : { pageSize: BigInt(pageSize), pages: 1024, kind: "simulated pages" };
  return {
    kernelName: "model",
    platform,
    groups: [26],
    noIommu,
    iomem,
    iomemProblem: undefined,
    highestRam: iomem.highest,
    simulatedBecause: "the shim is not there",
    pool,
    makeKernel: () => {
      const kernel = modelKernel(model);
      kernels.push(kernel);
      return kernel;
    },
    kernels,
    ...changes,
  };
}
