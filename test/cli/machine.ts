/** A machine that is the same everywhere: nothing of the one that the tests run on is in it. */
import type { Machine, Pool } from "../../src/cli/machine.ts";
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
  const pool: Pool = { pageSize: BigInt(model.pageSize ?? 4096), pages: 1024, kind: "simulated pages" };
  return {
    kernelName: "model",
    groups: [26],
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
    physical: (va, pages, pageSize) =>
      Array.from({ length: pages }, (_, i) => (va & 0x7fff_ffffn) + 0x1_0000_0000n + BigInt(i * pageSize)),
    kernels,
    ...changes,
  };
}
