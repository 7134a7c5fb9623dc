/** A program that makes random calls, most of them possible and some not, and two who watch it. */

import { random } from "../../src/cli/storm.ts";
import { Witness } from "../../src/cli/witness.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { GiB, HIGH, KiB, MiB, Rig } from "../model/rig.ts";
import { writeEntry } from "./batch.ts";

const page = 4n * KiB;

/** Its calls go through a witness; `livePages` and `interrupted` are what the model itself says of them. */
export class RandomProgram {
  readonly model: ModelKernel;
  readonly witness: Witness;
  readonly #program: Rig;
  readonly #below: (below: number) => number;
  readonly #va: bigint;
  /** Pages that the program has given up, and not mapped again since. */
  readonly #givenUp = new Set<bigint>();
  readonly #batch = new Uint8Array(4096);
  interrupted = 0;
  /** Answers by call and kind, to be sure that the storm has all of them in it. */
  readonly met = new Map<string, number>();

  constructor(platform: "powernv" | "pseries", seed: number) {
    this.model = modelKernel({ platform });
    this.witness = new Witness(this.model);
    this.#program = new Rig(this.witness.kernel).start();
    this.#below = random(seed);
    this.#va = this.#program.allocate(256n * page);
    // A quarter of the memory is never registered.
    for (let range = 0n; range < 6n; range++) this.#program.register(this.#va + range * 32n * page, 32n * page);
    this.model.watch(({ call, iova, length }) => {
      // What a MAP takes back is what it made: these maps never lead over live pages without being whole.
      if (call === "VFIO_IOMMU_MAP_DMA") return;
      for (let at = iova; at < iova + length; at += page) if (!this.#givenUp.delete(at)) this.interrupted++;
    });
  }

  get livePages(): number {
    const windows = this.model.snapshot().containers.flatMap((container) => container.windows);
    return windows.reduce((sum, { liveTces, pageShift }) => sum + liveTces * 2 ** (pageShift - 12), 0);
  }

  step(): void {
    const kind = this.#below(100);
    if (kind < 40) this.#map();
    else if (kind < 60) this.#unmap();
    else if (kind < 72) this.#giveUp();
    else if (kind < 85) this.#mapMany();
    else if (kind < 90)
      this.#note(
        "create",
        this.#program.create(this.#pick([12, 12, 12, 13]), this.#pick([MiB, 2n * MiB, 3n * MiB, GiB])),
      );
    else if (kind < 93) this.#note("remove", this.#program.remove(this.#iova()));
    else this.#register();
  }

  #map(): void {
    const iova = this.#iova();
    const [first, pages] = [this.#below(256), this.#below(6)];
    const length = BigInt(pages) * page;
    const whole = first + pages <= 192;
    if (!whole && this.#anyLive(iova, pages)) return;
    // Now and then a struct that the kernel does not take, also over live pages.
    const broken = this.#below(8);
    const va = this.#va + BigInt(first) * page + (broken === 0 ? 8n : 0n);
    const flags = broken === 1 ? 0 : broken === 2 ? 7 : 1 + this.#below(3);
    const answer = this.#program.map(va, iova + (broken === 3 ? 16n : 0n), length, { flags });
    this.#note("map", answer);
    if (answer === 0) this.#mapped(iova, pages);
  }

  #unmap(): void {
    const length = BigInt(this.#below(24)) * page + (this.#below(10) === 0 ? 1n : 0n);
    this.#note("unmap", this.#program.unmap(this.#iova(), length, { flags: this.#below(12) === 0 ? 1 : 0 }));
  }

  /** Gives pages up, those that are mapped; ends their maps only sometimes. */
  #giveUp(): void {
    const iova = this.#iova();
    const pages = 1 + this.#below(12);
    for (let i = 0; i < pages; i++) {
      const at = iova + BigInt(i) * page;
      if (this.model.tceAt(26, at) === undefined) continue;
      this.witness.lettingGo(at, page);
      this.#givenUp.add(at);
    }
    if (this.#below(2) === 0) this.#program.unmap(iova, BigInt(pages) * page);
  }

  /** Several maps, and an unmap behind them, in one crossing; one of them may fail. */
  #mapMany(): void {
    const view = new DataView(this.#batch.buffer);
    const rows = Array.from({ length: 1 + this.#below(6) }, () => ({
      iova: this.#iova(),
      first: this.#below(180),
      pages: 1 + this.#below(4),
      flags: this.#below(10) === 0 ? 0 : 3,
    }));
    const last = rows[rows.length - 1] as (typeof rows)[number];
    rows.forEach(({ iova, first, pages, flags }, i) => {
      writeEntry(
        this.#batch,
        i,
        VfioCall.IOMMU_MAP_DMA,
        flags,
        this.#va + BigInt(first) * page,
        iova,
        BigInt(pages) * page,
      );
    });
    writeEntry(this.#batch, rows.length, VfioCall.IOMMU_UNMAP_DMA, 0, last.iova, BigInt(last.pages) * page, 0n);
    // What the batch maps is in use before its own unmap takes the last of it away.
    const before = new Set(this.#givenUp);
    for (const { iova, pages } of rows) this.#mapped(iova, pages);
    const done = this.witness.kernel.ioctlBatch(this.#program.container, this.#batch, 0, rows.length + 1);
    for (const { iova, pages } of rows.slice(done)) {
      for (let i = 0; i < pages; i++) {
        const at = iova + BigInt(i) * page;
        const remapped = rows.slice(0, done).some((row) => at >= row.iova && at < row.iova + BigInt(row.pages) * page);
        if (before.has(at) && !remapped) this.#givenUp.add(at);
      }
    }
    this.#note("batch", done < rows.length + 1 ? view.getInt32(done * BATCH_ENTRY_BYTES + 8, true) : 0);
  }

  /** Registrations do not concern a witness: one of a range that has none comes and goes, the others are refused. */
  #register(): void {
    const va = this.#va + BigInt(this.#below(8)) * 32n * page;
    const again = this.#program.register(va, 32n * page);
    this.#note("register", again);
    if (again === 0) this.#program.unregister(va, 32n * page);
  }

  #mapped(iova: bigint, pages: number): void {
    for (let i = 0; i < pages; i++) this.#givenUp.delete(iova + BigInt(i) * page);
  }

  #anyLive(iova: bigint, pages: number): boolean {
    return Array.from({ length: pages }, (_, i) => this.model.tceAt(26, iova + BigInt(i) * page)).some(Boolean);
  }

  /** In the default window, in the high one, or, seldom, in none. All maps end inside the smallest window there can be. */
  #iova(): bigint {
    return this.#pick([0n, 0n, HIGH, HIGH, 1n << 40n]) + BigInt(this.#below(240)) * page;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }

  #note(what: string, answer: number): void {
    const kind = `${what} ${answer === 0 ? "done" : answer < 0 ? "refused" : "positive"}`;
    this.met.set(kind, (this.met.get(kind) ?? 0) + 1);
  }
}
