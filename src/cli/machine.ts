/** The machine that the program runs on, as far as the main job looks at it. */
import { DmaWindowError } from "../errors.ts";
import { bytes } from "../hex.ts";
import { linuxKernel, linuxMemory } from "../linux/index.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../model/index.ts";
import type { Syscalls } from "../syscalls.ts";
import { readHugepages } from "../system/hugepages.ts";
import { type Iomem, readIomem } from "../system/iomem.ts";
import { readMemAvailable } from "../system/memory.ts";
import { physicalAddresses } from "../system/pagemap.ts";

export type KernelName = "model" | "linux";
export type PlatformName = NonNullable<ModelOptions["platform"]>;

export interface MachineOptions {
  readonly kernel: KernelName;
  readonly platform: PlatformName;
  /** Groups on the real kernel. The model brings its own. */
  readonly groups: readonly number[];
  readonly highestRam?: bigint;
}

/** The memory to work with: one list of pages of one size. */
export interface Pool {
  readonly pageSize: bigint;
  /** Pages that may be in use at a time. */
  readonly pages: number;
  readonly kind: string;
}

export interface Machine {
  readonly kernelName: KernelName;
  readonly groups: readonly number[];
  /** What the machine's RAM is; undefined where an unprivileged reader is not told. */
  readonly iomem: Iomem | undefined;
  /** Why there is no `iomem`, in the reader's own words. */
  readonly iomemProblem: DmaWindowError | undefined;
  readonly highestRam: bigint | undefined;
  /** Why the memory is the software kernel's; undefined when it is this machine's own. */
  readonly simulatedBecause: string | undefined;
  readonly pool: Pool;
  /** A kernel in its first state. On Linux there is one; every model is another. */
  readonly makeKernel: () => Syscalls | ModelKernel;
  readonly physical: (va: bigint, pages: number, pageSize: number) => ArrayLike<bigint>;
}

/** At most this much is used, and never more than an eighth of what is free: it is a demonstration. */
const BYTES_MAX = 64n << 20n;

/** Hugepages are used when at least so many are free. */
const HUGEPAGES_MIN = 16;

/** POWER has these; the software kernel cannot run on the memory of a machine with others, such as some Arm's 16 KiB. */
const MODEL_PAGE_SIZES: readonly number[] = [4096, 65536];

export function lookAround(options: MachineOptions): Machine {
  const own = linuxKernel().pageSize;
  const fits = options.kernel === "linux" || MODEL_PAGE_SIZES.includes(own);
  const pageSize = fits ? own : 4096;
  const memory = fits ? linuxMemory() : undefined;
  const { iomem, iomemProblem } = ramOf();
  const highestRam = options.highestRam ?? iomem?.highest;
  const realMemory = options.kernel === "linux" || memory !== undefined;
  const why = fits ? "the shim is not there" : `POWER has no pages of ${bytes(own)}, as this machine has`;
  return {
    kernelName: options.kernel,
    groups: options.kernel === "linux" ? options.groups : [26],
    iomem,
    iomemProblem,
    highestRam,
    simulatedBecause: realMemory ? undefined : why,
    pool: choosePool(pageSize, realMemory),
    makeKernel: () =>
      options.kernel === "linux"
        ? linuxKernel()
        : modelKernel({ platform: options.platform, pageSize, ...(memory ? { memory } : {}) }),
    physical: realMemory ? physicalAddresses : inventPhysical(iomem),
  };
}

function ramOf(): Pick<Machine, "iomem" | "iomemProblem"> {
  try {
    return { iomem: readIomem(), iomemProblem: undefined };
  } catch (error) {
    if (!(error instanceof DmaWindowError)) throw error;
    return { iomem: undefined, iomemProblem: error };
  }
}

function choosePool(cpuPageSize: number, realMemory: boolean): Pool {
  const eighth = readMemAvailable() / 8n;
  const budget = eighth < BYTES_MAX ? eighth : BYTES_MAX;
  const huge = realMemory
    ? readHugepages().find(
        (pool) => pool.pageSize <= BYTES_MAX / BigInt(HUGEPAGES_MIN) && pool.available >= HUGEPAGES_MIN,
      )
    : undefined;
  if (huge) {
    const most = Number(BYTES_MAX / huge.pageSize);
    return { pageSize: huge.pageSize, pages: Math.min(huge.available, most), kind: "hugepages" };
  }
  const pages = Math.max(HUGEPAGES_MIN, Number(budget / BigInt(cpuPageSize)));
  return { pageSize: BigInt(cpuPageSize), pages, kind: realMemory ? "ordinary pages" : "simulated pages" };
}

/**
 * Simulated memory has no physical addresses: it is given the lowest of the highest RAM range, in order of asking; or, where
 * the machine does not tell its ranges, low ones, which any RAM that a user may state has.
 */
function inventPhysical(iomem: Iomem | undefined): Machine["physical"] {
  const first = iomem?.ramRanges.at(-1)?.start ?? 1n << 20n;
  const given = new Map<bigint, bigint>();
  return (va, pages, pageSize) =>
    Array.from({ length: pages }, (_, i) => {
      const page = va + BigInt(i) * BigInt(pageSize);
      const address = given.get(page) ?? first + BigInt(given.size) * BigInt(pageSize);
      given.set(page, address);
      return address;
    });
}
