/** What is refused, by the library before the kernel is asked, and by the kernel: nothing is changed by it. */
import * as assert from "uvu/assert";
import { type MappedRun, type MapRequest, planWindow, type Window } from "../../../src/index.ts";
import { MapFlag, Protection } from "../../../src/syscalls.ts";
import { refused, refusedUnasked, says } from "./library-checks.ts";
import { inSession, type Session } from "./library-session.ts";
import { test } from "./say.ts";
import { MiB, type Site } from "./site.ts";
import type { Place, Traffic } from "./traffic.ts";

const TOP = (1n << 64n) - 1n;
const EFAULT = -14;

export function refusals(site: Site): void {
  inSession(site, "refused maps", byTheLibrary);
  if (!site.isSpapr) inSession(site, "IOVAs that the IOMMU has for itself", outsideRanges);
  for (const [name, spoil] of spoiled) inSession(site, name, (session) => byTheKernel(session, name, spoil));
}

/** Two pages live, at the window's beginning and at its end, and six pages of memory to ask with. */
function byTheLibrary(session: Session): void {
  const { page } = session;
  const container = session.open();
  const window = session.window(container, 16n * MiB);
  const va = session.memory(8n * page);
  const last = window.start + window.size - page;
  const first = { va, iova: window.start, length: page };
  const atEnd = { va: va + page, iova: last, length: page };
  window.mapMany([first, atEnd]);
  const memory = session.table();
  const list = memory.addList({ pageSize: page, maxBytes: 4n * page });
  container.attach(memory);
  const segment = memory.allocate(list, 1);
  const region = window.iovaOf(segment.va);
  const live = [first, atEnd, { va: segment.va, iova: region, length: page }];
  const free = region + 4n * page;
  const fresh = va + 2n * page;

  const mapped = (code: string, request: Partial<MapRequest>): [string, () => unknown] => [
    code,
    () => window.map({ va: fresh, length: page, ...request }),
  ];
  const unmapped = (code: string, iova: bigint, length = page, of?: bigint): [string, () => unknown] => [
    code,
    () => window.unmap({ iova, length, ...(of === undefined ? {} : { va: of }) }),
  ];
  const asked: [string, () => unknown][] = [
    mapped("ERR_OUTSIDE_WINDOW", { iova: last, length: 2n * page }),
    mapped("ERR_OUTSIDE_WINDOW", { iova: last + page }),
    mapped("ERR_OUTSIDE_WINDOW", { iova: TOP - page + 1n }),
    mapped("ERR_WRAPS", { iova: TOP - page + 1n, length: 2n * page }),
    mapped("ERR_WRAPS", { va: TOP - page + 1n, length: 2n * page, iova: free }),
    mapped("ERR_ALREADY_LIVE", { iova: first.iova }),
    mapped("ERR_ALREADY_LIVE", { iova: last - page, length: 2n * page }),
    mapped("ERR_VA_ALREADY_MAPPED", { va: first.va, iova: free }),
    mapped("ERR_VA_ALREADY_MAPPED", { va: atEnd.va, length: 2n * page, iova: free }),
    mapped("ERR_UNALIGNED_VA", { va: fresh + 1n, iova: free }),
    mapped("ERR_UNALIGNED_IOVA", { iova: free + 1n }),
    mapped("ERR_UNALIGNED_LENGTH", { length: page - 1n }),
    mapped("ERR_ZERO_LENGTH", { length: 0n }),
    mapped("ERR_BAD_PERMISSION", { read: false, write: false }),
    mapped("ERR_NO_HOLE", { length: window.size }),
    mapped("ERR_RESERVED", { iova: region + page }),
    mapped("ERR_RESERVED", { iova: region + 3n * page, length: 2n * page }),
    unmapped("ERR_NOT_LIVE", free),
    unmapped("ERR_NOT_LIVE", last - page, 2n * page),
    unmapped("ERR_VA_MISMATCH", first.iova, page, atEnd.va),
    unmapped("ERR_OUTSIDE_WINDOW", last, 2n * page),
    unmapped("ERR_UNALIGNED_IOVA", first.iova + 1n),
    unmapped("ERR_UNALIGNED_LENGTH", first.iova, page + 1n),
    unmapped("ERR_RESERVED", region),
    // Of a batch, all that came before the one that is refused.
    ["ERR_ALREADY_LIVE", () => window.mapMany(pagesOf(session, fresh, [free, free + page, free]))],
    ["ERR_OUTSIDE_WINDOW", () => window.mapMany(pagesOf(session, fresh, [free, free + page, last + page]))],
    ["ERR_NOT_LIVE", () => window.unmapMany([first, atEnd, first])],
    ["ERR_ATTACHED", () => container.attach(memory)],
    ["ERR_ATTACHED", () => memory.close()],
  ];
  test("what cannot be is refused before the kernel is asked, and nothing is changed", () => {
    for (const [code, ask] of asked) {
      refusedUnasked(session, code, ask);
      session.holds(3n * page, code);
      says(window, live);
    }
  });
  const traffic = session.traffic(first);
  test("after all refusals a device reaches what it reached before, and nothing else", () => {
    assert.is(traffic.copy(first, atEnd), 0, "wrong bytes");
    const others = pagesOf(session, fresh, [free, free + page]);
    for (const place of others) assert.is(traffic.writes(place), false, `written at ${place.iova}`);
  });
  if (session.site.isSpapr) partlyRegistered(session, window, live);
}

