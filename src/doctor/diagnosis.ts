/** What the doctor says: plain data. Sizes and addresses are bigints; `undefined` is "not known". */
import type { ContainerFacts } from "./contained.ts";
import type { PciFacts } from "./groups.ts";
import type { IommuFacts } from "./iommu.ts";
import type { KernelFacts } from "./kernel.ts";
import type { MemoryFacts } from "./memory.ts";
import type { ProcessFacts } from "./process.ts";
import type { VfioFacts } from "./vfio.ts";

/**
 * The ways to a device: `spapr` is POWER's IOMMU, `type1` that of x86 and Arm, `noiommu` VFIO without any; `model` is the software
 * kernel, which needs no device.
 */
export type WayName = "spapr" | "type1" | "noiommu" | "model";

export interface DoctorProblem {
  /** What is the case. */
  readonly what: string;
  /** The command that mends it, or what to do; where it lowers a guard, that guard's purpose first. */
  readonly fix: string;
  /** Whether the way is closed until it is mended. What does not block limits. */
  readonly blocks: boolean;
}

export interface DoctorWay {
  readonly way: WayName;
  /** Whether a program can go it now, as far as files tell: nothing was opened. */
  readonly ready: boolean;
  readonly verdict: "now" | "after a fix" | "never";
  readonly problems: readonly DoctorProblem[];
}

/** The native shim that this program would make its system calls through. */
export interface ShimFacts {
  readonly loads: boolean;
  readonly path: string | undefined;
  /** `built`: on this machine, by installing or by hand; `prebuilt`: it came with the package; else who named it. */
  readonly from: "built" | "prebuilt" | "DMA_WINDOW_SHIM" | "linuxKernel({ shim })" | undefined;
  readonly why: string | undefined;
  readonly remedy: string | undefined;
}

export interface DoctorFacts {
  readonly kernel: KernelFacts;
  /** `undefined`: nothing speaks for one. */
  readonly container: ContainerFacts | undefined;
  readonly vfio: VfioFacts;
  readonly iommu: IommuFacts;
  readonly pci: PciFacts;
  readonly memory: MemoryFacts;
  readonly process: ProcessFacts;
  /** On POWER: whether firmware offers windows that a program makes. */
  readonly dynamicWindows: boolean | undefined;
  /** `undefined` where the files are another machine's, whose programs have a shim of their own. */
  readonly shim: ShimFacts | undefined;
  /** What could not be looked at, a sentence each. */
  readonly notKnown: readonly string[];
}

export interface Diagnosis {
  /** Whether a way to a real device is ready. */
  readonly ready: boolean;
  readonly ways: readonly DoctorWay[];
  readonly facts: DoctorFacts;
}

export function blocking(what: string, fix: string): DoctorProblem {
  return { what, fix, blocks: true };
}

export function limiting(what: string, fix: string): DoctorProblem {
  return { what, fix, blocks: false };
}
