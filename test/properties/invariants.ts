/**
 * What holds after every step, as the model's snapshots say: the twins say what should be there, the kernel what is.
 *
 * A step costs what it touched: a TCE changes only by a MAP, which the guard sees, or by going, which the watcher hears. All
 * the others are as they were when they were last looked at. `checkAll` looks at everything.
 */
import * as assert from "uvu/assert";
import { hex } from "../../src/hex.ts";
import type { ModelSnapshot, RegistrationSnapshot } from "../../src/model/index.ts";
import type { Touched } from "./guard.ts";
import { addressOf, pageOf, type Seat, type WindowTwin } from "./twins.ts";
import type { World } from "./world.ts";

type ContainerSeen = ModelSnapshot["containers"][number];

function wrong(sentence: string): never {
  throw new assert.Assertion({
    message: sentence,
    details: "",
    generated: false,
    operator: "invariant",
    expects: "",
    actual: "",
  });
}

export function check(world: World): void {
  const { guard, model } = world;
  const [asked] = guard.wrong;
  if (asked !== undefined) wrong(`what reached the kernel: ${asked}`);
  const [lost] = world.lost;
  if (lost !== undefined) wrong(lost);
  const before = world.seen;
  const seen = model.snapshot();
  world.seen = seen;
  if (seen.zombies.length > 0) wrong(`memory was unregistered while mapped: ${hex(seen.zombies[0]?.va ?? 0n)}`);
  checkCharges(world, before, seen);
  checkPages(world);
  for (const seat of world.seats) {
    const container = seen.containers.find(({ groups }) => groups.includes(seat.group));
    checkSeat(world, seat, container);
    if (container === undefined) continue;
    for (const one of guard.touched) if (one.group === seat.group) addPages(seat.touched, one, seat);
    for (const iovaPage of seat.touched) checkPage(world, seat, iovaPage);
    seat.touched.clear();
  }
  guard.touched.length = 0;
}

function addPages(to: Set<number>, { iovaPage, pages }: Touched, seat: Seat): void {
  const unit = seat.windowAt(iovaPage)?.unit ?? pages;
  for (let page = iovaPage; page < iovaPage + pages; page += unit) to.add(page);
}

/** What the kernel counts for windows that it did not make is what errors said; where the interface throws nobody may know. */
function checkCharges({ guard, charged }: World, before: ModelSnapshot, seen: ModelSnapshot): void {
  const { tableBytes, pinnedBytes, leakedBytes } = seen.charges;
  const leaked = leakedBytes - before.charges.leakedBytes;
  const said = charged.splice(0).reduce((sum, one) => sum + one, 0n);
  if (said !== leaked && !guard.asksToBeSure)
    wrong(`${leaked} bytes stay charged for windows that were not made, and errors said ${said}`);
  if (seen.lockedBytes !== tableBytes + pinnedBytes + leakedBytes)
    wrong(
      `locked: ${seen.lockedBytes}; tables ${tableBytes}, memory ${pinnedBytes}, lost by the kernel ${leakedBytes}`,
    );
}

/** Memory that came from the operating system is that of the segments; no more is kept than an error named. */
function checkPages({ guard, tables, spaceLeft }: World): void {
  const segments = tables.flatMap(({ pieces }) => pieces.filter(({ piece }) => piece.segment !== undefined));
  const meant = segments.reduce((sum, { piece }) => sum + piece.pages, 0);
  if (guard.present.pages !== meant && spaceLeft.length === 0)
    wrong(`${guard.present.pages * 4} KiB of memory are present, and segments have ${meant * 4} KiB`);
}

function checkSeat(world: World, seat: Seat, seen: ContainerSeen | undefined): void {
  if (seat.container === undefined) {
    if (seen !== undefined) wrong(`group ${seat.group} is still in a container`);
    return;
  }
  if (seen === undefined || seen.fd === null) throw wrong(`the container of group ${seat.group} is gone`);
  for (const twin of seat.windows) checkHole(world, seat, twin);
  if (world.isSpapr) {
    checkWindows(world, seat, seen);
    checkRegistrations(seat, seen.registrations);
    return;
  }
  if (seen.windows.length + seen.registrations.length > 0) wrong("only sPAPR knows of windows and registrations");
  for (const { window, live: pages, unit } of seat.windows)
    if (window.liveBytes !== BigInt(pages * unit) << 12n) wrong(`the window says ${window.liveBytes} bytes are mapped`);
  const mapped = seen.maps.reduce((sum, { size }) => sum + size, 0n);
  const live = seat.windows.reduce((sum, twin) => sum + BigInt(twin.live * twin.unit), 0n) << 12n;
  if (mapped !== (world.isBare ? 0n : live)) wrong(`${mapped} bytes are mapped in the kernel, and ${live} should be`);
}

/** Where nothing is mapped, and nothing attached, nothing is set aside either. */
function checkHole({ tables }: World, seat: Seat, twin: WindowTwin): void {
  if (twin.live > 0 || twin.keepsAside || twin.window.largestHole === twin.hole) return;
  if (tables.some(({ attachments }) => attachments.get(seat)?.window === twin)) return;
  wrong(`IOVAs stay set aside in an empty window: its largest hole is ${hex(twin.window.largestHole)}`);
}

