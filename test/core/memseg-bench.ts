/** A table of memsegs, once in the core and once as plain arrays. */
import { type Core, NO_ADDRESS, Status } from "../../src/core.ts";
import { type MemsegTwin, TableTwin } from "../reference/memsegs.ts";
import { agree, same, show } from "./support.ts";

const END = (1n << 64n) - 1n;

export class MemsegBench {
  readonly core: Core;
  readonly table: number;
  readonly twin = new TableTwin();

  constructor(core: Core) {
    this.core = core;
    this.table = core.tableOpen();
    if (this.table <= 0) throw new Error(`the core refused to open a table: ${this.table}`);
  }

  addList(base: bigint, length: bigint, pageShift: number, flags = 0): number {
    const index = this.core.listAdd(this.table, base, length, pageShift, flags);
    const expected = this.twin.addList(base, length, pageShift, flags);
    agree(index, expected, () => `listAdd ${show({ base, length, pageShift })}`);
    return index;
  }

  removeList(index: number): number {
    const status = this.core.listRemove(this.table, index);
    agree(status, this.twin.removeList(index), () => `listRemove ${index}`);
    return status;
  }

  add(list: number, va: bigint, length: bigint, iova: bigint = NO_ADDRESS): number {
    const status = this.core.memsegAdd(this.table, list, va, iova, length);
    agree(status, this.twin.addMemseg(list, va, iova, length), () => `memsegAdd ${show({ list, va, iova, length })}`);
    return status;
  }

  remove(va: bigint): number {
    const status = this.core.memsegRemove(this.table, va);
    agree(status, this.twin.removeMemseg(va), () => `memsegRemove ${show(va)}`);
    return status;
  }

  /** What the core says of the memseg with that number; nothing for -1. */
  memseg(number: number): MemsegTwin | undefined {
    if (number === -1) return undefined;
    return {
      list: this.core.memsegList(this.table, number),
      va: this.core.memsegVa(this.table, number),
      iova: this.core.memsegIova(this.table, number),
      length: this.core.memsegLength(this.table, number),
    };
  }

  find(va: bigint): void {
    same(this.memseg(this.core.memsegFind(this.table, va)), this.twin.find(va), () => `memsegFind ${show(va)}`);
    agree(this.core.memsegTranslate(this.table, va), this.twin.translate(va), () => `memsegTranslate ${show(va)}`);
  }

  next(va: bigint, last: bigint): void {
    const number = this.core.memsegNext(this.table, va, last);
    same(this.memseg(number), this.twin.next(va, last), () => `memsegNext ${show({ va, last })}`);
  }

  freePages(list: number, pages: bigint): void {
    const va = this.core.listFreePages(this.table, list, pages);
    agree(va, this.twin.freePages(list, pages), () => `listFreePages ${show({ list, pages })}`);
  }

  /** All memsegs, each found from the end of the one before. */
  visit(): MemsegTwin[] {
    const visited: MemsegTwin[] = [];
    for (let at = 0n; ; ) {
      const memseg = this.memseg(this.core.memsegNext(this.table, at, END));
      if (!memseg) return visited;
      visited.push(memseg);
      at = memseg.va + memseg.length;
      if (at > END) return visited;
    }
  }

  /** Fails unless every walk says what its twin says, and the memsegs are visited in the order of their addresses. */
  check(): void {
    const { core, table, twin } = this;
    this.checkWalks();
    const inOrder = [...twin.memsegs].sort((a, b) => (a.va < b.va ? -1 : 1));
    same(this.visit(), inOrder, () => "memsegs in order of their addresses");
    for (const { va, length } of inOrder) {
      for (const at of [va - 1n, va, va + 1n, va + length - 1n, va + length]) this.find(BigInt.asUintN(64, at));
      agree(
        core.memsegRemove(table, va + 4096n * (length >> 13n || 1n)),
        Status.NOT_FOUND,
        () => "removal by its midst",
      );
    }
  }

  checkWalks(): void {
    const { core, table, twin } = this;
    const highest = twin.highestMemseg();
    agree(core.walkHighestMemseg(table), highest ? 1 : 0, () => "whether the walk found anything");
    if (highest) same({ last: core.walkLast(), pageShift: core.walkPageShift() }, highest, () => "what the walk found");
    agree(core.walkSmallestPage(table), twin.smallestPageShift(), () => "walkSmallestPage");
    const known = { count: BigInt(core.knownCount(table)), bytes: core.knownBytes(table) };
    same(known, twin.valid(), () => "memsegs with an IOVA");
    same({ count: BigInt(core.memsegCount(table)), bytes: core.memsegBytes(table) }, twin.all(), () => "memsegs");
  }

  close(): void {
    agree(this.core.tableClose(this.table), Status.OK, () => "tableClose");
  }
}
