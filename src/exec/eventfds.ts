import { closeSync } from "node:fs";
import { ERRNO } from "../errno.ts";
import { type ModelKernel, ModelUnknown } from "../model/index.ts";
import type { Supervision } from "../supervision.ts";
import type { GivenFile } from "./given-files.ts";
import type { Program } from "./program.ts";

/** `struct vfio_irq_set`. */
const IrqSet = { FLAGS: 4, INDEX: 8, START: 12, COUNT: 16, DATA: 20 } as const;
const Flag = { NONE: 1, EVENTFD: 4, MASK: 8, UNMASK: 16, TRIGGER: 32 } as const;

/** No process of the model has so many. */
const NOT_OPEN = 0x7fff_ffff;

/** A SET_IRQS: who makes it, of which device. */
export interface IrqCall {
  readonly program: Program;
  readonly file: GivenFile;
}

/** An eventfd of the program's, and the one of the model that is signalled in its stead. */
interface Stand {
  /** A descriptor of the program's own eventfd, in this process. */
  readonly real: number;
  /** In the machine's own process, which sees to all of them. */
  readonly model: number;
}

/** One that was given to a vector by the call under way. */
interface Given {
  readonly vector: string;
  readonly stand: Stand | undefined;
  /** The model's descriptor for it in the program. */
  readonly fd: number;
}

/**
 * The eventfds that a program gives to SET_IRQS. For the model each is one of its own; what that counts, the program's is signalled, with the
 * call, or the device's work, that did it.
 *
 *     device ── vector 3 ──> model's eventfd ── deliver ──> our descriptor of the program's eventfd ──> read, poll, epoll there
 */
export class Eventfds {
  readonly #native: Supervision;
  readonly #machine: ModelKernel;
  /** By device and vector. */
  readonly #stands = new Map<string, Stand>();
  #given: Given[] = [];

  constructor(native: Supervision, machine: ModelKernel) {
    this.#native = native;
    this.#machine = machine;
  }

  /**
   * Puts the model's descriptors into a SET_IRQS, of which so many bytes were read. To be followed by {@link settle}.
   *
   * @throws ModelUnknown for eventfds that the program signals, and the kernel hears.
   */
  put({ program, file }: IrqCall, struct: DataView, length: number, deviceFd: number): void {
    const flags = struct.getUint32(IrqSet.FLAGS, true);
    if ((flags & Flag.EVENTFD) === 0) return;
    const [index, start, count] = rangeOf(struct);
    for (let place = 0; place < count && IrqSet.DATA + 4 * place + 4 <= length; place++) {
      const at = IrqSet.DATA + 4 * place;
      const fd = struct.getInt32(at, true);
      const vector = `${file.name} ${index} ${start + place}`;
      if (fd < 0) {
        this.#given.push({ vector, stand: undefined, fd: -1 });
        continue;
      }
      if ((flags & (Flag.MASK | Flag.UNMASK)) !== 0)
        throw new ModelUnknown(`interrupts of ${file.name} that an eventfd masks or unmasks`);
      const real = this.#native.execTakeEventfd(program.pidfd, fd);
      if (real < 0) {
        // Another file: the device itself is one that is no eventfd.
        struct.setInt32(at, real === -ERRNO.EINVAL ? deviceFd : NOT_OPEN, true);
        continue;
      }
      const own = program.calls.eventfd?.() ?? -ERRNO.EMFILE;
      const model = program.kernel.send(own, this.#machine);
      struct.setInt32(at, own, true);
      this.#given.push({ vector, stand: { real, model }, fd: own });
    }
  }

  /** What the model answered: then the eventfds stand, or go. */
  settle({ program, file }: IrqCall, struct: DataView, answer: number): void {
    const given = this.#given;
    this.#given = [];
    for (const { vector, stand, fd } of given) {
      // The kernel has a reference of its own.
      if (fd >= 0) program.calls.close(fd);
      if (answer !== 0) {
        if (stand !== undefined) this.#end(stand);
        continue;
      }
      this.#drop(vector);
      if (stand !== undefined) this.#stands.set(vector, stand);
    }
    const flags = struct.getUint32(IrqSet.FLAGS, true);
    const [index, , count] = rangeOf(struct);
    if (answer === 0 && count === 0 && flags === (Flag.NONE | Flag.TRIGGER)) this.#dropAll(`${file.name} ${index} `);
  }

  /** Signals what the model's have counted since. */
  deliver(): void {
    for (const { real, model } of this.#stands.values()) {
      const count = this.#machine.takeEvents(model);
      if (count > 0) this.#native.execSignal(real, count);
    }
  }

  /** A device is closed, and is open nowhere else. */
  closed({ name }: GivenFile): void {
    this.#dropAll(`${name} `);
  }

  #dropAll(beginning: string): void {
    for (const vector of [...this.#stands.keys()]) if (vector.startsWith(beginning)) this.#drop(vector);
  }

  #drop(vector: string): void {
    const stand = this.#stands.get(vector);
    this.#stands.delete(vector);
    if (stand !== undefined) this.#end(stand);
  }

  #end({ real, model }: Stand): void {
    closeSync(real);
    this.#machine.close(model);
  }
}

/** Index, start and count. */
function rangeOf(struct: DataView): readonly [number, number, number] {
  return [
    struct.getUint32(IrqSet.INDEX, true),
    struct.getUint32(IrqSet.START, true),
    struct.getUint32(IrqSet.COUNT, true),
  ];
}
