import { firstOf } from "../closing.ts";
import { ERRNO } from "../errno.ts";
import { asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { inspectable, type Told } from "../inspect.ts";
import { VfioCall } from "../syscalls.ts";
import { count as whole } from "../validate.ts";
import { EventLine, endLines, makeLines } from "./event-line.ts";
import { checkEventCalls, type DeviceFile, type EventKernel } from "./file.ts";
import { Action, Irq, type IrqFacts, irqSetAction, irqSetFiles } from "./structs.ts";
import { Vector } from "./vector.ts";
import { switchedOff, Vectors } from "./vectors.ts";

export type InterruptMode = "none" | "intx" | "msi" | "msix";

/** What a device has of each kind of interrupt. */
export interface DeviceIrqs {
  /** The interrupt line. */
  readonly intx: IrqFacts;
  /** Messages, of which there are 32 at most. */
  readonly msi: IrqFacts;
  /** Messages, each with an entry of the device's table. */
  readonly msix: IrqFacts;
  /** The device, or the way to it, met with an error that it cannot correct. */
  readonly error: IrqFacts;
  /** Somebody wants the device back. */
  readonly request: IrqFacts;
}

type Kind = Exclude<InterruptMode, "none">;

const KINDS = {
  intx: { irq: Irq.INTX, name: "interrupt line (INTx)", none: "ERR_NO_INTX" },
  msi: { irq: Irq.MSI, name: "MSI", none: "ERR_NO_MSI" },
  msix: { irq: Irq.MSIX, name: "MSI-X", none: "ERR_NO_MSIX" },
} as const;

/** What the kernel answers to the switching off of what is not on. */
const NOT_ON = -ERRNO.EINVAL;

/** What is on. */
interface On {
  readonly kind: Kind;
  readonly vectors: Vector[];
  readonly lines: EventLine[];
  readonly shown: Vectors;
}

/**
 * A device's interrupts, each an eventfd of the kernel's. One kind at a time: MSI-X, MSI, or the interrupt line.
 *
 * Messages (MSI, MSI-X) are writes of the device: they come only while `device.busMaster` is on. All vectors are switched on in one call, as
 * not every kernel can add to them; ask for as many as the driver will use.
 */
export class Interrupts {
  readonly #file: DeviceFile;
  readonly #irqs: DeviceIrqs;
  #on: On | undefined;

  /** @internal Made by a device. */
  constructor(file: DeviceFile, irqs: DeviceIrqs) {
    this.#file = file;
    this.#irqs = irqs;
  }

  /** Which are on. */
  get mode(): InterruptMode {
    return this.#on?.kind ?? "none";
  }

  /**
   * Switches on `count` vectors of MSI-X, numbered as in the device's table. They come while `device.busMaster` is on.
   *
   * Cost: a call of the kernel for all, an eventfd (a descriptor) for each.
   *
   * @throws `ERR_NO_MSIX` for a device without it; `ERR_TOO_MANY_VECTORS` (facts: asked, limit), before the kernel is asked where
   * the device has not so many, after it where the machine has not (facts: available); `ERR_INTERRUPTS_ON` where there are some on;
   * `ERR_KERNEL`; `ERR_NO_DEVICE_CALLS`; `ERR_CLOSED`. Nothing is on then that was not before.
   */
  msix(count = 1): Vectors {
    return this.#start("msix", count);
  }

  /** The same of MSI, of which a device has 1, 2, 4 to 32. @throws `ERR_NO_MSI`, and as {@link msix}. */
  msi(count = 1): Vectors {
    return this.#start("msi", count);
  }

  /**
   * Switches on the interrupt line: one vector, which the kernel masks as it is heard, and this library unmasks.
   *
   * @throws `ERR_NO_INTX`, and as {@link msix}.
   */
  intx(): Vectors {
    return this.#start("intx", 1);
  }

  /** Switches off what is on. @throws `ERR_KERNEL`, `ERR_INTERFACE`: they may still be on. */
  disable(): void {
    exclusively("irqs.disable", () => {
      const problem = this.end();
      if (problem !== undefined) throw problem;
    });
  }

  /** @internal What {@link inspectable} shows: how many there are of each kind, and how many are on. */
  get told(): Told {
    const { intx, msi, msix } = this.#irqs;
    const on = this.#on?.lines.length;
    return { mode: this.mode, on, intx: intx.count, msi: msi.count, msix: msix.count };
  }

  /** @internal The same in the middle of an operation, past what fails. */
  end(): DmaWindowError | undefined {
    const on = this.#on;
    if (on === undefined) return undefined;
    const problems: (DmaWindowError | undefined)[] = [];
    try {
      this.#switchOff(on.kind);
    } catch (error) {
      problems.push(asOurs(error));
    }
    this.#on = undefined;
    for (const vector of on.vectors.splice(0)) vector.end();
    for (const line of on.lines.splice(0)) problems.push(line.end());
    return firstOf(problems.filter((one) => one !== undefined));
  }

  #start(kind: Kind, count: number): Vectors {
    this.#file.check();
    this.#check(kind, count);
    const kernel = checkEventCalls(this.#file.kernel);
    if (this.#on !== undefined) {
      const { name } = KINDS[this.#on.kind];
      const { length } = this.#on.lines;
      throw new DmaWindowError(
        "ERR_INTERRUPTS_ON",
        `${name} of device ${this.#file.where.address} is on, with ${length} vector${length === 1 ? "" : "s"}: irqs.disable() comes first` +
          (this.#on.kind === kind ? ", or vectors.grow() adds to them" : ""),
        { facts: { ...this.#file.where, mode: this.#on.kind } },
      );
    }
    return exclusively(`irqs.${kind}`, () => {
      const on = this.#prepare(kind);
      const lines = this.#make(kernel, on, count);
      try {
        this.#set(kind, 0, lines);
      } catch (error) {
        const undone = this.#isOff(kind, error);
        const left = endLines(lines);
        throw withResidue(error, undone ? left : [`${KINDS[kind].name} may be on, with nobody listening`, ...left]);
      }
      on.lines.push(...lines);
      on.vectors.push(...lines.map((line, i) => this.#vector(on.kind, i, line)));
      this.#on = on;
      return on.shown;
    });
  }

  #prepare(kind: Kind): On {
    const vectors: Vector[] = [];
    const on: On = {
      kind,
      vectors,
      lines: [],
      shown: new Vectors(kind, vectors, {
        grow: (count) => this.#grow(on, count),
        disable: () => {
          if (this.#on === on) this.disable();
        },
      }),
    };
    return on;
  }

  /** Eventfds for `count` more vectors; each tells the vector that it will belong to. */
  #make(kernel: EventKernel, { vectors }: On, count: number): EventLine[] {
    const first = vectors.length;
    return makeLines(count, (i) => new EventLine(kernel, (events) => vectors[first + i]?.heard(events)));
  }

  #vector(kind: Kind, index: number, line: EventLine): Vector {
    const { irq } = KINDS[kind];
    const unmask = irqSetAction(irq, Action.UNMASK, index, 1); // once, as it may be made for each interrupt
    const trigger = irqSetAction(irq, Action.TRIGGER, index, 1);
    return new Vector(index, {
      line,
      isAutoMasked: this.#irqs[kind].autoMasked,
      unmask: () => this.#file.ask(VfioCall.DEVICE_SET_IRQS, unmask, { irq: kind, action: "unmask" }),
      trigger: () => this.#file.ask(VfioCall.DEVICE_SET_IRQS, trigger, { irq: kind, action: "trigger" }),
    });
  }

  #grow(on: On, count: number): void {
    this.#file.check();
    if (this.#on !== on) throw switchedOff(on.kind);
    this.#check(on.kind, count);
    const more = count - on.lines.length;
    if (more <= 0) return;
    exclusively("vectors.grow", () => {
      const lines = this.#make(checkEventCalls(this.#file.kernel), on, more);
      const all = [...on.lines, ...lines];
      const { canResize } = this.#irqs[on.kind];
      try {
        if (!canResize) this.#switchOff(on.kind);
        if (canResize) this.#set(on.kind, on.lines.length, lines);
        else this.#set(on.kind, 0, all);
      } catch (error) {
        const left = this.#restore(on, canResize);
        throw withResidue(error, [...left, ...endLines(lines)]);
      }
      const before = on.lines.length;
      on.vectors.push(...lines.map((line, i) => this.#vector(on.kind, before + i, line)));
      on.lines.push(...lines);
      if (!canResize) this.#signal(on.kind, before);
    });
  }

  /**
   * After a SET_IRQS that failed: the vectors before the one that the kernel refused have lost their eventfds
   * (drivers/vfio/pci/vfio_pci_intrs.c: vfio_msi_set_block), or all are off.
   */
  #restore(on: On, wereOn: boolean): readonly string[] {
    try {
      this.#set(on.kind, 0, on.lines);
      this.#signal(on.kind, on.lines.length);
      return [];
    } catch (error) {
      const why = asOurs(error).message;
      const problem = wereOn ? undefined : this.end();
      return [
        `${KINDS[on.kind].name} could not be switched on again (${why}): no vector is heard`,
        ...(problem ? [problem.message] : []),
      ];
    }
  }

  /** So that drivers look whether something came while nobody listened. */
  #signal(kind: Kind, count: number): void {
    this.#file.call(VfioCall.DEVICE_SET_IRQS, irqSetAction(KINDS[kind].irq, Action.TRIGGER, 0, count));
  }

  #set(kind: Kind, start: number, lines: readonly EventLine[]): void {
    const { irq, name } = KINDS[kind];
    const files = lines.map(({ fd }) => fd);
    const asked = start + lines.length;
    const answer = this.#file.call(VfioCall.DEVICE_SET_IRQS, irqSetFiles(irq, start, files));
    if (answer === 0) return;
    if (answer < 0) throw this.#file.refused("VFIO_DEVICE_SET_IRQS", answer, { irq: kind, start, count: lines.length });
    // vfio_msi_enable: what pci_alloc_irq_vectors could have had
    throw new DmaWindowError(
      "ERR_TOO_MANY_VECTORS",
      `the machine has no ${asked} vectors of ${name} for device ${this.#file.where.address} at the moment: ask for ${answer}`,
      { syscall: "VFIO_DEVICE_SET_IRQS", facts: { ...this.#file.where, asked, available: answer } },
    );
  }

  #switchOff(kind: Kind): void {
    const { irq } = KINDS[kind];
    const answer = this.#file.call(VfioCall.DEVICE_SET_IRQS, irqSetAction(irq, Action.TRIGGER, 0, 0));
    if (answer === 0 || answer === NOT_ON) return;
    throw this.#file.refused("VFIO_DEVICE_SET_IRQS", answer, { irq: kind, count: 0 });
  }

  /** The kernel undoes a first call that fails; an interface that threw may have made it. */
  #isOff(kind: Kind, error: unknown): boolean {
    if (error instanceof DmaWindowError && error.code !== "ERR_INTERFACE") return true;
    try {
      this.#switchOff(kind);
      return true;
    } catch {
      return false;
    }
  }

  #check(kind: Kind, count: number): void {
    const { name, none } = KINDS[kind];
    const limit = this.#irqs[kind].count;
    const { address } = this.#file.where;
    if (limit === 0) {
      throw new DmaWindowError(none, `device ${address} has no ${name}: ${this.#others()}`, {
        facts: { ...this.#file.where },
      });
    }
    if (whole("count", count) >= 1 && count <= limit) return;
    throw new DmaWindowError(
      "ERR_TOO_MANY_VECTORS",
      `${count} vectors of ${name} cannot be switched on for device ${address}: it has ${limit}, so ask for 1${limit === 1 ? "" : ` to ${limit}`}`,
      { facts: { ...this.#file.where, asked: count, limit } },
    );
  }

  #others(): string {
    const has = (["msix", "msi", "intx"] as const).filter((kind) => this.#irqs[kind].count > 0);
    if (has.length === 0) return "it has no interrupts at all, so poll it";
    return `it has ${has.map((kind) => `${KINDS[kind].name} with ${this.#irqs[kind].count} (irqs.${kind}())`).join(", ")}`;
  }
}

inspectable(Interrupts, "Interrupts", (irqs) => irqs.told);
