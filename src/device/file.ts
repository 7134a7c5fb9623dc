/** A device's descriptor: its calls, and what the kernel says against them in words. */
import { asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import type { IommuInfo } from "../iommu.ts";
import { type Syscalls, type VfioCall, vfioCallName } from "../syscalls.ts";

/** A kernel interface may leave these out; here they are. */
type Having<Name extends keyof Syscalls> = Syscalls & { readonly [Each in Name]: NonNullable<Syscalls[Each]> };

/** What a kernel interface must have for a device, besides what a container needs. */
export type DeviceKernel = Having<"pread" | "pwrite" | "registers">;

/** What it must have for interrupts. */
export type EventKernel = Having<"eventfd" | "takeEvents" | "listen">;

/** @throws `ERR_NO_DEVICE_CALLS` for a kernel interface that is older than devices, or leaves them out. */
export function checkDeviceCalls(kernel: Syscalls): DeviceKernel {
  return having(kernel, ["pread", "pwrite", "registers"], "devices cannot be opened");
}

/** @throws `ERR_NO_DEVICE_CALLS`. */
export function checkEventCalls(kernel: Syscalls): EventKernel {
  return having(kernel, ["eventfd", "takeEvents", "listen"], "interrupts cannot be heard");
}

function having<Name extends keyof Syscalls>(kernel: Syscalls, names: readonly Name[], what: string): Having<Name> {
  const lacking = names.filter((name) => typeof kernel[name] !== "function");
  if (lacking.length === 0) return kernel as Having<Name>;
  throw new DmaWindowError(
    "ERR_NO_DEVICE_CALLS",
    `this kernel interface has no ${lacking.join(", ")}, so ${what} through it: use linuxKernel() or modelKernel(), or pass ` +
      "these on to the kernel behind it",
    { facts: { lacking } },
  );
}

/** Where a device is: what its errors name. */
export interface Whereabouts {
  readonly address: string;
  readonly group: number;
  readonly iommu: IommuInfo["kind"];
}

export class DeviceFile {
  readonly kernel: DeviceKernel;
  readonly fd: number;
  readonly where: Whereabouts;
  #open = true;

  constructor(kernel: DeviceKernel, fd: number, where: Whereabouts) {
    this.kernel = kernel;
    this.fd = fd;
    this.where = where;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** @throws `ERR_CLOSED`. */
  check(): void {
    if (this.#open) return;
    const { address } = this.where;
    throw new DmaWindowError(
      "ERR_CLOSED",
      `device ${address} is closed: container.device("${address}") opens it anew, while its container is open`,
    );
  }

  /** A call with a struct; the kernel's answer. */
  call(call: VfioCall, struct: Uint8Array): number {
    return this.kernel.ioctlStruct(this.fd, call, struct, 0);
  }

  /** The same, where anything but 0 is a refusal. @throws `ERR_KERNEL`, `ERR_INTERFACE`. */
  ask(call: VfioCall, struct: Uint8Array, facts?: Facts): void {
    const answer = this.call(call, struct);
    if (answer !== 0) throw this.refused(vfioCallName(call), answer, facts);
  }

  /** All bytes, or an error: a short answer is none. @throws `ERR_KERNEL`, `ERR_SHORT_ACCESS`. */
  read(into: Uint8Array, at: bigint, facts: Facts, about: string): void {
    const answer = this.kernel.pread(this.fd, into, at);
    if (answer !== into.length) throw this.#failed("pread", answer, into.length, facts, about);
  }

  /** @throws as {@link read}. */
  write(from: Uint8Array, at: bigint, facts: Facts, about: string): void {
    const answer = this.kernel.pwrite(this.fd, from, at);
    if (answer !== from.length) throw this.#failed("pwrite", answer, from.length, facts, about);
  }

  #failed(call: string, answer: number, wanted: number, facts: Facts, about: string): DmaWindowError {
    if (answer < 0) return this.refused(call, answer, facts, `${call} of ${about}`);
    return new DmaWindowError(
      "ERR_SHORT_ACCESS",
      `${call} of ${about} of device ${this.where.address}: the kernel moved ${answer} of ${wanted} bytes`,
      { syscall: call, facts: { ...this.where, ...facts, moved: answer, wanted } },
    );
  }

  /** The error for an answer that is a refusal. `hint` is the call that the table of causes knows it by. */
  refused(syscall: string, answer: number, facts: Facts = {}, about = syscall, hint = syscall): DmaWindowError {
    const { iommu, ...where } = this.where;
    return refusedByKernel(syscall, answer, {
      about: `${about} of device ${where.address}`,
      hint,
      iommu,
      files: this.kernel.files,
      facts: { ...where, ...facts },
    });
  }

  /**
   * Closes it, whatever was mapped or listened to. Whatever else Linux answers, it is closed (fs/open.c: close). Gives the error,
   * if there is one; an interface that throws may not have asked.
   */
  end(): DmaWindowError | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    try {
      const answer = this.kernel.close(this.fd);
      return answer < 0 ? this.refused("close", answer, { fd: this.fd }) : undefined;
    } catch (error) {
      return asOurs(withResidue(error, [`descriptor ${this.fd} may still be open`]));
    }
  }
}

export type Facts = Readonly<Record<string, unknown>>;
