/**
 * What a device's driver is changed by: writes to sysfs, each one text.
 *
 *     /sys/bus/pci/devices/0000:01:00.0/driver_override   the one driver that may have the device; "" for any that knows it
 *     /sys/bus/pci/devices/0000:01:00.0/driver/unbind     its driver lets go of it; there while it has one
 *     /sys/bus/pci/drivers_probe                          the drivers are asked whether they want it
 *
 * (`drivers/pci/pci-sysfs.c: driver_override_store`, `drivers/base/bus.c: unbind_store, drivers_probe_store`)
 *
 * All three are done when the kernel answers; a driver that probes in the background comes a little later, so what came of them is
 * waited for.
 */
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";
import { DEVICES, driverOf, Look } from "./look.ts";

/** A device whose driver is to change. */
export class DriverSwitch {
  readonly address: string;
  readonly #files: MachineFiles;
  readonly #timeout: number;

  /** `timeout`: how long the kernel is waited for after each write, in milliseconds. */
  constructor(files: MachineFiles, address: string, timeout: number) {
    this.#files = files;
    this.#timeout = timeout;
    this.address = address;
  }

  get #path(): string {
    return `${DEVICES}/${this.address}`;
  }

  /** The driver that has it at this moment. */
  get driver(): string | undefined {
    return driverOf(this.#now, this.address);
  }

  /** Whether it is there still. */
  get isThere(): boolean {
    return this.#now.has(this.address);
  }

  /** The driver that alone may have it; "" for none in particular, which the kernel writes as "(null)". */
  get override(): string {
    const text = this.#now.text(`${this.#path}/driver_override`)?.trim() ?? "";
    return text === "(null)" ? "" : text;
  }

  /** @throws `ERR_KERNEL` */
  setOverride(driver: string): void {
    if (this.override !== driver) this.#write(`${this.#path}/driver_override`, `${driver}\n`);
  }

  /** Its driver lets go of it. @throws `ERR_KERNEL`, `ERR_BIND_TIMEOUT` */
  unbind(): void {
    const { driver } = this;
    if (driver === undefined) return;
    try {
      this.#write(`${this.#path}/driver/unbind`, `${this.address}\n`);
    } catch (error) {
      if (this.driver !== undefined) throw error; // else somebody else was faster
    }
    if (this.#comes(() => this.driver === undefined)) return;
    throw this.#late(
      `${driver} has not let go of ${this.address} within ${this.#seconds}: something waits in that driver (dmesg, and who uses the ` +
        "device)",
      [`${driver} may let go of ${this.address} yet, which has no driver then`],
    );
  }

  /** The drivers are asked who wants it; it may be that none does. @throws `ERR_KERNEL` */
  offer(): void {
    try {
      this.#write("/sys/bus/pci/drivers_probe", `${this.address}\n`);
    } catch (error) {
      if (this.driver === undefined) throw error; // else a driver came by itself
    }
  }

  /** As {@link offer}, and the one that is wanted has it then. @throws `ERR_KERNEL`, `ERR_BIND_TIMEOUT` */
  probe(wanted: string): void {
    this.offer();
    this.#comes(() => this.driver !== undefined);
    const { driver } = this;
    if (driver === wanted) return;
    if (driver === undefined) {
      throw this.#late(
        `${wanted} has not taken ${this.address} within ${this.#seconds}: the kernel's log (dmesg) says why it would not`,
      );
    }
    throw new DmaWindowError("ERR_KERNEL", `${driver} took ${this.address}, and not ${wanted}`, {
      facts: this.#facts({ driver }),
    });
  }

  /** Looks at the machine as it is now. */
  get #now(): Look {
    return new Look(this.#files);
  }

  get #seconds(): string {
    return this.#timeout < 1000 ? `${this.#timeout} ms` : `${this.#timeout / 1000} s`;
  }

  #facts(more: object): Readonly<Record<string, unknown>> {
    return { address: this.address, ...more };
  }

  #late(message: string, left?: readonly string[]): DmaWindowError {
    return new DmaWindowError("ERR_BIND_TIMEOUT", message, {
      facts: this.#facts({ timeout: this.#timeout }),
      ...(left && { residue: { left } }),
    });
  }

  #write(path: string, text: string): void {
    const { write } = this.#files;
    if (write === undefined) {
      throw new DmaWindowError("ERR_KERNEL", `this kernel's files have no write(), so no device can be bound by them`, {
        facts: this.#facts({ path }),
      });
    }
    const answer = write.call(this.#files, path, text);
    if (answer === 0) return;
    const what = JSON.stringify(text.trim());
    throw new DmaWindowError("ERR_KERNEL", `writing ${what} to ${path}: ${errnoName(answer)}. ${advice(answer)}`, {
      errno: answer,
      syscall: "write",
      facts: this.#facts({ path }),
    });
  }

  /** Looks again and again, ever less often. Blocks the thread meanwhile, as the writes do. */
  #comes(what: () => boolean): boolean {
    const end = performance.now() + this.#timeout;
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      if (what()) return true;
      const left = end - performance.now();
      if (left <= 0) return false;
      sleep(Math.min(pause, left));
    }
  }
}

/** Blocks the thread. */
export function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.ceil(milliseconds));
}

function advice(answer: number): string {
  switch (-answer) {
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return "Only root may change who drives a device: run it as root";
    case ERRNO.EROFS:
      return "sysfs is mounted read-only here, as it is in a container: do it on the host";
    case ERRNO.ENODEV:
      return "The device has gone, or its driver has let go of it already: look again (dma-window devices)";
    case ERRNO.ENOENT:
      return "There is no such file: the device has gone, or no driver has it";
    default:
      return "The kernel's log (dmesg) says why";
  }
}