function checkWindows({ guard, seen: { groups } }: World, seat: Seat, { windows }: ContainerSeen): void {
  if (!groups.find(({ number }) => number === seat.group)?.open) wrong(`group ${seat.group} is closed`);
  const expected = new Map<bigint, WindowTwin | "stray" | "default">();
  for (const twin of seat.windows) expected.set(twin.window.start, twin);
  for (const start of seat.strays) expected.set(start, "stray");
  if (seat.defaultWindow === "lazy" && !guard.hasDefault(seat.group))
    wrong("the default window is gone, and no error said so");
  if (seat.defaultWindow === "made") expected.set(0n, "default");
  if (windows.length !== expected.size)
    wrong(`the kernel has ${windows.length} windows; there should be ${[...expected.keys()].map(hex)}`);
  for (const { start, size, pageShift, levels, liveTces } of windows) {
    const twin = expected.get(start);
    if (twin === undefined) throw wrong(`the kernel has a window at ${hex(start)}`);
    if (typeof twin === "string") {
      if (liveTces > 0) wrong(`${liveTces} TCEs live in the ${twin} window`);
      continue;
    }
    const { window, live } = twin;
    if (window.closed) wrong(`the window at ${hex(start)} says that it is closed`);
    if (liveTces !== live)
      wrong(`the window at ${hex(start)} has ${liveTces} live TCEs in the kernel, and should have ${live}`);
    if (window.liveBytes !== BigInt(live) << BigInt(pageShift))
      wrong(`the window says ${window.liveBytes} bytes are mapped`);
    if (pageShift !== window.pageShift || levels !== window.levels || size < window.size)
      wrong(`the window at ${hex(start)} is not the one that was planned`);
  }
}

/** Those that back live maps, and those that an error named: no others, and none of these is missing. */
function checkRegistrations(seat: Seat, registrations: readonly RegistrationSnapshot[]): void {
  const idle = new Map(seat.idle);
  seat.idle.clear();
  let backed = 0;
  const step = seat.windows.reduce((least, { unit }) => Math.min(least, unit), 1 << 18);
  for (const { va, size } of registrations) {
    const [page, pages] = [pageOf(va), pageOf(size)];
    const inside = livePagesOf(seat.backing, page, pages, step);
    backed += inside;
    if (inside > 0) continue;
    if (idle.get(page) !== pages)
      wrong(`${pages * 4} KiB at ${hex(va)} are registered for nothing, and no error said so`);
    seat.idle.set(page, pages);
  }
  if (backed !== seat.live.size)
    wrong(`${seat.live.size - backed} live pages are not of memory that this container registered`);
}

/** How many live pages begin in [page, page + pages), by whichever way there is less to look at. */
function livePagesOf(backing: ReadonlyMap<number, number>, page: number, pages: number, step: number): number {
  let inside = 0;
  if (pages / step > backing.size) {
    for (const [at, count] of backing) if (at >= page && at < page + pages) inside += count;
  } else {
    for (let at = page; at < page + pages; at += step) inside += backing.get(at) ?? 0;
  }
  return inside;
}

/** One page of a window: the device reaches what was promised, and the library says so in both directions. */
function checkPage(world: World, seat: Seat, iovaPage: number): void {
  const entry = seat.live.get(iovaPage);
  const iova = addressOf(iovaPage);
  const reached = world.model.tceAt(seat.group, iova);
  const window = seat.windowAt(iovaPage)?.window;
  if (entry === undefined) {
    // Without an IOMMU a device reaches whatever lies there.
    if (reached !== undefined && !world.isBare)
      wrong(`a device reaches ${hex(reached.va)} at IOVA ${hex(iova)}, where nothing should be`);
    if (window?.vaOf(iova) !== undefined) wrong(`the window says that IOVA ${hex(iova)} is mapped`);
    return;
  }
  const va = addressOf(entry.vaPage);
  if (reached === undefined) throw wrong(`no device reaches IOVA ${hex(iova)}, where ${hex(va)} should be`);
  if (reached.va !== va) wrong(`a device reaches ${hex(reached.va)} at IOVA ${hex(iova)}, where ${hex(va)} should be`);
  if (((reached.read ? 1 : 0) | (reached.write ? 2 : 0)) !== world.accessOf(entry.access))
    wrong(`other access at IOVA ${hex(iova)}`);
  if (window === undefined) throw wrong(`IOVA ${hex(iova)} is live and in no window`);
  if (window.vaOf(iova + 1n) !== va + 1n) wrong(`the window says ${window.vaOf(iova + 1n)} of IOVA ${hex(iova + 1n)}`);
  if (window.translate(va + 5n) !== iova + 5n)
    wrong(`the window does not translate ${hex(va + 5n)} to ${hex(iova + 5n)}`);
  if (world.isBare) checkPhysical(world, window, va);
}

/** A page of the window is one run of physical memory, and its IOVAs are the physical addresses. */
function checkPhysical(world: World, window: WindowTwin["window"], va: bigint): void {
  for (const at of [va, va + (1n << BigInt(window.pageShift)) - 1n]) {
    const [iova, physical] = [window.translate(at), world.physicalOf(at)];
    if (iova === undefined || iova !== physical)
      wrong(`the memory at ${hex(at)} has IOVA ${iova && hex(iova)}, and lies at ${physical && hex(physical)}`);
  }
}

/** Every page of every window, and the library's own list of what is mapped. */
export function checkAll(world: World): void {
  for (const seat of world.seats) {
    for (const iovaPage of seat.live.keys()) checkPage(world, seat, iovaPage);
    for (const twin of seat.windows) checkRuns(seat, twin);
  }
}

function checkRuns(seat: Seat, { window, unit, live }: WindowTwin): void {
  let listed = 0;
  let end = -1;
  for (const { va, iova, length } of window.maps()) {
    const first = pageOf(iova);
    if (first < end) wrong(`maps() lists IOVA ${hex(iova)} twice, or out of order`);
    end = first + pageOf(length);
    for (let page = first; page < end; page += unit) {
      listed++;
      if (seat.live.get(page)?.vaPage !== pageOf(va) + page - first)
        wrong(`maps() is wrong about IOVA ${hex(addressOf(page))}`);
    }
  }
  if (listed !== live) wrong(`maps() lists ${listed} pages of ${live}`);
}
