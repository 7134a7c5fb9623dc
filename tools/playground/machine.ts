/** The machine that the settings describe: a software kernel, what its container says of the IOMMU, and the plan that comes of it. */
import type { Machine } from "../../src/cli/machine.ts";
import { openContainer } from "../../src/container/open.ts";
import type { IommuInfo } from "../../src/iommu.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type PlanRequest, planWindow, type WindowPlan } from "../../src/plan/index.ts";
import { parseIomem } from "../../src/system/iomem.ts";
import type { Settings } from "./settings.ts";

const GROUP = 26;

/** VT-d leaves out the place of the interrupts; an SMMU, with larger pages of the CPU, another one. The model's own are the same. */
const INTERRUPTS = { vtd: [0xfee00000n, 0xfeefffffn], smmu: [0x8000000n, 0x80fffffn] } as const;

export function planFor(settings: Settings): WindowPlan {
  return planWindow(requestFor(settings));
}

/** What the planner is asked. */
export function requestFor(settings: Settings): PlanRequest {
  const { platform, iovaMode, memory, page, base, highestRam, deviceBits } = settings;
  return {
    iovaMode,
    memory: { lists: [{ base, length: roundUp(memory, page), pageSize: page }] },
    info: infoOf(modelKernel(optionsFor(settings)), platform === "noiommu"),
    deviceAddressBits: deviceBits,
    ...(highestRam === undefined || iovaMode !== "pa" ? {} : { highestRam }),
  };
}

/** The largest page of a storm's memory: the account of what is live has an entry for every 4 KiB. */
const STORM_PAGE_MAX = 2n << 20n;

/** The same machine for a storm, whose memory lies in the software kernel's RAM, in pages of 2 MiB at most. */
export function stormMachine(asked: Settings, pages: number): Machine {
  const settings = { ...asked, page: asked.page < STORM_PAGE_MAX ? asked.page : STORM_PAGE_MAX };
  const makeKernel = () => modelKernel(optionsFor(settings, 2n * BigInt(pages)));
  const iomem = parseIomem(makeKernel().files.text("/proc/iomem") as string);
  return {
    kernelName: "model",
    platform: settings.platform,
    groups: [GROUP],
    noIommu: settings.platform === "noiommu",
    iomem,
    iomemProblem: undefined,
    highestRam: iomem.highest,
    simulatedBecause: "this is a browser",
    pool: { pageSize: settings.page, pages, kind: "simulated pages" },
    makeKernel,
  };
}

function infoOf(kernel: ModelKernel, noIommu: boolean): IommuInfo {
  const container = openContainer({ kernel, groups: [GROUP], noIommu });
  try {
    return container.info();
  } finally {
    container.close();
  }
}

function optionsFor(settings: Settings, needed?: bigint): ModelOptions {
  const { platform, cpuPage, memlock, privileged } = settings;
  const type1 = platform === "type1" ? { ranges: rangesOf(settings), dmaEntryLimit: settings.entries } : {};
  return {
    platform,
    pageSize: cpuPage,
    lockedMemory: { limit: memlock, privileged: privileged || platform === "noiommu" },
    hugepages: poolOf(settings, needed),
    ...type1,
  };
}

/** Pages of the CPU's size need no pool. */
function poolOf({ page, cpuPage, memory, hugepages }: Settings, needed?: bigint): Readonly<Record<number, number>> {
  if (page <= cpuPage) return {};
  const enough = Number(needed ?? roundUp(memory, page) / page); // pages of 64 KiB at least: below 2^48
  return { [page.toString(2).length - 1]: needed === undefined ? (hugepages ?? enough) : enough };
}

function rangesOf({ iommuBits, cpuPage }: Settings) {
  const [first, last] = cpuPage > 4096n ? INTERRUPTS.smmu : INTERRUPTS.vtd;
  const end = 1n << BigInt(iommuBits);
  return [
    { start: 0n, last: first - 1n },
    { start: last + 1n, last: end - 1n },
  ];
}

function roundUp(value: bigint, unit: bigint): bigint {
  return ((value + unit - 1n) / unit) * unit;
}
