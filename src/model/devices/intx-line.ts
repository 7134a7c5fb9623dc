import { EBUSY, ENOTTY } from "../errno.ts";
import { type Eventfd, eventfdAt } from "../eventfd.ts";
import type { Caller } from "../open-file.ts";
import { IrqAction, IrqData, type IrqRequest } from "./irq-set.ts";
import type { PciFunction } from "./pci-function.ts";

/**
 * The interrupt line of an open device: the kernel masks it as it hears it, and looks again when it is unmasked, since a line stays up
 * until the device lets go.
 *
 *     line up ──> masked, one event ──> UNMASK ──> still up: masked again, one more event
 *                                              └─> down: waits for the next
 *
 * Rules: `drivers/vfio/pci/vfio_pci_intrs.c: vfio_intx_handler, vfio_pci_intx_unmask_handler, vfio_intx_enable`.
 */
export class IntxLine {
  readonly #device: PciFunction;
  #eventfd: Eventfd | undefined;
  #masked = false;
  /** Disabled by the command register. */
  #disabled = false;
  #unmaskBy: { readonly eventfd: Eventfd; readonly stop: () => void } | undefined;

  constructor(device: PciFunction) {
    this.#device = device;
  }

  /** Begins, or goes on with another eventfd. */
  enable(eventfd: Eventfd | undefined): void {
    this.#eventfd = eventfd;
    if (this.#device.isRaised) this.raised();
  }

  end(): void {
    this.#eventfd = undefined;
    this.#masked = false;
    this.#stopUnmasking();
  }

  raised(): void {
    if (this.#masked || this.#disabled) return;
    this.#masked = true;
    this.signal();
  }

  /** `vfio_send_intx_eventfd`. */
  signal(): void {
    if (!this.#disabled) this.#eventfd?.signal();
  }

  disable(disabled: boolean, isOn: boolean): void {
    if (disabled === this.#disabled) return;
    this.#disabled = disabled;
    if (!isOn) return;
    if (disabled) this.#masked = true;
    else this.#unmask();
  }

  setMask({ action, data, values }: IrqRequest, caller: Caller): number {
    const [value = 0] = values;
    const isMask = action === IrqAction.MASK;
    if (data === IrqData.EVENTFD) return isMask ? ENOTTY : this.#unmaskByEventfd(value, caller);
    if (data === IrqData.NONE || value !== 0) {
      if (isMask) this.#masked = true;
      else this.#unmask();
    }
    return 0;
  }

  state(nameOf: (eventfd: Eventfd) => string): unknown {
    return {
      eventfd: this.#eventfd === undefined ? null : nameOf(this.#eventfd),
      unmask: this.#unmaskBy === undefined ? null : nameOf(this.#unmaskBy.eventfd),
      masked: this.#masked,
      disabled: this.#disabled,
    };
  }

  #unmask(): void {
    if (this.#disabled) return;
    this.#masked = false;
    if (this.#device.isRaised) this.raised();
  }

  /** `drivers/vfio/virqfd.c: vfio_virqfd_enable`: one at a time; what it counted already counts. */
  #unmaskByEventfd(fd: number, caller: Caller): number {
    if (fd < 0) {
      this.#stopUnmasking();
      return 0;
    }
    const eventfd = eventfdAt(fd, caller);
    if (typeof eventfd === "number") return eventfd;
    if (this.#unmaskBy !== undefined) return EBUSY;
    const wake = () => {
      if (eventfd.take() > 0) this.#unmask();
    };
    this.#unmaskBy = { eventfd, stop: eventfd.onSignal(wake) };
    wake();
    return 0;
  }

  #stopUnmasking(): void {
    this.#unmaskBy?.stop();
    this.#unmaskBy = undefined;
  }
}
