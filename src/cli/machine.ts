/** The machine that the program runs on, as far as the main job looks at it. */
import { DmaWindowError } from "../errors.ts";
import { linuxKernel } from "../linux/index.ts";
import { type ModelKernel, type ModelPlatform, modelKernel } from "../model/index.ts";
import type { IovaMode } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import { type Iomem, parseIomem, readIomem } from "../system/iomem.ts";
import { linuxPool, modelMemory, ownMemory, type Pool } from "./pool.ts";

export type KernelName = "model" | "linux";

export interface MachineOptions {
  readonly kernel: KernelName;
  /** What the software kernel is like. */
  readonly platform: ModelPlatform;
  /** Groups on the real kernel. The model brings its own. */
  readonly groups: readonly number[];
  /** The real kernel's groups have no IOMMU, and their user knows what that means. */
  readonly noIommu?: boolean;
  readonly highestRam?: bigint;
}

export interface Machine {
  readonly kernelName: KernelName;
  /** What the software kernel is like; undefined on Linux, whose container says it. */
  readonly platform: ModelPlatform | undefined;
  readonly groups: readonly number[];
  /** The groups have no IOMMU. */
  readonly noIommu: boolean;
  /** What the RAM is of the machine whose memory it is; undefined where an unprivileged reader is not told. */
  readonly iomem: Iomem | undefined;
  /** Why there is no `iomem`, in the reader's own words. */
  readonly iomemProblem: DmaWindowError | undefined;
  readonly highestRam: bigint | undefined;
  /** Why the memory is the software kernel's; undefined when it is this machine's own. */
  readonly simulatedBecause: string | undefined;
  readonly pool: Pool;
  /** A kernel in its first state. On Linux there is one; every model is another. */
  readonly makeKernel: () => Syscalls | ModelKernel;
}

/** In IOVA mode `pa`, which is all there is without an IOMMU, it has to be known where the memory lies. */
export function lookAround(options: MachineOptions, iovaMode: IovaMode): Machine {
  const found = options.kernel === "linux" ? linuxMachine(options) : modelMachine(options, iovaMode === "pa");
  return { ...found, highestRam: options.highestRam ?? found.iomem?.highest };
}

type Found = Omit<Machine, "highestRam">;
type Ram = Pick<Machine, "iomem" | "iomemProblem">;

function linuxMachine({ groups, noIommu = false }: MachineOptions): Found {
  return {
    ...ownRam(),
    kernelName: "linux",
    platform: undefined,
    groups,
    noIommu,
    simulatedBecause: undefined,
    pool: linuxPool(ownMemory(), noIommu),
    makeKernel: linuxKernel,
  };
}

/** Simulated memory lies in the software machine's RAM, which nobody hides; borrowed memory in this machine's. */
function modelMachine({ platform }: MachineOptions, physical: boolean): Found {
  const ram = ownRam();
  const isHidden = physical && ram.iomemProblem !== undefined;
  const { pageSize, memory, pool, simulatedBecause } = modelMemory(platform, ownMemory(), isHidden);
  return {
    ...(memory === undefined ? ramOf(modelKernel({ platform, pageSize })) : ram),
    kernelName: "model",
    platform,
    groups: [26],
    noIommu: platform === "noiommu",
    simulatedBecause,
    pool,
    makeKernel: () => modelKernel({ platform, pageSize, ...(memory ? { memory } : {}) }),
  };
}

function ramOf({ files }: ModelKernel): Ram {
  return { iomem: parseIomem(files.text("/proc/iomem") as string), iomemProblem: undefined };
}

function ownRam(): Ram {
  try {
    return { iomem: readIomem(), iomemProblem: undefined };
  } catch (error) {
    if (!(error instanceof DmaWindowError)) throw error;
    return { iomem: undefined, iomemProblem: error };
  }
}