function pagesOf({ page }: Session, va: bigint, iovas: readonly bigint[]): MappedRun[] {
  return iovas.map((iova, i) => ({ va: va + BigInt(i) * page, iova, length: page }));
}

/** Memory of which a part is locked already, by a map that is not whole any more. */
function partlyRegistered(session: Session, window: Window, live: readonly MappedRun[]): void {
  const { page } = session;
  const va = session.memory(3n * page);
  const iova = window.map({ va: va + page, length: 2n * page });
  window.unmap({ iova, length: page });
  test("sPAPR: memory that is locked in part is refused before the kernel is asked", () => {
    refusedUnasked(session, "ERR_PARTLY_REGISTERED", () => window.map({ va, length: 2n * page }));
    says(window, [...live, { va: va + 2n * page, iova: iova + page, length: page }]);
    session.holds(5n * page);
  });
}

/** What the IOMMU takes writes to for interrupts: VT-d, and an SMMU (`drivers/iommu/intel/iommu.c: IOAPIC_RANGE_START; arm-smmu-v3.c: MSI_IOVA_BASE`). */
const INTERRUPTS = { x86: [0xfee00000n, 0xfef00000n], arm: [0x8000000n, 0x8100000n] } as const;

function outsideRanges(session: Session): void {
  const { page } = session;
  const [start, end] = INTERRUPTS[session.site.machine.machine === "arm" ? "arm" : "x86"];
  const container = session.open();
  const request = { memory: { lists: [] }, info: container.info(), iovaMode: "va", growTo: 1n << 32n } as const;
  const window = session.create(container, planWindow(request));
  const va = session.memory(2n * page);
  test("IOVAs that the IOMMU has for itself are refused to their last page, and those beside them are not", () => {
    for (const iova of [start, end - page, start - page])
      refusedUnasked(session, "ERR_OUTSIDE_RANGES", () => window.map({ va, length: 2n * page, iova }));
    refusedUnasked(session, "ERR_OUTSIDE_RANGES", () => window.unmap({ iova: start, length: page }));
    session.holds(0n);
    const beside = [start - page, end].map((iova, i) => ({ va: va + BigInt(i) * page, length: page, iova }));
    window.mapMany(beside);
    says(window, beside);
    session.holds(2n * page);
  });
}

/** What happens to a page of memory between its mmap and its map. */
const spoiled: readonly (readonly [string, (session: Session, va: bigint) => void])[] = [
  ["memory without any right", (session, va) => remade(session, va, Protection.NONE)],
  ["memory that may only be read", (session, va) => remade(session, va, Protection.READ)],
  ["memory that is gone", (session, va) => assert.is(session.site.kernel.munmap(va, session.page), 0)],
];

function remade({ site, page }: Session, va: bigint, protection: number): void {
  assert.is(site.kernel.mmap(va, page, protection, MapFlag.FIXED | MapFlag.POPULATE, 0), va);
}

/** Sixteen pages, of which one in the middle cannot be had. */
function byTheKernel(session: Session, name: string, spoil: (session: Session, va: bigint) => void): void {
  const { page } = session;
  const container = session.open();
  const window = session.window(container, 16n * MiB);
  const [own, va] = [session.memory(page), session.memory(16n * page)];
  const live = { va: own, iova: window.map({ va: own, length: page }), length: page };
  const requests = pagesOf(
    session,
    va,
    Array.from({ length: 16 }, (_, i) => live.iova + BigInt(2 + i) * page),
  );
  const [first, bad] = [requests[0] as MappedRun, requests[9] as MappedRun];
  const traffic = session.traffic(live);
  spoil(session, bad.va);
  const unchanged = (): void => {
    says(window, [live]);
    session.holds(page);
  };
  test(`${name}: of a batch of 16 in which the kernel refuses one, nothing is left`, () => {
    const error = refused("ERR_KERNEL", () => window.mapMany(requests));
    assert.is(error.errno, EFAULT);
    assert.is(error.syscall, session.site.isSpapr ? "VFIO_IOMMU_SPAPR_REGISTER_MEMORY" : "VFIO_IOMMU_MAP_DMA");
    unchanged();
    notReached(traffic, first);
  });
  test(`${name}: of one map of 16 pages in which the kernel refuses one, nothing is left`, () => {
    const whole = { va, iova: first.iova, length: 16n * page };
    if (session.site.isSpapr) {
      assert.is(refused("ERR_PINNED_PARTLY", () => window.map(whole)).facts?.pages, 9);
    } else {
      assert.is(refused("ERR_KERNEL", () => window.map(whole)).errno, EFAULT);
    }
    unchanged();
    notReached(traffic, first);
  });
  const memory = session.table();
  const list = memory.addList({ pageSize: page, maxBytes: 16n * page, base: va });
  container.attach(memory);
  test(`${name}: an attached memory refuses it too, and does not know it afterwards`, () => {
    refused(session.site.isSpapr ? "ERR_PINNED_PARTLY" : "ERR_KERNEL", () =>
      memory.add(list, { va, length: 16n * page }),
    );
    assert.is(memory.size, 0);
    unchanged();
  });
  container.detach(memory);
  remade(session, bad.va, Protection.READ | Protection.WRITE);
  test(`${name}: when the memory is as it should be the same batch is mapped`, () => {
    window.mapMany(requests);
    says(window, [live, ...requests]);
    session.holds(17n * page);
    assert.is(traffic.copy(first, bad), 0, "wrong bytes");
  });
}

function notReached(traffic: Traffic, place: Place): void {
  assert.is(traffic.writes(place), false, "written");
}
