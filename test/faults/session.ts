/**
 * What a program does with the library in a day, step by step. A step that fails is tried once more: the first attempt has left
 * nothing behind that is in the way, and the kernel's bad day is over.
 */
import type { UnmapRequest } from "../../src/container/window.ts";
import type { DmaWindowError } from "../../src/errors.ts";
import type { IommuInfo } from "../../src/iommu.ts";
import { planWindow } from "../../src/plan/index.ts";
import { map, unmap } from "../properties/acts/maps.ts";
import { addList, allocate, closeTable, free, removeList } from "../properties/acts/memory.ts";
import { attach, closeContainer, closeWindow, createWindow, detach, open } from "../properties/acts/windows.ts";
import { check, checkAll } from "../properties/invariants.ts";
import { end } from "../properties/program.ts";
import { addressOf, type ListTwin, type Seat, type TableTwin, type WindowTwin } from "../properties/twins.ts";
import type { Outcome, World } from "../properties/world.ts";

const MiB = 1n << 20n;
const GiB = 1n << 30n;

export class Session {
  readonly world: World;
  /** What the library said of the calls that failed. */
  readonly errors: DmaWindowError[] = [];

  constructor(world: World) {
    this.world = world;
  }

  /** Tries until it is done, twice at most; after each attempt the kernel has what was promised. */
  #act(what: string, isDone: () => boolean, run: () => Outcome): void {
    for (let attempts = 0; !isDone(); attempts++) {
      if (attempts === 2) throw new Error(`${what} does not work the second time either: ${this.errors.at(-1)}`);
      const { error } = run();
      if (error !== undefined) this.errors.push(error);
      check(this.world);
    }
  }

  run(): void {
    const { world } = this;
    const [one, two] = world.seats;
    const [table, other] = world.tables as [TableTwin, TableTwin];
    // An LPAR's container holds one group.
    this.#open(one, ...(world.kind.platform === "pseries" ? [] : [28]));
    const small = this.#window(one, world.kind.platform === "pseries" ? 4096n : world.cpuPage, GiB);
    const [buffers, rings] = this.#lists(table);
    this.#attach(one, small, table);
    this.#allocate(table, buffers, 3);
    this.#allocate(table, rings, 1);
    this.#allocate(table, buffers, 2);
    this.#mapsOfItsOwn(small);
    const large = this.#window(one, world.hugePage, 64n * world.hugePage);
    this.#map(large, 0n, world.huge, [1n, 2n]);
    this.#besides(two, table, buffers);
    this.#free(table, buffers, 0);
    this.#allocate(table, buffers, 4);
    this.#act(
      "detaching",
      () => !table.attachments.has(one),
      () => detach(world, one, table),
    );
    this.#unmapAll(large);
    this.#act(
      "closing a window",
      () => !one.windows.includes(large),
      () => closeWindow(world, large),
    );
    this.#twoMemories(small, table, other);
    checkAll(world);
    this.#end(table, one, two);
  }

  #open(seat: Seat, ...beside: readonly number[]): void {
    this.#act(
      "opening",
      () => seat.container !== undefined,
      () => open(this.world, seat, ...beside),
    );
  }

  #window(seat: Seat, pageSize: bigint, growTo: bigint): WindowTwin {
    const { world } = this;
    let info: IommuInfo | undefined;
    const ask = () =>
      world.attempt(() => {
        info = seat.container?.info();
      });
    this.#act("asking", () => info !== undefined, ask);
    // The kernel has other page sizes too; the plan shall be for this one.
    const lists = [{ base: 0n, length: pageSize, pageSize }];
    const request = { memory: { lists }, info: { ...(info as IommuInfo), pageSizes: pageSize }, growTo };
    const before = seat.windows.length;
    const plan = planWindow(request);
    this.#act(
      "making a window",
      () => seat.windows.length > before,
      () => createWindow(world, seat, plan),
    );
    return seat.windows.at(-1) as WindowTwin;
  }

  #lists(table: TableTwin): [ListTwin, ListTwin] {
    const { world } = this;
    const sizes = [
      { pageSize: world.cpuPage, maxBytes: 16n * world.cpuPage },
      { pageSize: world.cpuPage, maxBytes: 4n * world.cpuPage },
    ];
    for (const [i, options] of sizes.entries())
      this.#act(
        "adding a list",
        () => table.lists.length > i,
        () => addList(world, table, options),
      );
    return table.lists as [ListTwin, ListTwin];
  }

  #attach(seat: Seat, window: WindowTwin, table: TableTwin): void {
    this.#act(
      "attaching",
      () => table.attachments.has(seat),
      () => attach(this.world, seat, window, table),
    );
  }

  #allocate(table: TableTwin, list: ListTwin, pages: number): void {
    const before = list.pieces.length;
    this.#act(
      "allocating",
      () => list.pieces.length > before,
      () => allocate(this.world, table, list, pages),
    );
  }

  #free(table: TableTwin, list: ListTwin, index: number): void {
    const piece = list.pieces[index];
    if (piece === undefined) throw new Error("the session has no such segment");
    this.#act(
      "freeing",
      () => !list.pieces.includes(piece),
      () => free(this.world, table, list, piece),
    );
  }

  /** Maps one piece of memory for each length, in pages of the CPU or hugepages, each with a page between. */
  #map(window: WindowTwin, first: bigint, memory: bigint, lengths: readonly bigint[]): void {
    const page = memory === this.world.huge ? this.world.hugePage : this.world.cpuPage;
    let va = memory + first * page;
    const requests = lengths.map((pages) => {
      const request = { va, length: pages * page };
      va += (pages + 1n) * page;
      return request;
    });
    const isMapped = () => requests.every((request) => window.window.translate(request.va) !== undefined);
    this.#act("mapping", isMapped, () => map(this.world, window, requests));
  }

  /** The program's own maps: some come, parts of them go, and others come in their place. */
  #mapsOfItsOwn(window: WindowTwin): void {
    const { world } = this;
    const { small, cpuPage } = world;
    this.#map(window, 0n, small, [2n, 3n, 1n]);
    this.#map(window, 12n, small, [4n]);
    const runs = [...window.window.maps()].filter(({ va }) => va >= small && va < small + 32n * cpuPage);
    const [first, second, last] = runs.sort((a, b) => (a.va < b.va ? -1 : 1));
    if (first === undefined || second === undefined || last === undefined)
      throw new Error("the session has no such maps");
    const part = world.isSpapr ? { iova: second.iova + cpuPage, length: cpuPage } : second;
    this.#unmap(window, [
      { iova: first.iova, length: first.length },
      { iova: part.iova, length: part.length },
    ]);
    this.#map(window, 0n, small, [2n]);
    this.#map(window, 20n, small, [1n, 1n]);
  }

  #unmap(window: WindowTwin, requests: readonly UnmapRequest[]): void {
    const { seat } = window;
    const left = () => requests.filter(({ iova }) => seat.live.has(Number(iova >> 12n)));
    this.#act(
      "unmapping",
      () => left().length === 0,
      () => unmap(this.world, window, left()),
    );
  }

  #unmapAll(window: WindowTwin): void {
    const pages = [...window.seat.live].filter(([page, { owner }]) => owner === 0 && window.has(page));
    const runs = [...window.window.maps()].filter(({ iova }) => pages.some(([page]) => addressOf(page) === iova));
    this.#unmap(
      window,
      runs.map(({ iova, length }) => ({ iova, length })),
    );
  }

  /** Another container of the same process, with the same memory. */
  #besides(seat: Seat, table: TableTwin, list: ListTwin): void {
    this.#open(seat);
    const window = this.#window(seat, this.world.cpuPage, 16n * MiB);
    this.#attach(seat, window, table);
    this.#allocate(table, list, 2);
  }

  /** A window that serves two memories, and is closed with both. */
  #twoMemories(window: WindowTwin, table: TableTwin, other: TableTwin): void {
    const { world } = this;
    const { seat } = window;
    const options = { pageSize: world.cpuPage, maxBytes: 4n * world.cpuPage };
    this.#act(
      "adding a list",
      () => other.lists.length > 0,
      () => addList(world, other, options),
    );
    const [list] = other.lists as [ListTwin];
    this.#allocate(other, list, 1);
    this.#attach(seat, window, other);
    this.#allocate(other, list, 2);
    this.#attach(seat, window, table);
    this.#act(
      "closing a window",
      () => !seat.windows.includes(window),
      () => closeWindow(world, window),
    );
  }

  /** Everything is closed, in an order that programs choose. */
  #end(table: TableTwin, one: Seat, two: Seat): void {
    const { world } = this;
    this.#act(
      "closing",
      () => one.container === undefined,
      () => closeContainer(world, one),
    );
    for (const list of [...table.lists]) {
      for (let i = list.pieces.length; i > 0; i--) this.#free(table, list, i - 1);
      this.#act(
        "removing a list",
        () => !table.lists.includes(list),
        () => removeList(world, table, list),
      );
    }
    this.#act(
      "closing",
      () => two.container === undefined,
      () => closeContainer(world, two),
    );
    for (const each of [...world.tables])
      this.#act(
        "closing a table",
        () => !world.tables.includes(each),
        () => closeTable(world, each),
      );
    end(world);
  }
}
