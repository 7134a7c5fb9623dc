import { VfioCall, vfioCallName } from "../../syscalls.ts";

/** How often a call was made, and how often it was answered with a failure: a negative errno, or a positive number of an ioctl. */
export interface CallCount {
  readonly calls: number;
  readonly failed: number;
}

/** What all processes of the machine did since it was started. */
export interface ModelCounters {
  /** By name: `VFIO_IOMMU_MAP_DMA`, `open`, `mmap`. Calls that were never made are not named; unknown ioctls are `other`. */
  readonly calls: Readonly<Record<string, CallCount>>;
  /** Pages of 4 KiB of IOVA that MAP_DMA made live; one that was live already counts again. */
  readonly pagesMapped: number;
  /** Pages of 4 KiB of IOVA that were live and then were not, by whichever call. */
  readonly pagesUnmapped: number;
}

/** Calls of the seam that are no ioctls. */
const others = [
  "open",
  "close",
  "mmap",
  "munmap",
  "mbind",
  "view",
  "unview",
  "physicalAddresses",
  "lockedMemory",
  "pread",
  "pwrite",
  "registers",
  "eventfd",
  "takeEvents",
  "listen",
] as const;
export type OtherCall = (typeof others)[number];

/** Ioctls have the first places; those that nobody knows share the place behind them. */
const ioctls: readonly number[] = Object.values(VfioCall);
const UNKNOWN = ioctls.length;
const placeOfIoctl = Uint8Array.from({ length: Math.max(...ioctls) + 1 }, (_, call) => {
  const place = ioctls.indexOf(call);
  return place < 0 ? UNKNOWN : place;
});
const placeOf = new Map(others.map((name, index) => [name, UNKNOWN + 1 + index]));
const PLACES = UNKNOWN + 1 + others.length;

/** Counts. Cost: an addition for each call, and no memory. */
export class Counting {
  readonly #calls = new Float64Array(PLACES);
  readonly #failed = new Float64Array(PLACES);
  pagesMapped = 0;
  pagesUnmapped = 0;

  ioctl(call: number, result: number): void {
    const place = placeOfIoctl[call] ?? UNKNOWN;
    this.#calls[place] = (this.#calls[place] as number) + 1;
    if (result !== 0 && isFailure(call, result)) this.#failed[place] = (this.#failed[place] as number) + 1;
  }

  other(name: OtherCall, failed: boolean): void {
    const place = placeOf.get(name) as number;
    this.#calls[place] = (this.#calls[place] as number) + 1;
    if (failed) this.#failed[place] = (this.#failed[place] as number) + 1;
  }

  report(): ModelCounters {
    const calls: Record<string, CallCount> = {};
    for (let place = 0; place < PLACES; place++) {
      const count = this.#calls[place] as number;
      if (count > 0) calls[nameOf(place)] = { calls: count, failed: this.#failed[place] as number };
    }
    return { calls, pagesMapped: this.pagesMapped, pagesUnmapped: this.pagesUnmapped };
  }
}

/** These answer with a number that says something; from others a positive one means failure. */
function isFailure(call: number, result: number): boolean {
  return result < 0 || (call !== VfioCall.CHECK_EXTENSION && call !== VfioCall.GROUP_GET_DEVICE_FD);
}

function nameOf(place: number): string {
  if (place < UNKNOWN) return vfioCallName(ioctls[place] as number);
  return place === UNKNOWN ? "other" : (others[place - UNKNOWN - 1] as string);
}
