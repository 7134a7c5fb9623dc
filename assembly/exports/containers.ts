/** Containers: what they have registered. */
import { acquire, release } from "../arena";
import * as handles from "../handles";
import { Container, dropContainer, initContainer } from "../registrations";
import * as status from "../status";
import * as unmaps from "../unmaps";

function resolve(handle: i32): Container | null {
  const object = handles.resolve(handles.CONTAINER, handle);
  return object == 0 ? null : changetype<Container>(object);
}

export function containerOpen(cpuPageShift: u32): i32 {
  if (cpuPageShift < 12 || cpuPageShift > 40) return -status.BAD_PAGE_SHIFT;
  const object = acquire(offsetof<Container>());
  if (object == 0) return -status.OUT_OF_MEMORY;
  if (initContainer(changetype<Container>(object), cpuPageShift)) {
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

/** Registrations of the container, idle ones included. */
export function containerRegistrations(handle: i32): u32 {
  const self = resolve(handle);
  return self ? self.live : 0;
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
