import { EINVAL, ENODEV, ENOTTY, ERANGE } from "../errno.ts";
import { type Eventfd, eventfdAt } from "../eventfd.ts";
import type { Caller } from "../open-file.ts";
import { IntxLine } from "./intx-line.ts";
import { Irq, IrqAction, IrqData, type IrqRequest } from "./irq-set.ts";
import type { InterruptSink, PciFunction } from "./pci-function.ts";

export type IrqMode = "none" | "intx" | "msi" | "msix";

/**
 * What SET_IRQS has set up for an open device: one kind of interrupt at a time, and beside it two eventfds for errors, and for the wish
 * to have the device back.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_intrs.c: vfio_pci_set_irqs_ioctl` and what it calls.
 */
export class Interrupts implements InterruptSink {
  readonly #device: PciFunction;
  readonly #intx: IntxLine;
  mode: IrqMode = "none";
  /** MSI and MSI-X: who hears a vector. */
  readonly #vectors = new Map<number, Eventfd>();
  /** Vectors that have an interrupt of the machine. */
  readonly #allocated = new Set<number>();
  error: Eventfd | undefined;
  request: Eventfd | undefined;

  constructor(device: PciFunction) {
    this.#device = device;
    this.#intx = new IntxLine(device);
    device.sink = this;
  }

  /** `vfio_pci_get_irq_count`. */
  countOf(index: number): number {
    const { facts } = this.#device;
    switch (index) {
      case Irq.INTX:
        return facts.intx ? 1 : 0;
      case Irq.MSI:
        return facts.msi;
      case Irq.MSIX:
        return facts.msix?.vectors ?? 0;
      case Irq.ERROR:
        return facts.express ? 1 : 0;
      default:
        return index === Irq.REQUEST ? 1 : 0;
    }
  }

  set(request: IrqRequest, caller: Caller): number {
    const { index, action } = request;
    if (index === Irq.INTX) return this.#setIntx(request, caller);
    if (action !== IrqAction.TRIGGER) return ENOTTY;
    if (index === Irq.MSI) return this.#setMessages(request, "msi", caller);
    if (index === Irq.MSIX) return this.#setMessages(request, "msix", caller);
    if (request.start !== 0 || request.count > 1) return EINVAL;
    return this.#setSingle(request, index === Irq.ERROR ? "error" : "request", caller);
  }

  message(vector: number): void {
    this.#vectors.get(vector)?.signal();
  }

  line(): void {
    if (this.mode === "intx") this.#intx.raised();
  }

  /** The bit of the command register: the line is masked, whatever else is asked. */
  disableLine(disabled: boolean): void {
    this.#intx.disable(disabled, this.mode === "intx");
  }

  /** After a reset of the device: the kernel writes the table of MSI-X again. (`drivers/pci/msi/msi.c: __pci_restore_msix_state`) */
  restore(): void {
    if (this.mode === "msix") for (const vector of this.#vectors.keys()) this.#device.msix?.arm(vector);
  }

  /** All that was set up is taken down. (`vfio_pci_core_disable, vfio_pci_core_close_device`) */
  end(): void {
    if (this.mode === "intx") this.#disableIntx();
    else if (this.mode !== "none") this.#disableMessages();
    this.error = undefined;
    this.request = undefined;
    this.#device.sink = undefined;
  }

  /** What decides answers; `nameOf` gives eventfds a name that does not say how they came about. */
  state(nameOf: (eventfd: Eventfd) => string): Record<string, unknown> {
    const named = (eventfd: Eventfd | undefined) => (eventfd === undefined ? null : nameOf(eventfd));
    return {
      mode: this.mode,
      vectors: [...this.#vectors].sort(([a], [b]) => a - b).map(([vector, eventfd]) => [vector, nameOf(eventfd)]),
      allocated: [...this.#allocated].sort((a, b) => a - b),
      intx: this.#intx.state(nameOf),
      error: named(this.error),
      request: named(this.request),
    };
  }

  /** `vfio_pci_set_intx_trigger, vfio_pci_set_intx_mask, vfio_pci_set_intx_unmask`. */
  #setIntx(request: IrqRequest, caller: Caller): number {
    const { action, start, count, data } = request;
    const isOn = this.mode === "intx";
    if (action === IrqAction.MASK || action === IrqAction.UNMASK) {
      if (!isOn || start !== 0 || count !== 1) return EINVAL;
      return this.#intx.setMask(request, caller);
    }
    if (action !== IrqAction.TRIGGER) return ENOTTY;
    if (isOn && count === 0 && data === IrqData.NONE) {
      this.#disableIntx();
      return 0;
    }
    if (!(isOn || this.mode === "none") || start !== 0 || count !== 1) return EINVAL;
    if (data !== IrqData.EVENTFD) {
      if (!isOn) return EINVAL;
      if (data === IrqData.NONE || request.values[0] !== 0) this.#intx.signal();
      return 0;
    }
    const eventfd = this.#eventfd(request.values[0] as number, caller);
    if (typeof eventfd === "number") return eventfd;
    if (!this.#device.facts.intx) return ENODEV;
    this.mode = "intx";
    this.#intx.enable(eventfd);
    return 0;
  }

  #disableIntx(): void {
    this.#intx.end();
    this.mode = "none";
  }

  /** `vfio_pci_set_msi_trigger`. */
  #setMessages(request: IrqRequest, kind: "msi" | "msix", caller: Caller): number {
    const { start, count, data, values } = request;
    const isOn = this.mode === kind;
    if (isOn && count === 0 && data === IrqData.NONE) {
      this.#disableMessages();
      return 0;
    }
    if (!isOn && this.mode !== "none") return EINVAL;
    if (data === IrqData.EVENTFD) {
      if (isOn) return this.#setBlock(request, caller);
      const refused = this.#enableMessages(kind, start + count);
      if (refused !== 0) return refused;
      const answer = this.#setBlock(request, caller);
      if (answer !== 0) this.#disableMessages();
      return answer;
    }
    if (!isOn) return EINVAL;
    for (let place = 0; place < count; place++) {
      if (data === IrqData.NONE || values[place] !== 0) this.#vectors.get(start + place)?.signal();
    }
    return 0;
  }

  /** `vfio_msi_enable`: so many are asked for at once; none at all is what pci_alloc_irq_vectors calls ERANGE. */
  #enableMessages(kind: "msi" | "msix", vectors: number): number {
    if (vectors === 0) return ERANGE;
    for (let vector = 0; vector < vectors; vector++) this.#allocated.add(vector);
    this.mode = kind;
    if (kind === "msix") this.#device.setMsix(true);
    else this.#device.setMsi(true, vectors);
    return 0;
  }

