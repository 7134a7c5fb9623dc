import type { Expected, How } from "./drift.ts";
import type { Program } from "./program.ts";

/**
 * What a kernel is asked, and what it answers: one line in one of the files of `rows/`.
 *
 *     ["the same range again", SPAPR, o(doAlloc), "0, EBUSY", (p) => [p.register(p.va, p.page), p.register(p.va, p.page)]],
 *       situation              where  source      answer      what is done, from the state that the section begins with
 *
 * The answer is what the function returns, in the words of {@link words}; where kernels differ it says from which version on
 * (`before` in `drift.ts`). Whatever stays charged after the last descriptor
 * was closed is added to it by the runner (`; 64 MiB stay charged`), so no row can leak without saying so.
 */
export type Row = readonly [
  situation: string,
  where: Where,
  source: Source,
  answer: Expected,
  act: (program: Program) => Answer | readonly Answer[],
  needs?: Needs,
];

/** A negative errno or another number, an address, a text, a truth. */
export type Answer = number | bigint | string | boolean;

/** The rows of one call of VFIO. */
export interface Section {
  /** The call as the manual names it: the heading of its table. */
  readonly call: string;
  /** The state that every row of the section begins with. */
  readonly begin: Beginning;
  readonly rows: readonly Row[];
}

/**
 * - `nothing`: no descriptor is open;
 * - `container`: a container holds the first group, and has its IOMMU;
 * - `registered`: that, and the first 8 of the program's 16 pages are registered (sPAPR);
 * - `device`: a container holds the group of an NVMe controller, has its IOMMU, and the controller is open;
 * - `card`: the same of a network card;
 * - `port`: the same of an NVMe controller behind a root port.
 */
export type Beginning = "nothing" | "container" | "registered" | "device" | "card" | "port";

/** The kernels that a row is about. */
export interface Where {
  readonly label: string;
  covers(platform: PlatformName, pageSize: number): boolean;
}

export type PlatformName = "powernv" | "pseries" | "type1 v2" | "type1 v1" | "noiommu";

/** Who says so. */
export interface Source {
  /** Seen on a real kernel, in an emulated machine, or only read. */
  readonly how: How;
  /** File and function of Linux 6.12. */
  readonly where: string;
}

/** What not every machine has. */
export interface Needs {
  /** More than one group: how many. */
  readonly groups?: number;
  /** RLIMIT_MEMLOCK in bytes or in pages of the CPU, without CAP_IPC_LOCK, in a process that has locked nothing. */
  readonly limit?: { readonly bytes: bigint } | { readonly pages: bigint };
  /** A second process that has the descriptors too. */
  readonly process?: true;
  /** Hugepages in the pool: the page shift, and how many. */
  readonly hugepages?: readonly [shift: number, count: number];
  /** The name of a device in the group. */
  readonly device?: true;
  /** A device that reads and writes memory where it is told. */
  readonly dma?: true;
  /** QEMU's NVMe controller in a group of its own, or the software one. */
  readonly nvme?: true;
  /** QEMU's network card (e1000e) in a group of its own, or one with the same BARs and interrupts. */
  readonly card?: true;
  /** QEMU's NVMe controller behind a root port of x86, or the software one on another bus than the first. */
  readonly port?: true;
  /** A call that the seam does not have; of those that concern memory the software kernel has none. */
  readonly raw?: "ioctl" | "memory";
  /** A process that a signal ends, which no software kernel's is. */
  readonly signal?: true;
  /** Memory of a device (a BAR), mmapped into the process. */
  readonly deviceMemory?: true;
  /**
   * The kernel is not itself any more afterwards: such a row gets a boot of its own. On PowerNV that is so of every MAP past a
   * window's end, and of UNMAP where that is not refused: they write behind its table.
   */
  readonly reboot?: true;
}

function where(label: string, ...platforms: readonly PlatformName[]): Where {
  return { label, covers: (platform) => platforms.includes(platform) };
}

export const POWERNV = where("PowerNV", "powernv");
export const PSERIES = where("pSeries", "pseries");
export const SPAPR = where("PowerNV, pSeries", "powernv", "pseries");
export const V2 = where("type1 v2", "type1 v2");
export const V1 = where("type1 v1", "type1 v1");
export const TYPE1 = where("type1 v1, v2", "type1 v1", "type1 v2");
export const NOIOMMU = where("no-IOMMU", "noiommu");
export const ANY = where("all", "powernv", "pseries", "type1 v1", "type1 v2", "noiommu");

/** A device's file, and registers that are mapped, are the same with both versions of type1: the newer one is asked. */
export const DEVICES = where("all", "powernv", "pseries", "type1 v2");
export const DEVICES_OF_TYPE1 = where("type1", "type1 v2");
export const ON_ROOT_BUS = where("type1, pSeries", "type1 v2", "pseries");

/** Rows about a network card. */
export const ofCard = (rows: readonly Row[]): readonly Row[] => needing({ card: true }, rows);

/** Rows about one behind a root port. */
export const ofPort = (rows: readonly Row[]): readonly Row[] => needing({ port: true }, rows);

/** Whether a row is about a device for which there is a part of its own. */
export function isAboutDevice({ nvme, card, port }: Needs): boolean {
  return nvme === true || card === true || port === true;
}

/** Rows about an NVMe controller. */
export const ofNvme = (rows: readonly Row[]): readonly Row[] => needing({ nvme: true }, rows);

const needing = (more: Needs, rows: readonly Row[]): Row[] =>
  rows.map(([situation, covers, source, answer, act, needs]) => [
    situation,
    covers,
    source,
    answer,
    act,
    { ...needs, ...more },
  ]);

/** The same with CPU pages of one size only. */
export const with4K = ({ label, covers }: Where): Where => ({
  label: `${label}, 4K kernel`,
  covers: (platform, pageSize) => pageSize === 4096 && covers(platform, pageSize),
});
export const with64K = ({ label, covers }: Where): Where => ({
  label: `${label}, 64K kernel`,
  covers: (platform, pageSize) => pageSize === 65536 && covers(platform, pageSize),
});

/** Observed: `file: function` of Linux 6.12 is where the rule stands. */
export const o = (at: string): Source => ({ how: "observed", where: at });

/** Read there, and not yet seen. */
export const s = (at: string): Source => ({ how: "read", where: at });

/** RLIMIT_MEMLOCK, without CAP_IPC_LOCK. */
export const limit = (bytes: bigint): Needs => ({ limit: { bytes } });
export const limitPages = (pages: bigint): Needs => ({ limit: { pages } });
