/** The program's own maps and unmaps; each says what is live afterwards, in the twin. */
import type { MapRequest, UnmapRequest } from "../../../src/container/window.ts";
import { hex } from "../../../src/hex.ts";
import { holds, nameOf, noteIdle } from "../noting.ts";
import { addressOf, type Entry, pageOf, type WindowTwin } from "../twins.ts";
import type { Outcome, World } from "../world.ts";

export function map(world: World, twin: WindowTwin, requests: readonly MapRequest[]): Outcome {
  world.begin(() => `map into ${nameOf(twin)}: ${requests.map(mapWords).join("; ")}`);
  let iovas: bigint[] = [];
  const outcome = world.attempt(() => {
    iovas = twin.window.mapMany(requests);
  });
  requests.forEach((request, i) => {
    const iova = iovas[i];
    if (iova === undefined) return;
    if (request.iova !== undefined && request.iova !== iova) throw new Error(`mapped at ${hex(iova)} instead`);
    expectMapped(twin, iova, request);
  });
  // On a good day what earlier failures left registered is given up before anything is mapped.
  if (outcome.done && world.kernel.refused.length === 0) twin.seat.idle.clear();
  for (const one of outcome.left) {
    if (one.what === "registered") twin.seat.idle.set(pageOf(one.va), pageOf(one.length));
    if (one.what !== "mapped") continue;
    const va = world.mappedAt(twin.seat, pageOf(one.iova));
    const request = requests.find((each) => each.va === va && each.length === one.length);
    if (request === undefined) throw new Error(`nothing that was asked for is still mapped at ${hex(one.iova)}`);
    expectMapped(twin, one.iova, request);
  }
  return outcome;
}

/** Puts a map into the twin. It has to be in the window, and in nobody's way. */
function expectMapped(twin: WindowTwin, iova: bigint, { va, length, read = true, write = true }: MapRequest): void {
  const [first, pages] = [pageOf(iova), pageOf(BigInt(length))];
  const access = (read ? 1 : 0) | (write ? 2 : 0);
  const { unit, seat } = twin;
  if (first < twin.startPage || first + pages > twin.endPage || pages === 0 || pages % unit !== 0)
    throw new Error(`mapped ${pages * 4} KiB at ${hex(iova)}, which is not in the window`);
  for (let at = 0; at < pages; at += unit) {
    if (seat.live.has(first + at)) throw new Error(`mapped over what is live at ${hex(addressOf(first + at))}`);
    seat.set(first + at, { vaPage: pageOf(va) + at, access, owner: 0 });
  }
}

export function unmap(world: World, twin: WindowTwin, requests: readonly UnmapRequest[]): Outcome {
  const { seat, window } = twin;
  world.begin(() => `unmap from ${nameOf(twin)}: ${requests.map(unmapWords).join("; ")}`);
  const asked = new Map<number, Entry | undefined>();
  for (const { iova, length } of requests) {
    // Longer than anything that could be mapped: it will be refused.
    const pages = Math.min(pageOf(BigInt(length)), 4096 * twin.unit);
    for (let at = 0; at < pages; at += twin.unit) asked.set(pageOf(iova) + at, seat.live.get(pageOf(iova) + at));
  }
  const outcome = world.attempt(
    () => window.unmapMany(requests),
    (of, page) => of === seat && asked.has(page),
  );
  const { error, done, left } = outcome;
  const reached =
    done || error?.errno !== undefined || error?.code === "ERR_STILL_REGISTERED" || error?.syscall !== undefined;
  if (!reached) return outcome;
  for (const [page, entry] of asked) {
    if (entry === undefined || entry.owner !== 0)
      throw new Error(`IOVA ${hex(addressOf(page))} was not the program's to unmap`);
    if (!left.some((one) => one.what === "mapped" && holds(one, page))) seat.delete(page);
  }
  noteIdle(seat, outcome);
  return outcome;
}

function mapWords({ va, length, iova, read = true, write = true }: MapRequest): string {
  const access = read && write ? "" : read ? ", read only" : write ? ", write only" : ", no access";
  return `${hex(va)}+${hex(length)}${iova === undefined ? "" : ` at ${hex(iova)}`}${access}`;
}

function unmapWords({ va, length, iova }: UnmapRequest): string {
  return `${hex(iova)}+${hex(length)}${va === undefined ? "" : ` of ${hex(va)}`}`;
}
