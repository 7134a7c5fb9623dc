/** Containers: what the kernel keeps of them. */
import { acquire, release } from "../arena";
import { isPageShift } from "../bits";
import * as handles from "../handles";
import { NONE } from "../radix";
import {
  CONTAINER_BYTES,
  Container,
  dropContainer,
  isIommu,
  NO_REGISTRATION,
  registrationAt,
  registrationLength,
  registrationVa,
} from "../registrations";
import * as status from "../status";
import * as unmaps from "../unmaps";

/**
 * The container behind a handle. Of an unknown one the null page: read as a container it has no registrations, so what
 * only looks them up need not ask.
 */
function resolve(handle: i32): Container {
  return changetype<Container>(handles.resolve(handles.CONTAINER, handle));
}

export function containerOpen(cpuPageShift: u32, iommu: u32): i32 {
  if (!isPageShift(cpuPageShift)) return -status.BAD_PAGE_SHIFT;
  if (!isIommu(iommu)) return -status.UNKNOWN_IOMMU;
  const object = acquire(CONTAINER_BYTES);
  const handle = object == 0 ? 0 : handles.open(handles.CONTAINER, object);
  if (handle == 0) {
    release(object, CONTAINER_BYTES);
    return -status.OUT_OF_MEMORY;
  }
  const self = changetype<Container>(object);
  self.cpuPageShift = cpuPageShift;
  self.iommu = iommu;
  return handle;
}

/** Forgets a container without windows. BUSY while it has one. */
export function containerClose(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (self.windows != 0) return status.BUSY;
  dropContainer(self);
  handles.close(handle);
  return status.OK;
}

/** Registrations of the container, idle ones included; of a type1 container the kernel's maps. */
export function containerRegistrations(handle: i32): u32 {
  return resolve(handle).live;
}

/** Where the registration (on type1 the map) begins that holds an address (an IOVA); all ones when none does. */
export function containerPieceStart(handle: i32, address: u64): u64 {
  const self = resolve(handle);
  const number = registrationAt(self, address);
  return number != NO_REGISTRATION ? registrationVa(self, number) : NONE;
}

/** How many bytes it has; 0 when there is none. */
export function containerPieceLength(handle: i32, address: u64): u64 {
  const self = resolve(handle);
  const number = registrationAt(self, address);
  return number != NO_REGISTRATION ? registrationLength(self, number) : 0;
}

/** Whether a registration is left of which nothing is mapped. */
export function containerHasIdle(handle: i32): bool {
  return resolve(handle).idle != 0;
}

/** Writes the calls that end the registrations of which nothing is mapped. */
export function prepareIdle(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  return unmaps.prepareIdle(self) ? status.OK : status.OUT_OF_MEMORY;
}

export function settleIdle(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  unmaps.forgetUnregistered(self);
  return status.OK;
}
