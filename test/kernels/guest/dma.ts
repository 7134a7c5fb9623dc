/** Real DMA through the library's windows: the right bytes in the right memory, and none where none may go. */
import * as assert from "uvu/assert";
import type { Container, Window } from "../../../src/index.ts";
import { MemsegTable, planWindow } from "../../../src/index.ts";
import { EDU_BUFFER, type Edu } from "./edu.ts";
import { report, say, test } from "./say.ts";
import { GiB, HIGH, MiB, Site, windowFor } from "./site.ts";
import { type Place, Traffic } from "./traffic.ts";
import { showOldUnmap } from "./unmap.ts";

/** A window to try, and memory for it. */
interface Case {
  readonly name: string;
  readonly size: bigint;
  /** Hugepages, where the memory is of those. */
  readonly shift?: number;
  /** Where the kernel puts it; left out where that does not matter. */
  readonly start?: bigint;
  /** Beside a window that takes the first slot. */
  readonly beside?: true;
}

export function dma(): void {
  const site = new Site();
  const container = site.open();
  say(
    `container: ${JSON.stringify(container.info(), (_, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value))}`,
  );
  const device = site.kernel.device(site.device());
  let wrongBytes = 0;
  try {
    for (const one of casesOf(site)) wrongBytes += tryWindow(site, container, device, one);
    wrongBytes += attached(site, container, device);
    if (site.isSpapr) wrongBytes += showOldUnmap(site, container, device);
  } finally {
    report({ kind: "dma", transfers: device.transfers, wrongBytes });
    device.close();
    container.close();
  }
  site.reportLeaks();
}

function casesOf({ machine, page }: Site): Case[] {
  const ordinary = `ordinary memory of ${page / 1024n} KiB pages`;
  // Below what the IOMMU has for itself, which on Arm begins at 128 MiB.
  const size = machine.machine === "arm" ? 64n * MiB : 256n * MiB;
  const cases: Case[] = [{ name: `a window at 0 for ${ordinary}`, size, start: 0n }];
  // Larger than the default window: an LPAR's firmware puts that high.
  if (machine.machine === "pseries")
    cases.push({ name: `a window at 1 << 59 for ${ordinary}`, size: 2n * GiB, start: HIGH });
  if (machine.machine === "powernv")
    cases.push({ name: `a second window, at 1 << 59, for ${ordinary}`, size: 256n * MiB, start: HIGH, beside: true });
  for (const [shift] of machine.hugepages) {
    const name = `a window for hugepages of ${shift < 30 ? `${1 << (shift - 20)} MiB` : "1 GiB"}`;
    cases.push({ name, size: 8n * GiB, shift, ...(machine.machine === "pseries" ? { start: HIGH } : {}) });
  }
  return cases;
}

/** All that DMA through one window can show; gives the wrong bytes. */
function tryWindow(site: Site, container: Container, device: Edu, one: Case): number {
  const first = one.beside ? windowFor(container, 16n * MiB, site.page) : undefined;
  const pageSize = one.shift === undefined ? site.page : 1n << BigInt(one.shift);
  const window = windowFor(container, one.size, pageSize);
  let wrongBytes = 0;
  try {
    if (one.start !== undefined) test(`${one.name} begins there`, () => assert.is(window.start, one.start));
    wrongBytes = edges(site, window, device, one);
  } finally {
    window.close();
    first?.close();
  }
  return wrongBytes;
}

/** The first page of a window, one within, and the last. */
function edges(site: Site, window: Window, device: Edu, { name, shift }: Case): number {
  const page = 1n << BigInt(window.pageShift);
  const unit = shift === undefined ? page : 1n << BigInt(shift);
  const length = ((3n * page + unit - 1n) / unit) * unit;
  const va = site.memory(length, shift);
  const places = [window.start, window.start + window.size / 2n, window.start + window.size - page].map((iova, i) => ({
    va: va + BigInt(i) * page,
    iova,
  }));
  const [first, middle, last] = places as [Place, Place, Place];
  window.mapMany(places.map((place) => ({ ...place, length: page })));
  const atEnd = (place: Place) => behind(place, page - BigInt(EDU_BUFFER));
  const traffic = new Traffic(site.kernel, device, middle);
  test(`${name}: what the device reads in its first page it writes into its last bytes`, () => {
    assert.is(traffic.copy(first, atEnd(last)), 0, "wrong bytes");
  });
  test(`${name}: what the device reads in its last bytes it writes into its first page`, () => {
    assert.is(traffic.copy(atEnd(last), first), 0, "wrong bytes");
  });
  test(`${name}: after unmap the device neither reads nor writes`, () => {
    window.unmap({ iova: last.iova, length: page });
    assert.is(traffic.writes(atEnd(last)), false, "written");
    assert.is(traffic.reads(atEnd(last)), false, "read");
    assert.is(traffic.copy(first, middle), 0, "wrong bytes in what is still mapped");
  });
  test(`${name}: memory mapped only to be read is not written`, () => {
    window.map({ ...last, length: page, write: false });
    assert.is(traffic.writes(last), false, "written");
    assert.is(traffic.reads(last), true, "read");
    window.unmap({ iova: last.iova, length: page });
  });
  // VT-d has it so, and PowerNV's kernel sets READ wherever it sets WRITE
  // (arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce_xchg). An LPAR's firmware gets what was asked for.
  const readable = site.machine.machine !== "pseries";
  test(`${name}: memory mapped only to be written is ${readable ? "read all the same" : "not read"}`, () => {
    window.map({ ...last, length: page, read: false });
    assert.is(traffic.writes(last), true, "written");
    assert.is(traffic.reads(last), readable, "read");
    window.unmap({ iova: last.iova, length: page });
  });
  for (const { iova } of [first, middle]) window.unmap({ iova, length: page });
  site.kernel.munmap(va, length);
  return traffic.wrongBytes;
}

/** Memory that is attached: what is allocated can be used, and what is freed can not. */
function attached(site: Site, container: Container, device: Edu): number {
  using memory = new MemsegTable({ kernel: site.kernel });
  const list = memory.addList({ pageSize: site.page, maxBytes: 16n * MiB });
  using window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const [source, target, scratch] = [16, 1, 1].map((pages) => memory.allocate(list, pages));
  if (source === undefined || target === undefined || scratch === undefined) throw new Error("three segments");
  const placeOf = (va: bigint) => ({ va, iova: window.iovaOf(va) });
  const traffic = new Traffic(site.kernel, device, placeOf(scratch.va));
  test("an attached memory: a device moves bytes from the end of one segment to another", () => {
    const from = placeOf(source.va + source.length - BigInt(EDU_BUFFER));
    assert.is(traffic.copy(from, placeOf(target.va)), 0, "wrong bytes");
  });
  test("an attached memory: other pages come to a freed segment's address, and the device does not reach them", () => {
    const { va, iova } = placeOf(target.va);
    memory.free(target);
    const before = site.locked;
    const other = site.kernel.mmap(va, site.page, 3, 1, 0);
    assert.is(other, va);
    assert.is(traffic.writes({ va, iova }), false, "written");
    assert.is(site.locked, before);
  });
  container.detach(memory);
  memory.free(source);
  memory.free(scratch);
  return traffic.wrongBytes;
}

function behind({ va, iova }: Place, offset: bigint): Place {
  return { va: va + offset, iova: iova + offset };
}