  /** `vfio_msi_disable`. */
  #disableMessages(): void {
    for (const vector of [...this.#vectors.keys()]) this.#free(vector);
    this.#allocated.clear();
    this.#device.setMsix(false);
    this.#device.setMsi(false);
    this.mode = "none";
  }

  /** `vfio_msi_set_block`: when one cannot be set, all of the block up to it are left without an eventfd, that one too. */
  #setBlock({ start, count, values }: IrqRequest, caller: Caller): number {
    for (let place = 0; place < count; place++) {
      const answer = this.#setVector(start + place, values[place] as number, caller);
      if (answer === 0) continue;
      for (let vector = start; vector <= start + place; vector++) this.#free(vector);
      return answer;
    }
    return 0;
  }

  /** `vfio_msi_set_vector_signal`: what there was goes first, and a negative descriptor asks for no more. */
  #setVector(vector: number, fd: number, caller: Caller): number {
    this.#free(vector);
    if (fd < 0) return 0;
    if (!this.#allocate(vector)) return EINVAL;
    const eventfd = eventfdAt(fd, caller);
    if (typeof eventfd === "number") return eventfd;
    this.#vectors.set(vector, eventfd);
    if (this.mode !== "msix") return 0;
    this.#device.msix?.arm(vector);
    this.#device.flush(vector);
    return 0;
  }

  /** `vfio_msi_alloc_irq`: MSI-X can be given more while it is on, where the machine's interrupts can grow. */
  #allocate(vector: number): boolean {
    if (this.#allocated.has(vector)) return true;
    if (this.mode !== "msix" || !this.#device.machine.growsMsix) return false;
    this.#allocated.add(vector);
    return true;
  }

  /** The vector is masked, and keeps its interrupt until all are switched off. */
  #free(vector: number): void {
    if (this.#vectors.delete(vector) && this.mode === "msix") this.#device.msix?.mask(vector);
  }

  /** `vfio_pci_set_ctx_trigger_single`: of errors, and of requests. */
  #setSingle({ data, count, values }: IrqRequest, which: "error" | "request", caller: Caller): number {
    const [value = 0] = values;
    if (data === IrqData.NONE) {
      if (this[which] === undefined) return EINVAL;
      if (count === 0) this[which] = undefined;
      else this[which]?.signal();
      return 0;
    }
    if (count === 0) return EINVAL;
    if (data === IrqData.BOOL) {
      if (value !== 0) this[which]?.signal();
      return 0;
    }
    if (value < -1) return 0;
    const eventfd = this.#eventfd(value, caller);
    if (typeof eventfd === "number") return eventfd;
    this[which] = eventfd;
    return 0;
  }

  /** A negative descriptor stands for none. */
  #eventfd(fd: number, caller: Caller): Eventfd | undefined | number {
    return fd < 0 ? undefined : eventfdAt(fd, caller);
  }
}
