/**
 * What the kernel keeps of a container in pieces that cannot be cut: disjoint ranges, each with the number of its bytes
 * that are mapped.
 *
 *     sPAPR      the memory that is registered (pinned), by virtual address, over all windows. The kernel must see
 *                UNREGISTER only when nothing of it is mapped: it would answer 0 all the same and keep a registration
 *                that nobody can end (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_unregister_pages)
 *     type1      the kernel's own maps, by IOVA: one for each MAP. An UNMAP that cuts one is refused by v2, and by v1
 *                answered with 0 (drivers/vfio/vfio_iommu_type1.c: vfio_dma_do_unmap)
 *     no-IOMMU   nothing: the kernel is not asked
 *
 *     pages     constant radix: page -> number of its registration << 12
 *     records   24 bytes each:  | va : 8 | length : 8 | mapped : 8 |     length 0: free, and va is the next free one + 1
 */
import { regrow, release } from "./arena";
import { clear, drop, get, NONE, next, prepare, Radix, set } from "./radix";
import { lastOf } from "./range";
import * as status from "./status";

const RECORD_BYTES: u32 = 24;
const NUMBER_SHIFT: u64 = 12;

/** IOMMUs, under the numbers that SET_IOMMU has for them. */
export const TYPE1: u32 = 1;
export const TYPE1V2: u32 = 3;
export const SPAPR: u32 = 7;
export const NOIOMMU: u32 = 8;

/** No registration. */
export const NO_REGISTRATION: u32 = u32.MAX_VALUE;

@unmanaged
export class Container {
  records: u32;
  capacity: u32;
  used: u32;
  /** The first free record, + 1. */
  free: u32;
  /** Registrations that are there. */
  live: u32;
  /** Those of them of which nothing is mapped. */
  idle: u32;
  /** Windows that belong to the container. */
  windows: u32;
  cpuPageShift: u32;
  /** One of the IOMMUs above. */
  iommu: u32;

  /** Behind the fields, in the same block. */
  @inline
  get pages(): Radix {
    return changetype<Radix>(changetype<u32>(this) + 36);
  }
}

/** Of the fields, and of the radix map behind them. */
export const CONTAINER_BYTES: u64 = 48;

export function isIommu(iommu: u32): bool {
  return iommu == TYPE1 || iommu == TYPE1V2 || iommu == SPAPR || iommu == NOIOMMU;
}

@unmanaged
class Registration {
  va: u64;
  length: u64;
  mapped: u64;
}

export function dropContainer(container: Container): void {
  drop(container.pages);
  release(container.records, <u64>container.capacity * RECORD_BYTES);
  release(changetype<u32>(container), CONTAINER_BYTES);
}

function record(container: Container, number: u32): Registration {
  return changetype<Registration>(container.records + number * RECORD_BYTES);
}

export function registrationVa(container: Container, number: u32): u64 {
  return record(container, number).va;
}

export function registrationLength(container: Container, number: u32): u64 {
  return record(container, number).length;
}

export function registrationLast(container: Container, number: u32): u64 {
  return lastOf(registrationVa(container, number), registrationLength(container, number));
}

export function registrationMapped(container: Container, number: u32): u64 {
  return record(container, number).mapped;
}

/** The registration that holds `va`, or NO_REGISTRATION. */
export function registrationAt(container: Container, va: u64): u32 {
  const number = get(container.pages, va);
  return number == NONE ? NO_REGISTRATION : <u32>(number >> NUMBER_SHIFT);
}

/** Whether [iova, last], all mapped, begins or ends inside a map of the kernel. */
export function cutsMap(container: Container, iova: u64, last: u64): bool {
  if (registrationVa(container, registrationAt(container, iova)) != iova) return true;
  const number = registrationAt(container, last);
  return registrationLast(container, number) != last;
}

/** Whether any byte of [va, last] is registered. */
export function anyRegistered(container: Container, va: u64, last: u64): bool {
  return next(container.pages, va, last) != NONE;
}

/**
 * Whether [va, last], of which something is registered, can be mapped without registering it: all of it is registered, by
 * one registration or by neighbours, and something of each is mapped. An idle registration proves nothing: the program
 * may have other memory at those addresses by now, and the kernel would map the old.
 */
export function checkRegistered(container: Container, va: u64, last: u64): i32 {
  let at = va;
  while (true) {
    const number = registrationAt(container, at);
    if (number == NO_REGISTRATION) return status.PARTLY_REGISTERED;
    if (registrationMapped(container, number) == 0) return status.STALE_REGISTRATION;
    const reached = registrationLast(container, number);
    if (reached >= last) return status.OK;
    at = reached + 1;
  }
}

function growRecords(container: Container): bool {
  const capacity = container.capacity;
  const wanted: u32 = capacity == 0 ? 32 : capacity << 1;
  const block = regrow(container.records, capacity, wanted, RECORD_BYTES);
  if (block == 0) return false;
  container.records = block;
  container.capacity = wanted;
  return true;
}

/** Records a registration of [va, last], of which nothing is registered yet. NO_REGISTRATION: no memory. */
export function addRegistration(container: Container, va: u64, length: u64): u32 {
  const last = lastOf(va, length);
  if (container.free == 0 && container.used == container.capacity && !growRecords(container)) return NO_REGISTRATION;
  if (!prepare(container.pages, va, last)) {
    clear(container.pages, va, last);
    return NO_REGISTRATION;
  }
  let number: u32;
  if (container.free != 0) {
    number = container.free - 1;
    container.free = <u32>record(container, number).va;
  } else {
    number = container.used++;
  }
  const registration = record(container, number);
  registration.va = va;
  registration.length = length;
  registration.mapped = 0;
  set(container.pages, va, last, (<u64>number) << NUMBER_SHIFT);
  container.live++;
  container.idle++;
  return number;
}

export function removeRegistration(container: Container, number: u32): void {
  const registration = record(container, number);
  clear(container.pages, registration.va, registrationLast(container, number));
  if (registration.mapped == 0) container.idle--;
  registration.va = container.free;
  registration.length = 0;
  container.free = number + 1;
  container.live--;
}

/** Counts [va, last], all registered, as mapped once more or once less in the registrations that it lies in. */
export function countMapped(container: Container, va: u64, last: u64, more: bool): void {
  let at = va;
  while (true) {
    const number = registrationAt(container, at);
    const registration = record(container, number);
    const reached = min<u64>(last, registrationLast(container, number));
    // Bytes of [at, reached]; a registration of 2^64 bytes cannot be, so the sum stays below that.
    const part = reached - at + 1;
    const before = registration.mapped;
    registration.mapped = more ? before + part : before - part;
    if (before == 0) container.idle--;
    if (registration.mapped == 0) container.idle++;
    if (reached == last) return;
    at = reached + 1;
  }
}

/** Forgets the maps of the kernel that [iova, last] consists of. */
export function removeMaps(container: Container, iova: u64, last: u64): void {
  let at = iova;
  while (true) {
    const number = registrationAt(container, at);
    const reached = registrationLast(container, number);
    removeRegistration(container, number);
    if (reached >= last) return;
    at = reached + 1;
  }
}

/** The first registration from `number` on of which nothing is mapped; NO_REGISTRATION when there is none. */
export function nextIdle(container: Container, number: u32): u32 {
  for (let at = number; at < container.used; at++) {
    const registration = record(container, at);
    if (registration.length != 0 && registration.mapped == 0) return at;
  }
  return NO_REGISTRATION;
}
