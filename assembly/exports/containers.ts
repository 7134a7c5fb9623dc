/** Containers: what the kernel keeps of them. */
import { acquire, release } from "../arena";
import * as handles from "../handles";
import { NONE } from "../radix";
import {
  Container,
  dropContainer,
  initContainer,
  isIommu,
  NO_REGISTRATION,
  registrationAt,
  registrationLength,
  registrationVa,
} from "../registrations";
import * as status from "../status";
import * as unmaps from "../unmaps";

function resolve(handle: i32): Container | null {
  const object = handles.resolve(handles.CONTAINER, handle);
  return object == 0 ? null : changetype<Container>(object);
}

export function containerOpen(cpuPageShift: u32, iommu: u32): i32 {
  if (cpuPageShift < 12 || cpuPageShift > 40) return -status.BAD_PAGE_SHIFT;
  if (!isIommu(iommu)) return -status.UNKNOWN_IOMMU;
  const object = acquire(offsetof<Container>());
  if (object == 0) return -status.OUT_OF_MEMORY;
  if (initContainer(changetype<Container>(object), cpuPageShift, iommu)) {
    const handle = handles.open(handles.CONTAINER, object);
    if (handle != 0) return handle;
    dropContainer(changetype<Container>(object));
  }
  release(object, offsetof<Container>());
  return -status.OUT_OF_MEMORY;
}

/** Forgets a container without windows. BUSY while it has one. */
export function containerClose(handle: i32): i32 {
  const self = resolve(handle);
  if (!self) return status.UNKNOWN_HANDLE;
  if (self.windows != 0) return status.BUSY;
  dropContainer(self);
  release(changetype<u32>(self), offsetof<Container>());
  handles.close(handle);
  return status.OK;
}

/** Registrations of the container, idle ones included; of a type1 container the kernel's maps. */
export function containerRegistrations(handle: i32): u32 {
  const self = resolve(handle);
  return self ? self.live : 0;
}

/** Where the registration (on type1 the map) begins that holds an address (an IOVA); all ones when none does. */
export function containerPieceStart(handle: i32, address: u64): u64 {
  const self = resolve(handle);
  const number = self ? registrationAt(self, address) : NO_REGISTRATION;
  return self && number != NO_REGISTRATION ? registrationVa(self, number) : NONE;
}

/** How many bytes it has; 0 when there is none. */
export function containerPieceLength(handle: i32, address: u64): u64 {
  const self = resolve(handle);
  const number = self ? registrationAt(self, address) : NO_REGISTRATION;
  return self && number != NO_REGISTRATION ? registrationLength(self, number) : 0;
}

/** Whether a registration is left of which nothing is mapped. */
export function containerHasIdle(handle: i32): bool {
  const self = resolve(handle);
  return self ? self.idle != 0 : false;
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
