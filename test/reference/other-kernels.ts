/**
 * The kernels behind the core's calls that are not sPAPR's, on plain collections: the part of Linux's type1 driver that maps
 * and unmaps, and a container without an IOMMU, which has no such part.
 *
 * type1's is stricter than the kernel: what the kernel would refuse because the library had lost count, it throws.
 */
import { constants } from "node:os";
import { Status } from "../../src/core.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { overlap } from "./range.ts";
import { mapStruct, unmapStruct } from "./structs.ts";
import { type Call, fieldsOf, mustBeUnmap, notOfABatch, type Request, type Twin } from "./twin.ts";
import type { WindowTwin } from "./window.ts";

const { EINVAL } = constants.errno;

/** One MAP of the kernel's: never cut, never joined. */
interface KernelMap {
  readonly iova: bigint;
  readonly length: bigint;
}

export class Type1KernelTwin implements Twin {
  readonly iommu: number;
  readonly windows: WindowTwin[];
  maps: readonly KernelMap[] = [];

  constructor(version: 1 | 2, windows: WindowTwin[]) {
    this.iommu = version === 1 ? IommuType.TYPE1 : IommuType.TYPE1v2;
    this.windows = windows;
  }

  get pieces(): number {
    return this.maps.length;
  }

  hasIdle(): boolean {
    return false;
  }

  clone(): Type1KernelTwin {
    const copy = new Type1KernelTwin(
      this.iommu === IommuType.TYPE1 ? 1 : 2,
      this.windows.map((window) => window.clone()),
    );
    copy.maps = this.maps;
    return copy;
  }

  mapStatus(): number {
    return Status.OK;
  }

  unmapStatus({ iova, length }: Request): number {
    return this.#touched(iova, length).some((map) => !within(map, iova, length)) ? Status.CUTS_MAP : Status.OK;
  }

  *mapCalls({ va, iova, length, permission = 0 }: Request): Iterable<Call> {
    yield [VfioCall.IOMMU_MAP_DMA, mapStruct(permission, va, iova, length)];
  }

  *unmapCalls({ iova, length }: Request): Iterable<Call> {
    yield [VfioCall.IOMMU_UNMAP_DMA, unmapStruct(iova, length)];
  }

  execute(call: number, bytes: Uint8Array): number {
    const { argsz, flags, field } = fieldsOf(bytes);
    switch (call) {
      case VfioCall.IOMMU_MAP_DMA:
        return argsz < 32 || flags < 1 || flags > 3 ? -EINVAL : this.#map(field(8), field(16), field(24));
      case VfioCall.IOMMU_UNMAP_DMA:
        mustBeUnmap(argsz);
        if (flags !== 0) return -EINVAL;
        // The kernel writes back how many bytes it has unmapped.
        new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(16, this.#unmap(field(8), field(16)), true);
        return 0;
      default:
        throw notOfABatch(call);
    }
  }

  #touched(iova: bigint, length: bigint): KernelMap[] {
    return this.maps.filter((map) => overlap(iova, iova + length - 1n, map.iova, map.iova + map.length - 1n));
  }

  #map(va: bigint, iova: bigint, length: bigint): number {
    if (this.#touched(iova, length).length > 0) throw new Error(`MAP_DMA over a map at 0x${iova.toString(16)}: EEXIST`);
    const window = this.windows.find((each) => each.contains(iova, length));
    if (window === undefined) throw new Error("MAP_DMA outside every window");
    this.maps = [...this.maps, { iova, length }];
    for (const page of window.pages(iova, length)) window.setPage(page, va + page - iova);
    return 0;
  }

  #unmap(iova: bigint, length: bigint): bigint {
    const touched = this.#touched(iova, length);
    if (touched.some((map) => !within(map, iova, length))) throw new Error("UNMAP_DMA cuts a map");
    this.maps = this.maps.filter((map) => !touched.includes(map));
    for (const map of touched) {
      for (const window of this.windows) {
        if (!window.contains(map.iova, map.length)) continue;
        for (const page of window.pages(map.iova, map.length)) window.clearPage(page);
      }
    }
    return touched.reduce((sum, map) => sum + map.length, 0n);
  }
}

function within(map: KernelMap, iova: bigint, length: bigint): boolean {
  return map.iova >= iova && map.iova + map.length <= iova + length;
}

/** No IOMMU: what the library has on record is all there is, and a call is a mistake. */
export class NoIommuTwin implements Twin {
  readonly iommu = IommuType.NOIOMMU;
  readonly windows: WindowTwin[];
  readonly pieces = 0;
  readonly direct = {
    map(window: WindowTwin, { va, iova, length }: Request): void {
      for (const page of window.pages(iova, length)) window.setPage(page, va + page - iova);
    },
    unmap(window: WindowTwin, { iova, length }: Request): void {
      for (const page of window.pages(iova, length)) window.clearPage(page);
    },
  };

  constructor(windows: WindowTwin[]) {
    this.windows = windows;
  }

  hasIdle(): boolean {
    return false;
  }

  clone(): NoIommuTwin {
    return new NoIommuTwin(this.windows.map((window) => window.clone()));
  }

  execute(call: number): number {
    throw notOfABatch(call);
  }

  mapStatus(): number {
    return Status.OK;
  }

  unmapStatus(): number {
    return Status.OK;
  }

  mapCalls(): Iterable<Call> {
    return [];
  }

  unmapCalls(): Iterable<Call> {
    return [];
  }
}
