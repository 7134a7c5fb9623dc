/** What keeps a program from VFIO on a machine, by its files alone. */
import { core } from "../core.ts";
import { shimState } from "../linux/index.ts";
import { filesFrom, type PciOptions } from "../pci/look.ts";
import type { Syscalls } from "../syscalls.ts";
import { readContained } from "./contained.ts";
import type { Diagnosis, DoctorFacts, ShimFacts } from "./diagnosis.ts";
import { readPci } from "./groups.ts";
import { readIommu } from "./iommu.ts";
import { type Own, readKernel } from "./kernel.ts";
import { readMemory } from "./memory.ts";
import { notKnown } from "./not-known.ts";
import { readProcess } from "./process.ts";
import { Survey } from "./survey.ts";
import { readVfio } from "./vfio.ts";
import { judgeWays } from "./ways.ts";

/** Where the doctor looks: at this machine, at a kernel's own (`modelKernel()`), or below a directory that has a machine's files. */
export type DoctorOptions = PciOptions;

/**
 * What keeps a program from VFIO here, and what would mend it: a verdict for each way to a device, and the facts behind it. Judged by
 * files alone: no group is opened, nothing is executed, and nothing changes. What may not be looked at is `undefined` in the facts, and
 * named in `facts.notKnown`; it closes no way by itself, so the kernel's answer counts.
 *
 *     const { ready, ways } = doctor();
 *     for (const { way, problems } of ways) for (const { what, fix } of problems) console.log(way, what, fix);
 *
 * Cost: some hundred reads for each PCI device, and a few for each process; tens of milliseconds, and more on large machines. Blocks.
 *
 * @param options `root`: below which directory its `/sys`, `/proc`, `/dev` and `/boot` lie, such as `/host` in a container. The shim is
 * this program's own, and is not asked about then.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for options that are none. Of a machine's files none is so wrong that this throws.
 */
export function doctor(options: DoctorOptions = {}): Diagnosis {
  const survey = new Survey(filesFrom(options));
  const facts = readFacts(survey, ownOf(options), isThisMachine(options));
  const ways = judgeWays(facts, coreProblem());
  return { ready: ways.some(({ way, ready }) => ready && way !== "model"), ways, facts };
}

function readFacts(survey: Survey, own: Own, isThis: boolean): DoctorFacts {
  const kernel = readKernel(survey, own);
  const process = readProcess(survey);
  const facts = {
    kernel,
    container: readContained(survey),
    vfio: readVfio(survey, process, kernel.release),
    iommu: readIommu(survey),
    pci: readPci(survey, process),
    memory: readMemory(survey, process),
    process,
    dynamicWindows: dynamicWindowsOf(survey),
    shim: isThis ? shimFacts() : undefined,
  };
  return { ...facts, notKnown: notKnown(facts) };
}

function isThisMachine({ kernel, root = "/" }: DoctorOptions): boolean {
  return /^\/*$/.test(root) && (kernel === undefined || kernel.name === "linux");
}

/** What this program knows of itself is true of the machine that it runs on. */
function ownOf(options: DoctorOptions): Own {
  if (options.kernel !== undefined) return { pageSize: pageSizeOf(options.kernel) };
  return isThisMachine(options) ? { architecture: ARCHITECTURES[process.arch] } : {};
}

function pageSizeOf(kernel: Syscalls): number | undefined {
  try {
    return kernel.pageSize;
  } catch {
    return undefined; // no /proc
  }
}

const ARCHITECTURES: Readonly<Record<string, Own["architecture"]>> = { x64: "x86", arm64: "arm64", ppc64: "power" };

/** `arch/powerpc/platforms/pseries/iommu.c: find_existing_ddw, query_ddw`: firmware names its calls in the node of a host bridge. */
function dynamicWindowsOf(survey: Survey): boolean | undefined {
  const tree = "/proc/device-tree";
  const bridges = survey.names(tree)?.filter((name) => name.startsWith("pci@")) ?? [];
  if (bridges.length === 0) return undefined;
  if (survey.names(`${tree}/ibm,opal`) !== undefined) return true;
  return bridges.some((bridge) => survey.raw(`${tree}/${bridge}/ibm,ddw-applicable`) !== undefined);
}

function shimFacts(): ShimFacts {
  const { loads, path, chosenBy, why, remedy } = shimState();
  const own = path === undefined ? undefined : /\/prebuilds?\//.test(path) ? "prebuilt" : "built";
  const from = chosenBy === "program" ? "linuxKernel({ shim })" : chosenBy === "environment" ? "DMA_WINDOW_SHIM" : own;
  return { loads, path, from, why, remedy };
}

/** The core is needed by every way, and instantiated when it is first used. */
function coreProblem(): string | undefined {
  try {
    void core.memory;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
