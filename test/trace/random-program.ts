/** A program that makes random calls, most of them possible and some not. What it does depends on the answers alone. */
import { MapFlag, VfioCall } from "../../src/syscalls.ts";
import type { Random } from "../support/random.ts";
import { RW, type Struct, type Tape } from "./tape.ts";

const HIGH = 1n << 59n;

interface Area {
  readonly va: bigint;
  readonly pages: number;
}

export class RandomProgram {
  readonly #tape: Tape;
  readonly #random: Random;
  readonly #paths: readonly string[];
  readonly #page: bigint;
  readonly #areas: Area[] = [];
  /** Addresses that were mapped at IOVAs equal to them, in this container: any other one is no IOVA, even by chance. */
  readonly #equal: bigint[] = [];

  constructor(tape: Tape, random: Random, paths: readonly string[]) {
    this.#tape = tape;
    this.#random = random;
    this.#paths = paths;
    this.#page = BigInt(tape.kernel.pageSize);
  }

  /** Ends early where the kernel crashes, or does not know what it would do. */
  play(steps: number): void {
    this.#tape.start(this.#paths);
    this.#areas.push({ va: this.#tape.kernel.mmap(0n, 32n * this.#page, RW, 0, 0), pages: 32 });
    for (let step = 0; step < steps; step++) {
      try {
        this.#step();
      } catch (error) {
        if (!(error instanceof Error) || !/^Model/.test(error.name)) throw error;
        return;
      }
    }
    if (this.#random.once(2)) this.#tape.kernel.close(this.#tape.group);
  }

  #step(): void {
    const { kernel, container } = this.#tape;
    const kind = this.#random.below(100);
    if (kind < 12) this.#mmap();
    else if (kind < 16) this.#munmap();
    else if (kind < 30) this.#call(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY);
    else if (kind < 36) this.#call(VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY);
    else if (kind < 62) this.#call(VfioCall.IOMMU_MAP_DMA);
    else if (kind < 74) this.#call(VfioCall.IOMMU_UNMAP_DMA);
    else if (kind < 84) this.#batch();
    else if (kind < 87) this.#call(VfioCall.IOMMU_SPAPR_TCE_CREATE);
    else if (kind < 88) this.#call(VfioCall.IOMMU_SPAPR_TCE_REMOVE);
    else if (kind < 91)
      this.#tape.struct(container, VfioCall.IOMMU_SPAPR_TCE_GET_INFO, [this.#pick([8, 16, 20, 24, 32, 200]), 9, 9n]);
    else if (kind < 94) kernel.lockedMemory();
    else this.#odd();
  }

