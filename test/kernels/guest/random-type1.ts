/** Random calls of type1, of both versions: most of them sensible, some with one thing wrong. */
import { IommuType, VfioCall } from "../../../src/syscalls.ts";
import { RandomCalls, type Range } from "./random-calls.ts";
import { struct } from "./structs.ts";

/** Where maps are made, in pages behind each: the beginning, both sides of the hole for interrupts, the last IOVAs. */
const PLACES = [0n, 0x100_0000n, 0xfedf_0000n, 0xfeef_8000n, (1n << 48n) - 0x4_0000n] as const;
const PAGES_OF_A_PLACE = 64n;

/** `flags` of VFIO_IOMMU_UNMAP_DMA: everything. */
const ALL = 2;

interface Map {
  readonly iova: bigint;
  readonly size: bigint;
}

export class Type1Calls extends RandomCalls {
  readonly essential = [VfioCall.IOMMU_MAP_DMA, VfioCall.IOMMU_UNMAP_DMA, VfioCall.IOMMU_SPAPR_TCE_GET_INFO];
  #mapped: Map[] = [];

  /** Either version: the first one has a rule of its own for parts of maps. */
  begin(): void {
    this.open(this.pick(IommuType.TYPE1v2, IommuType.TYPE1v2, IommuType.TYPE1));
    this.#mapped = [];
  }

  step(): void {
    const kind = this.random.below(1000);
    if (kind < 450) this.#map();
    else if (kind < 850) this.#unmap();
    else if (kind < 900) this.#info();
    else if (kind < 940) this.twins.ioctl(this.container, VfioCall.CHECK_EXTENSION, this.random.below(12));
    else if (kind < 955) this.twins.ioctl(this.container, VfioCall.SET_IOMMU, this.pick(1, 2, 3, 7, 8));
    else if (kind < 970) this.#ofSpapr();
    else this.twins.struct(this.group, VfioCall.GROUP_GET_STATUS, struct(this.pick(8, 8, 7, 12), 0xff));
  }

  #map(): void {
    const { va, size } = this.#memory();
    const flags = this.random.once(30) ? this.pick(0, 8, 11) : this.pick(1, 2, 3, 3, 3);
    const iova = this.#iova();
    const answer = this.ask(VfioCall.IOMMU_MAP_DMA, struct(this.argsz(32), flags, va, iova, size));
    if (answer === 0) this.#mapped.push({ iova, size });
  }

  /** A map as it was made, a part of one, several at once, or anything. */
  #unmap(): void {
    const { iova, size } = this.#target();
    const everything = this.random.once(200);
    const flags = everything ? ALL : this.random.once(60) ? this.pick(8, 16) : 0;
    const [from, length] = everything && !this.random.once(3) ? [0n, 0n] : [iova, size];
    const answer = this.ask(VfioCall.IOMMU_UNMAP_DMA, struct(this.argsz(24), flags, from, length));
    if (answer !== 0) return;
    // A part that was not unmapped is asked for again some time: it does no harm.
    this.#mapped = everything ? [] : this.#mapped.filter((one) => one.iova < iova || one.iova >= iova + size);
  }

  #target(): Map {
    if (this.#mapped.length === 0 || this.random.once(8)) return { iova: this.#iova(), size: this.#pages() };
    const one = this.random.pick(this.#mapped);
    switch (this.random.below(12)) {
      case 0:
        return { ...one, size: this.page };
      case 1:
        return { iova: one.iova + this.page, size: one.size };
      case 2:
        return { ...one, size: one.size + 8n * this.page };
      case 3:
        return { iova: one.iova - (one.iova === 0n ? 0n : this.page), size: one.size + 2n * this.page };
      case 4:
        return { ...one, size: one.size + 512n };
      default:
        return one;
    }
  }

  /** The chain of capabilities comes only where there is room for it; how much there is changes with every map. */
  #info(): void {
    const argsz = this.random.once(3) ? this.pick(8, 15, 16, 20, 24, 100, 111) : 256;
    this.ask(VfioCall.IOMMU_SPAPR_TCE_GET_INFO, struct(argsz, 0, ...Array.from({ length: 31 }, () => 0n)));
  }

  #ofSpapr(): void {
    const call = this.pick(
      VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
      VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY,
      VfioCall.IOMMU_SPAPR_TCE_CREATE,
      VfioCall.IOMMU_SPAPR_TCE_REMOVE,
    );
    this.ask(call, struct(40, 0, this.ordinary.va, this.page, 0n, 0n));
  }

  #iova(): bigint {
    const iova = this.random.pick(PLACES) + this.below(PAGES_OF_A_PLACE) * this.page;
    const wrong = this.random.below(80);
    if (wrong === 0) return iova + 512n;
    if (wrong === 1) return -this.page;
    if (wrong === 2) return 1n << 48n;
    return iova;
  }

  #pages(): bigint {
    return (this.below(8n) + 1n) * this.page;
  }

  #memory(): Range {
    if (this.huge !== undefined && this.random.once(8)) {
      const va = this.huge.va + this.below(this.huge.size / this.page / 2n) * this.page;
      return { va, size: this.#pages() };
    }
    const pages = this.ordinary.size / this.page;
    return this.mostly({ va: this.ordinary.va + this.below(pages - 8n) * this.page, size: this.#pages() });
  }
}
