/** What is common to the planners of all IOMMUs: page sizes to consider, refusals in words, and what a charge may be. */
import { core } from "../core.ts";
import { guards } from "../guards.ts";
import { bytes, hex } from "../hex.ts";
import type { IommuInfo, SpaprInfo } from "../iommu.ts";
import { type Needs, shiftOf } from "./needs.ts";
import type { ExactRequest, Rejection } from "./types.ts";

/** One bit of bookkeeping for each TCE: the core keeps at most so many. */
const TCES_MAX = 1n << 36n;

/** What a plan says of tables where the kernel keeps none that are charged: type1, and no IOMMU. */
export const NO_TABLES = { levels: 0, levelBytes: [], tableBytes: 0n, chargeBytes: 0n } as const;

/** The page shifts of a mask, largest first. */
export function pageShifts(mask: bigint): number[] {
  const shifts: number[] = [];
  for (let shift = 63; shift >= 0; shift--) if ((mask >> BigInt(shift)) & 1n) shifts.push(shift);
  return shifts;
}

export function pages(shift: number): string {
  return `${bytes(1n << BigInt(shift))} pages`;
}

/** Why memory cannot be mapped by pages of that size; undefined when it can. */
export function pageProblem(shift: number, needs: Needs, info: IommuInfo): string | undefined {
  if (shift < 12) return "smaller than 4 KiB: no memory is managed in smaller pieces";
  const small = needs.lists.find((list) => shiftOf(list) < shift);
  if (small) {
    const number = needs.declared.indexOf(small);
    return `list ${number} at ${hex(small.base)} has ${pages(shiftOf(small))}: one IOMMU page would span several of them`;
  }
  if (needs.lists.length === 0 && 1n << BigInt(shift) > BigInt(info.cpuPageSize)) {
    return `no list says that memory comes in pages larger than the CPU's ${bytes(info.cpuPageSize)}`;
  }
  return undefined;
}

/** Why the window's bookkeeping cannot be; undefined when it can. */
export function sizeProblem(windowShift: number, shift: number): string | undefined {
  if (windowShift > 63) return `the window would be 2^${windowShift} bytes; a size has 64 bits`;
  const tces = 1n << BigInt(windowShift - shift);
  if (tces > TCES_MAX) return `${tces} pages; at most ${TCES_MAX} can be kept track of`;
  return undefined;
}

/** Why RLIMIT_MEMLOCK would refuse the charge together with the memory that is not locked yet; undefined when it would not. */
export function budgetProblem(charge: bigint, { info, memory }: ExactRequest): string | undefined {
  const memoryBytes = memory.bytes > memory.held.bytes ? memory.bytes - memory.held.bytes : 0n;
  const { limit, used, privileged } = info.lockedMemory;
  if (privileged || limit === null) return undefined;
  const left = limit > used ? limit - used : 0n;
  if (charge + memoryBytes <= left) return undefined;
  return (
    `${bytes(charge)} of tables and ${bytes(memoryBytes)} of memory would be locked; ` +
    `RLIMIT_MEMLOCK is ${bytes(limit)}, ${bytes(used)} used, ${bytes(left)} left: ${guards.lockedMemory}; raise it with ulimit -l, or run with CAP_IPC_LOCK`
  );
}

/** Why the device does not reach the window's end; undefined when it does. */
export function deviceProblem(maskBits: number, deviceBits: number | undefined): string | undefined {
  if (deviceBits === undefined || maskBits <= deviceBits) return undefined;
  return `its last IOVA needs ${maskBits} address bits; the device has ${deviceBits}`;
}

/** On sPAPR: IOVAs that are addresses can only be mapped where the window is. */
export function startProblem(start: bigint, needs: Needs, info: SpaprInfo): string | undefined {
  if (needs.iovaMode === "rebased" || start === 0n) return undefined;
  const what = info.platform === "pseries" ? "firmware puts it" : "the kernel puts it";
  return `IOVA mode ${needs.iovaMode} needs a window from 0 to ${hex(needs.last)}; ${what} at ${hex(start)}: use IOVA mode rebased`;
}

/** The shift of the smallest power of two that holds offsets up to `last`, and is no smaller than a page. */
export function windowShiftFor(last: bigint, shift: number): number {
  return Math.max(last === 0n ? 0 : core.maskBits(last), shift);
}

/** So many sizes in a row that are refused for one reason have a line each: an IOMMU that names every size has dozens. */
const LINES_OF_A_RUN = 3;

/** A choice of a page size, or another one. */
interface Noted extends Rejection {
  readonly pageShift?: number;
  readonly detail?: string;
}

export class Rejections {
  readonly #noted: Noted[] = [];

  /** Notes the choice if there is a reason against it, and says whether there is. */
  note(choice: string, reason: string | undefined): boolean {
    if (reason === undefined) return false;
    this.#noted.push({ choice, reason });
    return true;
  }

  /** The same for pages of a size, with what else the choice is: `, 4 GiB of IOVAs`. */
  notePages(pageShift: number, detail: string, reason: string | undefined): boolean {
    if (reason === undefined) return false;
    this.#noted.push({ choice: `${pages(pageShift)}${detail}`, reason, pageShift, detail });
    return true;
  }

  /** In the order in which they came; a long run of page sizes with the same reason is one choice, of all of them. */
  get list(): readonly Rejection[] {
    const runs: Noted[][] = [];
    for (const noted of this.#noted) {
      const run = runs.at(-1);
      const [first] = run ?? [];
      const same = noted.pageShift !== undefined && first?.detail === noted.detail && first?.reason === noted.reason;
      if (run !== undefined && same) run.push(noted);
      else runs.push([noted]);
    }
    return runs.flatMap((run) => {
      if (run.length > LINES_OF_A_RUN) return [wholeRun(run)];
      return run.map(({ choice, reason }) => ({ choice, reason }));
    });
  }
}

/** `4 MiB to 8 EiB pages (42 sizes)`. */
function wholeRun(run: readonly Noted[]): Rejection {
  // Sizes come largest first.
  const [largest, smallest] = [run[0], run.at(-1)] as [Noted, Noted];
  const from = bytes(1n << BigInt(smallest.pageShift ?? 0));
  const choice = `${from} to ${pages(largest.pageShift ?? 0)} (${run.length} sizes)${largest.detail}`;
  return { choice, reason: largest.reason };
}
