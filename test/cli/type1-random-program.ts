/** A program on type1 that makes random calls, most of them possible and some not, and two who watch it. */

import { random } from "../../src/cli/storm.ts";
import { Witness } from "../../src/cli/witness.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, IommuType, VfioCall } from "../../src/syscalls.ts";
import { KiB, Rig } from "../model/rig.ts";
import { writeEntry } from "./batch.ts";

const page = 4n * KiB;
const ALL = 2;
const VADDR = 4;

/** Its calls go through a witness; `livePages` and `interrupted` are what the model itself says of them. */
export class Type1RandomProgram {
  readonly model: ModelKernel;
  readonly witness: Witness;
  readonly #program: Rig;
  readonly #version: 1 | 2;
  readonly #below: (below: number) => number;
  readonly #va: bigint;
  #group = -1;
  /** Live pages that the program has given up. */
  readonly #givenUp = new Set<bigint>();
  readonly #batch = new Uint8Array(4096);
  interrupted = 0;
  /** Answers by call and kind, to be sure that the storm has all of them in it. */
  readonly met = new Map<string, number>();

  constructor(version: 1 | 2, seed: number) {
    this.model = modelKernel({ platform: "type1" });
    this.witness = new Witness(this.model);
    this.#version = version;
    this.#program = new Rig(this.witness.kernel);
    this.#below = random(seed);
    this.#va = this.#program.allocate(256n * page);
    this.#begin();
    this.model.watch(({ iova, length }) => {
      for (let at = iova; at < iova + length; at += page) if (!this.#givenUp.delete(at)) this.interrupted++;
    });
  }

  get livePages(): number {
    return Number(this.model.live(26).reduce((sum, { length }) => sum + length, 0n) / page);
  }

  step(): void {
    const kind = this.#below(1000);
    if (kind < 450) this.#map();
    else if (kind < 700) this.#unmap();
    else if (kind < 820) this.#giveUp();
    else if (kind < 996) this.#mapMany();
    else this.#beginAgain();
  }

  #begin(): void {
    const { kernel } = this.#program;
    this.#program.container = kernel.open("/dev/vfio/vfio");
    this.#group = kernel.open("/dev/vfio/26");
    this.#program.setContainer(this.#group);
    kernel.ioctl(
      this.#program.container,
      VfioCall.SET_IOMMU,
      this.#version === 1 ? IommuType.TYPE1 : IommuType.TYPE1v2,
    );
  }

  /** Everything ends with the group's descriptor, or with its leaving, and begins in a new container. */
  #beginAgain(): void {
    const { kernel, container } = this.#program;
    if (this.#below(2) === 0) kernel.ioctl(this.#group, VfioCall.GROUP_UNSET_CONTAINER, 0);
    const fds = [this.#group, container];
    if (this.#below(2) === 0) fds.reverse();
    for (const fd of fds) kernel.close(fd);
    this.#begin();
    this.#note("begin", 0);
  }

  #map(): void {
    const broken = this.#below(10);
    const va = this.#va + BigInt(this.#below(256)) * page + (broken === 0 ? 8n : 0n);
    const flags = broken === 1 ? 0 : broken === 2 ? VADDR : 1 + this.#below(3);
    const iova = this.#iova() + (broken === 3 ? 16n : 0n);
    this.#note("map", this.#program.map(va, iova, BigInt(this.#below(7)) * page, { flags }));
  }

  #unmap(): void {
    const kind = this.#below(40);
    if (kind === 0) {
      this.#note("unmap all", this.#program.unmap(0n, 0n, { flags: ALL }));
      return;
    }
    const length = BigInt(this.#below(24)) * page + (kind < 4 ? 1n : 0n);
    const flags = kind < 8 ? VADDR : kind === 8 ? 16 : 0;
    const answer = this.#program.unmap(this.#iova(), length, { flags });
    this.#note(flags === VADDR ? "take address" : "unmap", answer);
    if (answer === 0 && this.#program.u64(16) !== length) this.#note("another size", 0);
  }

  /** Gives live pages up; unmaps something there only sometimes. */
  #giveUp(): void {
    const iova = this.#iova();
    const pages = BigInt(1 + this.#below(12));
    for (let at = iova; at < iova + pages * page; at += page) {
      if (this.model.tceAt(26, at) === undefined) continue;
      this.witness.lettingGo(at, page);
      this.#givenUp.add(at);
    }
    if (this.#below(2) === 0) this.#program.unmap(iova, pages * page);
  }

  /** Several maps, and two unmaps behind them, in one crossing; one of them may fail. */
  #mapMany(): void {
    const view = new DataView(this.#batch.buffer);
    const rows = Array.from({ length: 1 + this.#below(4) }, () => [this.#iova(), BigInt(1 + this.#below(4))] as const);
    rows.forEach(([iova, pages], i) => {
      const va = this.#va + BigInt(this.#below(250)) * page;
      writeEntry(this.#batch, i, VfioCall.IOMMU_MAP_DMA, this.#below(10) === 0 ? 0 : 3, va, iova, pages * page);
    });
    const [iova, pages] = rows[0] as (typeof rows)[number];
    writeEntry(this.#batch, rows.length, VfioCall.IOMMU_UNMAP_DMA, 0, iova, pages * page);
    writeEntry(
      this.#batch,
      rows.length + 1,
      VfioCall.IOMMU_UNMAP_DMA,
      0,
      this.#iova(),
      BigInt(1 + this.#below(30)) * page,
    );
    const count = rows.length + 2;
    const done = this.witness.kernel.ioctlBatch(this.#program.container, this.#batch, 0, count);
    this.#note("batch", done < count ? view.getInt32(done * BATCH_ENTRY_BYTES + 8, true) : 0);
  }

  /** Low or high; now and then next to what the IOMMU does not allow. */
  #iova(): bigint {
    const start = [0n, 0n, 1n << 40n, 1n << 40n, 0xfedf_8000n][this.#below(5)] as bigint;
    return start + BigInt(this.#below(start === 0xfedf_8000n ? 16 : 120)) * page;
  }

  #note(what: string, answer: number): void {
    const kind = `${what} ${answer === 0 ? "done" : "refused"}`;
    this.met.set(kind, (this.met.get(kind) ?? 0) + 1);
  }
}
