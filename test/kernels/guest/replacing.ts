/**
 * The scheme that static windows replaced, under a library that knows nothing of it: the window that the kernel has is as large as what is
 * mapped, and when something is mapped behind its end, all of it is unmapped, the window removed, one twice as large made in its
 * place, and all mapped again. For the library nothing has changed; a device at work meets no memory meanwhile.
 */

import { type Syscalls, VfioCall } from "../../../src/syscalls.ts";
import { type Passing, Through } from "../../../src/through.ts";
import { startAddress, struct } from "./structs.ts";

interface Map {
  readonly va: bigint;
  readonly size: bigint;
  readonly flags: number;
}

/** As the kernel was told to make it; of type1 there is none to be made. */
interface Made {
  readonly start: bigint;
  readonly pageShift: bigint;
  readonly levels: bigint;
}

export class ReplacingKernel extends Through {
  readonly #first: bigint;
  readonly #maps = new globalThis.Map<bigint, Map>();
  #made: Made | undefined;
  #size: bigint;
  /** How often the window was replaced. */
  replaced = 0;

  /** `first`: bytes of the window at first, a power of two. */
  constructor(inner: Syscalls, first: bigint) {
    super(inner);
    this.#first = first;
    this.#size = first;
  }

  protected override pass<R extends number | bigint>(call: Passing, make: () => R): R {
    const { memory, at = 0, fd = -1 } = call;
    if (memory === undefined) return make();
    const fields = new DataView(memory.buffer, memory.byteOffset + at);
    switch (call.call) {
      case VfioCall.IOMMU_SPAPR_TCE_CREATE:
        return this.#create(fields, make);
      case VfioCall.IOMMU_MAP_DMA:
        return this.#map(fd, fields, make);
      case VfioCall.IOMMU_UNMAP_DMA:
        return this.#unmap(fields, make);
      default:
        return make();
    }
  }

  /** A small one, of which the library hears nothing. */
  #create<R extends number | bigint>(fields: DataView, make: () => R): R {
    const wanted = fields.getBigUint64(16, true);
    fields.setBigUint64(16, this.#first, true);
    const answer = make();
    fields.setBigUint64(16, wanted, true);
    const made = { pageShift: BigInt(fields.getUint32(8, true)), levels: BigInt(fields.getUint32(24, true)) };
    if (answer === 0) this.#made = { ...made, start: fields.getBigUint64(32, true) };
    this.#size = this.#first;
    return answer;
  }

  #map<R extends number | bigint>(fd: number, fields: DataView, make: () => R): R {
    const [va, iova, size] = [8, 16, 24].map((at) => fields.getBigUint64(at, true)) as [bigint, bigint, bigint];
    const end = iova + size - (this.#made?.start ?? 0n);
    if (end > this.#size) this.#replace(fd, end);
    const answer = make();
    if (answer === 0) this.#maps.set(iova, { va, size, flags: fields.getUint32(4, true) });
    return answer;
  }

  #unmap<R extends number | bigint>(fields: DataView, make: () => R): R {
    const [iova, size] = [fields.getBigUint64(8, true), fields.getBigUint64(16, true)];
    const answer = make();
    if (Number(answer) < 0) return answer;
    for (const [at, map] of this.#maps) if (at >= iova && at + map.size <= iova + size) this.#maps.delete(at);
    return answer;
  }

  #replace(fd: number, end: bigint): void {
    for (const [iova, { size }] of this.#maps) this.#ask(fd, VfioCall.IOMMU_UNMAP_DMA, struct(24, 0, iova, size));
    while (this.#size < end) this.#size *= 2n;
    if (this.#made !== undefined) {
      const { start, pageShift, levels } = this.#made;
      this.#ask(fd, VfioCall.IOMMU_SPAPR_TCE_REMOVE, struct(16, 0, start));
      const made = struct(40, 0, pageShift, this.#size, levels, 0n);
      this.#ask(fd, VfioCall.IOMMU_SPAPR_TCE_CREATE, made);
      if (startAddress(made) !== start) throw new Error("the new window is in another place than the old one");
    }
    for (const [iova, { va, size, flags }] of this.#maps) {
      this.#ask(fd, VfioCall.IOMMU_MAP_DMA, struct(32, flags, va, iova, size));
    }
    this.replaced++;
  }

  #ask(fd: number, call: VfioCall, bytes: Uint8Array): void {
    const answer = this.inner.ioctlStruct(fd, call, bytes, 0);
    if (answer !== 0) throw new Error(`call ${call} of the scheme that replaces windows: ${answer}`);
  }
}
