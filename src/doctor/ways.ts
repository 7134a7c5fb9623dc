/** From facts to verdicts: what each way is closed by, and what limits it. Pure. */
import { guards } from "../guards.ts";
import { blocking, type DoctorFacts, type DoctorProblem, type DoctorWay, limiting, type WayName } from "./diagnosis.ts";
import { groupProblems } from "./group-problems.ts";
import {
  containerNodeProblems,
  iommuProblems,
  kernelProblems,
  moduleProblems,
  spaprLimits,
  type1Limits,
} from "./machine-problems.ts";
import { cgroupProblems, hugepageProblems, memlockProblems, physicalProblems } from "./memory-problems.ts";
import type { ModuleName } from "./vfio.ts";

export function judgeWays(facts: DoctorFacts, modelProblem: string | undefined): DoctorWay[] {
  return [
    never("spapr", notPower(facts)) ?? throughIommu("spapr", facts, spaprLimits(facts)),
    never("type1", onPower(facts)) ?? throughIommu("type1", facts, type1Limits(facts)),
    never("noiommu", noIommuNever(facts)) ?? withoutIommu(facts),
    modelWay(modelProblem),
  ];
}

function never(way: WayName, problem: DoctorProblem | undefined): DoctorWay | undefined {
  return problem && { way, ready: false, verdict: "never", problems: [problem] };
}

function wayOf(way: WayName, problems: readonly DoctorProblem[]): DoctorWay {
  const ready = problems.every(({ blocks }) => !blocks);
  const order = [...problems].sort((a, b) => Number(b.blocks) - Number(a.blocks)); // stable: as they were found
  return { way, ready, verdict: ready ? "now" : "after a fix", problems: order };
}

function notPower({ kernel, vfio }: DoctorFacts): DoctorProblem | undefined {
  const { architecture } = kernel;
  if (architecture === "power") return undefined;
  const isLoaded = vfio.modules.some(
    ({ name, state }) => name === "vfio_iommu_spapr_tce" && state !== "missing" && state !== undefined,
  );
  if (architecture === undefined && isLoaded) return undefined;
  const here = architecture === undefined ? "nothing says that this machine is one" : `this is ${NAMES[architecture]}`;
  return blocking(`sPAPR TCE is the IOMMU of POWER, and ${here}`, "use type1 here");
}

const NAMES = { x86: "x86", arm64: "arm64", power: "POWER" } as const;

function onPower({ kernel }: DoctorFacts): DoctorProblem | undefined {
  if (kernel.architecture !== "power") return undefined;
  return blocking("type1 is VFIO's part for the IOMMUs of x86 and Arm, and this is POWER", "use spapr here");
}

/** With an IOMMU before all devices VFIO makes up no groups (`drivers/vfio/group.c: vfio_group_find_or_alloc`). */
function noIommuNever({ iommu, pci, vfio }: DoctorFacts): DoctorProblem | undefined {
  const isUsed = pci.groups.some(({ noIommu }) => noIommu);
  if (isUsed) return undefined;
  if (iommu.state === "on" && pci.withoutGroup.length === 0) {
    return blocking(
      "an IOMMU stands before every device of this machine, so nothing has to go without",
      "use the IOMMU: it keeps devices from memory that is not mapped",
    );
  }
  if (vfio.hasNoIommu !== false) return undefined;
  return blocking(
    "this kernel was built without the mode for devices that have no IOMMU (CONFIG_VFIO_NOIOMMU), as Debian's are",
    "use an IOMMU, or the software kernel (--kernel model); a kernel with that mode would let devices reach all memory",
  );
}

const DRIVER = { spapr: "vfio_iommu_spapr_tce", type1: "vfio_iommu_type1" } as const;