  #odd(): void {
    const { kernel, container, group } = this.#tape;
    const fd = this.#pick([container, group, 99, -1]);
    switch (this.#random.below(8)) {
      case 0:
        kernel.ioctl(fd, this.#pick([VfioCall.GET_API_VERSION, VfioCall.IOMMU_ENABLE, VfioCall.IOMMU_MAP_DMA]), 0);
        break;
      case 1:
        kernel.ioctl(fd, VfioCall.CHECK_EXTENSION, this.#random.below(11));
        break;
      case 2:
        this.#tape.struct(fd, VfioCall.GROUP_GET_STATUS, [this.#pick([4, 8, 64]), 7, 0x99n]);
        break;
      case 3:
        this.#tape.struct(fd, VfioCall.GROUP_SET_CONTAINER, [this.#pick([container, group, 99, 0xffff_ffff])]);
        break;
      case 4:
        kernel.open(this.#pick([...this.#paths, "/dev/vfio/99", "/dev/vfio/vfio"]));
        break;
      case 5:
        // The other end of the program: seldom, or nothing is left to do.
        if (this.#random.once(6)) kernel.close(fd);
        else kernel.close(77);
        break;
      case 6:
        if (!this.#random.once(6)) break;
        this.#tape.start(this.#paths);
        this.#equal.length = 0;
        break;
      default:
        kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
        this.#tape.struct(group, VfioCall.GROUP_SET_CONTAINER, [container]);
        for (const type of [7, 3, 8]) kernel.ioctl(container, VfioCall.SET_IOMMU, type);
    }
  }

  #mmap(): void {
    const { kernel } = this.#tape;
    const inside = this.#random.once(4) ? this.#areas[this.#random.below(this.#areas.length)] : undefined;
    const pages = this.#random.below(40);
    const length = BigInt(pages) * this.#page;
    const protection = this.#random.once(6) ? 0 : this.#random.once(8) ? 1 : RW;
    const extra = this.#pick([0, 0, MapFlag.POPULATE, MapFlag.NORESERVE]);
    if (inside !== undefined && pages > 0) {
      const first = this.#random.below(inside.pages);
      const most = BigInt(Math.min(pages, inside.pages - first)) * this.#page;
      const how = this.#random.once(4) ? MapFlag.FIXED_NOREPLACE : MapFlag.FIXED;
      kernel.mmap(inside.va + BigInt(first) * this.#page, most, protection, how | extra, 0);
      return;
    }
    const huge = this.#random.once(5);
    const near = this.#pick([0n, 0n, 0n, 1n << 32n, 1n << 40n]);
    const taken = huge ? 4n << 20n : length;
    const va = kernel.mmap(near, taken, protection, extra | (huge ? MapFlag.HUGETLB : 0), huge ? 21 : 0);
    if (va >= 0n) this.#areas.push({ va, pages: Number(taken / this.#page) });
  }

  #munmap(): void {
    const { va, pages } = this.#pick(this.#areas);
    const first = this.#random.below(pages);
    const length = BigInt(1 + this.#random.below(pages - first)) * this.#page;
    const whole = this.#random.once(3);
    this.#tape.kernel.munmap(whole ? va : va + BigInt(first) * this.#page, whole ? BigInt(pages) * this.#page : length);
  }

  #call(call: VfioCall): void {
    const elsewhere = call !== VfioCall.IOMMU_MAP_DMA && this.#random.once(30);
    const fd = elsewhere ? 99 : this.#tape.container;
    this.#tape.struct(fd, call, this.#fields(call));
  }

  #batch(): void {
    const calls = [
      VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
      VfioCall.IOMMU_MAP_DMA,
      VfioCall.IOMMU_MAP_DMA,
      VfioCall.IOMMU_UNMAP_DMA,
      VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY,
    ];
    const made = Array.from({ length: 1 + this.#random.below(4) }, () => this.#pick(calls));
    this.#tape.batch(made.map((call) => [call, this.#fields(call)]));
  }

  /** Now and then with a struct that is too short, too long, or has flags. */
  #fields(call: VfioCall): Struct {
    const { va, pages } = this.#pick(this.#areas);
    const first = this.#random.below(pages);
    const vaddr = this.#pick([
      va,
      va + BigInt(first) * this.#page,
      va + BigInt(first) * this.#page,
      ...(this.#random.once(8) ? [va + 8n, 0n, 1n << 50n] : []),
    ]);
    const some = 1 + this.#random.below(Math.min(8, pages));
    const size = this.#random.once(3) ? BigInt(pages) * this.#page : BigInt(some) * this.#page;
    const at = BigInt(this.#random.below(64)) * this.#page;
    const number = this.#pick([at, at, HIGH + at, 1n << 36n]) + (this.#random.once(15) ? 8n : 0n);
    const flags = this.#random.once(12) ? this.#random.below(9) : undefined;
    const odd = this.#random.once(12) ? this.#pick([8, 48]) : undefined;
    const behind = this.#random.once(12) ? BigInt(this.#random.below(1000)) : 0n;
    switch (call) {
      case VfioCall.IOMMU_MAP_DMA: {
        const iova = this.#random.once(4) ? vaddr : number;
        if (iova === vaddr) this.#equal.push(vaddr);
        return [odd ?? 32, flags ?? 3, vaddr, iova, size, behind];
      }
      case VfioCall.IOMMU_UNMAP_DMA: {
        // Now and then with the struct of a MAP.
        if (this.#random.once(15)) return [32, 0, 0n, number, size];
        const iova = this.#equal.length > 0 && this.#random.once(4) ? this.#pick(this.#equal) : number;
        return [odd ?? 24, flags ?? 0, iova, this.#random.once(20) ? 1n : size, behind];
      }
      case VfioCall.IOMMU_SPAPR_TCE_CREATE: {
        const shift = this.#pick([12, 16, 16, 21, 13]);
        const bytes = 1n << BigInt(this.#pick([24, 30, 31, 47, 64]));
        return [odd ?? 40, flags ?? 0, shift, this.#random.below(2), bytes, this.#random.below(4), 0, behind, behind];
      }
      case VfioCall.IOMMU_SPAPR_TCE_REMOVE:
        return [odd ?? 16, flags ?? 0, this.#pick([0n, HIGH, at])];
      default:
        return [odd ?? 24, flags ?? 0, vaddr, size, behind];
    }
  }

  #pick<T>(choices: readonly T[]): T {
    return this.#random.pick(choices);
  }
}
