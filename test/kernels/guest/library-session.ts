/**
 * A session of the library on the real kernel, in which every byte of VmLck has a reason: the tables of the windows that
 * are open, as their plans said, and the memory that the test says is locked.
 */
import * as assert from "uvu/assert";
import {
  type Container,
  MemsegTable,
  type MemsegTableOptions,
  openContainer,
  planWindow,
  type Window,
  type WindowPlan,
} from "../../../src/index.ts";
import type { Passing } from "../../../src/through.ts";
import { Door } from "./door.ts";
import type { Edu } from "./edu.ts";
import { report, test } from "./say.ts";
import type { Site } from "./site.ts";
import { type Place, Traffic } from "./traffic.ts";

/** The real kernel, and how often it was asked. A batch stays one call: the shim's own way of making it is to be shown. */
class Counted extends Door {
  calls = 0;

  protected override pass<R extends number | bigint>(call: Passing, make: () => R): R {
    this.calls++;
    return super.pass(call, make);
  }

  override ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
    this.calls++;
    return this.inner.ioctlBatch(fd, memory, table, count);
  }
}

export class Session {
  readonly site: Site;
  readonly kernel = new Counted();
  readonly page: bigint;
  readonly #lockedBefore: bigint;
  readonly #containers: Container[] = [];
  readonly #charges = new Map<Window, bigint>();
  readonly #tables: MemsegTable[] = [];
  readonly #memory: { readonly va: bigint; readonly length: bigint }[] = [];
  readonly #devices = new Map<number, Edu>();
  readonly #traffic: Traffic[] = [];

  constructor(site: Site) {
    this.site = site;
    this.page = site.page;
    this.#lockedBefore = site.locked;
  }

  /** A container with the groups of these devices. */
  open(...devices: readonly number[]): Container {
    const groups = (devices.length === 0 ? [0] : devices).map((index) => this.site.device(index).group);
    const container = openContainer({ kernel: this.kernel, groups });
    this.#containers.push(container);
    return container;
  }

  create(container: Container, plan: WindowPlan): Window {
    const window = container.createWindow(plan);
    this.#charges.set(window, plan.chargeBytes);
    return window;
  }

  /** A window of `size` bytes for memory that comes in pages of `pageSize` bytes. */
  window(container: Container, size: bigint, pageSize = this.page): Window {
    return this.create(container, planFor(container, size, pageSize));
  }

  table(options: MemsegTableOptions = {}): MemsegTable {
    const table = new MemsegTable({ kernel: this.kernel, ...options });
    this.#tables.push(table);
    return table;
  }

  /** The program's own memory, every page there. `shift`: hugepages. */
  memory(length: bigint, shift?: number): bigint {
    const va = this.site.memory(length, shift);
    this.#memory.push({ va, length });
    return va;
  }

  /** The first device, or another; of a container that is open. */
  device(index = 0): Edu {
    const device = this.#devices.get(index) ?? this.kernel.device(this.site.device(index));
    this.#devices.set(index, device);
    return device;
  }

  /** DMA of a device. `scratch` has to be mapped as long as `reads` and `writes` are asked. */
  traffic(scratch: Place, index = 0): Traffic {
    const traffic = new Traffic(this.kernel, this.device(index), scratch);
    this.#traffic.push(traffic);
    return traffic;
  }

  /** VmLck, since the session began. */
  get locked(): bigint {
    return this.site.locked - this.#lockedBefore;
  }

  /** Fails unless so many bytes of memory are locked, and the tables of the windows that are open, and nothing else. */
  holds(bytes: bigint, when = "VmLck"): void {
    let charge = 0n;
    for (const [window, bytesOfTables] of this.#charges) if (!window.closed) charge += bytesOfTables;
    assert.is(this.locked, charge + bytes, when);
  }

  /** Lets go of the devices: a container's groups can be closed only after them. */
  closeDevices(): void {
    for (const device of this.#devices.values()) {
      report({ kind: "dma", transfers: device.transfers, wrongBytes: 0 });
      device.close();
    }
    this.#devices.clear();
    for (const { wrongBytes } of this.#traffic) report({ kind: "dma", transfers: 0, wrongBytes });
    this.#traffic.length = 0;
  }

  close(): void {
    this.closeDevices();
    for (const container of this.#containers) container.close();
    for (const table of this.#tables) table.close();
    for (const { va, length } of this.#memory) this.site.kernel.munmap(va, length);
  }
}

/** Maps two pages, and has a device move bytes from one to the other. `locked`: what is locked beside them. */
export function useOf(session: Session, window: Window, locked = 0n): void {
  const { page } = session;
  const va = session.memory(2n * page);
  const iova = window.map({ va, length: 2n * page });
  session.holds(locked + 2n * page);
  const [from, to] = [0n, page].map((offset) => ({ va: va + offset, iova: iova + offset })) as [Place, Place];
  assert.is(session.traffic(to).copy(from, to), 0, "wrong bytes");
}

/** The plan of a window of `size` bytes, a power of two, for memory that comes in pages of `pageSize` bytes. */
export function planFor(container: Container, size: bigint, pageSize: bigint): WindowPlan {
  const lists = [{ base: 0n, length: pageSize, pageSize }];
  return planWindow({ memory: { lists }, info: container.info(), growTo: size });
}

/** A session from its beginning to its end, after which nothing may be locked. Goes on where a test in it failed. */
export function inSession(site: Site, name: string, run: (session: Session) => void): void {
  const session = new Session(site);
  try {
    run(session);
  } catch (error) {
    test(`${name}: the session comes to its end`, () => {
      throw error;
    });
  }
  test(`${name}: when all is closed nothing stays locked`, () => {
    session.close();
    assert.is(session.locked, 0n);
  });
}