function throughIommu(way: "spapr" | "type1", facts: DoctorFacts, limits: readonly DoctorProblem[]): DoctorWay {
  const needed: readonly ModuleName[] = ["vfio", "vfio_pci", DRIVER[way]];
  const isOn = facts.iommu.state === "on";
  return wayOf(way, [
    ...kernelProblems(facts),
    ...iommuProblems(facts),
    ...moduleProblems(facts, needed),
    ...containerNodeProblems(facts),
    ...(isOn ? groupProblems(facts, false) : []),
    ...memlockProblems(facts),
    ...shimProblems(facts),
    ...(isOn ? limits : []),
    ...hugepageProblems(facts, false),
    ...cgroupProblems(facts, false),
    ...physicalProblems(facts, false),
    ...containerLimits(facts),
  ]);
}

function withoutIommu(facts: DoctorFacts): DoctorWay {
  const { vfio, process } = facts;
  const mode = vfio.modules.find(({ name }) => name === "vfio")?.parameters.enable_unsafe_noiommu_mode;
  const isOn = mode === "Y" || facts.pci.groups.some(({ noIommu }) => noIommu);
  const off = blocking(
    "VFIO's mode for devices without an IOMMU is off",
    "without an IOMMU a device reaches all memory, whatever is mapped: one wrong address, of a program or of whoever talks to the device, " +
      "destroys or gives away anything, and the kernel is tainted from then on. Where that is accepted: " +
      "modprobe vfio enable_unsafe_noiommu_mode=1 (or echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode), then bind the device, and --no-iommu",
  );
  const risk = limiting(
    "devices of these groups reach all memory of this machine, whatever is mapped",
    "use an IOMMU where there can be one; let only trusted programs and devices have this mode",
  );
  const rights = blocking(
    "a group without an IOMMU wants CAP_SYS_RAWIO, which this process does not have",
    "its device reaches all memory, so that only root may have it: let root start the program",
  );
  return wayOf("noiommu", [
    ...kernelProblems(facts),
    ...moduleProblems(facts, ["vfio", "vfio_pci"]),
    ...(isOn ? [risk] : [off]),
    ...containerNodeProblems(facts),
    ...(isOn ? groupProblems(facts, true) : []),
    ...(process.capabilities.CAP_SYS_RAWIO === false ? [rights] : []),
    ...shimProblems(facts),
    ...hugepageProblems(facts, true),
    ...cgroupProblems(facts, true),
    ...physicalProblems(facts, true),
  ]);
}

function shimProblems({ shim }: DoctorFacts): DoctorProblem[] {
  if (shim === undefined || shim.loads) return [];
  return [
    blocking(`the native shim cannot be loaded: ${shim.why ?? "not known why"}`.replace(/\.$/, ""), shim.remedy ?? ""),
  ];
}

/** What else a container takes away, besides nodes and limits. */
function containerLimits({ container, process }: DoctorFacts): DoctorProblem[] {
  if (container === undefined) return [];
  const found: DoctorProblem[] = [];
  if (process.seccomp === true && process.capabilities.CAP_SYS_NICE !== true) {
    found.push(
      limiting(
        "a seccomp filter is on: docker's own refuses mbind without CAP_SYS_NICE, so that memory cannot be bound to a NUMA node",
        `the filter keeps a broken program from calls that it does not need; where nodes are asked for (addList({ node })), and for that alone: docker run --cap-add SYS_NICE`,
      ),
    );
  }
  if (process.isInFirstUserNamespace === false) {
    found.push(
      limiting(
        "this container has a user namespace: capabilities of its root do not count for VFIO, pagemap or /proc/iomem",
        `give the node to the user outside that its processes run as, and a limit of its own: ${guards.lockedMemory}`,
      ),
    );
  }
  return found;
}

function modelWay(problem: string | undefined): DoctorWay {
  if (problem === undefined) return { way: "model", ready: true, verdict: "now", problems: [] };
  const fix = "start the program with an engine that runs WebAssembly (without --jitless)";
  return { way: "model", ready: false, verdict: "after a fix", problems: [blocking(problem, fix)] };
}
