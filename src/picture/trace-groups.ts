/** Which groups are in which container of a trace, by their descriptors' names. */
import type { TraceCall } from "../trace/format.ts";

interface Group {
  /** The container that it is in. */
  container: string | undefined;
  /** Devices of it that are open. */
  devices: number;
  isOpen: boolean;
}

export class TraceGroups {
  readonly #groups = new Map<string, Group>();
  /** The groups of open devices. */
  readonly #devices = new Map<string, Group>();

  /**
   * One call. Gives the container that a group leaves by it, and whether that was the last one: drivers/vfio/container.c:
   * vfio_group_detach_container, which UNSET_CONTAINER calls, and the last close of the group and of its devices.
   */
  take({ call, fields, answer }: TraceCall): { readonly container: string; readonly isLast: boolean } | undefined {
    const fd = String(fields.fd);
    if (call === "GROUP_GET_DEVICE_FD" && typeof answer === "string" && answer.startsWith("f")) {
      const group = this.#groups.get(fd);
      if (group === undefined) return undefined;
      group.devices++;
      this.#devices.set(answer, group);
    }
    if (answer !== 0) return undefined;
    if (call === "GROUP_SET_CONTAINER") {
      this.#groups.set(fd, { container: String(fields.container), devices: 0, isOpen: true });
    }
    const group = this.#groups.get(fd);
    if (call === "GROUP_UNSET_CONTAINER") return this.#left(group);
    return call === "close" ? this.#closed(fd, group) : undefined;
  }

  #closed(fd: string, group: Group | undefined): ReturnType<TraceGroups["take"]> {
    const ofDevice = this.#devices.get(fd);
    if (ofDevice !== undefined) ofDevice.devices--;
    if (group !== undefined) group.isOpen = false;
    this.#devices.delete(fd);
    this.#groups.delete(fd);
    const closed = group ?? ofDevice;
    return closed !== undefined && !closed.isOpen && closed.devices === 0 ? this.#left(closed) : undefined;
  }

  #left(group: Group | undefined): ReturnType<TraceGroups["take"]> {
    const container = group?.container;
    if (group === undefined || container === undefined) return undefined;
    group.container = undefined;
    const others = [...this.#groups.values(), ...this.#devices.values()];
    return { container, isLast: others.every((other) => other.container !== container) };
  }
}
