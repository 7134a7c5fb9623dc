/** What the kernel tells a device's program besides interrupts: somebody wants the device back, or it met with an error. */
import { firstOf } from "../closing.ts";
import { asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { VfioCall } from "../syscalls.ts";
import { EventLine, type EventListener, endLines, tellAll } from "./event-line.ts";
import { checkEventCalls, type DeviceFile } from "./file.ts";
import { Irq, type IrqFacts, irqSetFiles } from "./structs.ts";

export type NoticeName = "request" | "error";

const IRQS = { request: Irq.REQ, error: Irq.ERR } as const;

export class Notices {
  readonly #name: NoticeName;
  readonly #file: DeviceFile;
  readonly #irq: IrqFacts;
  readonly #listeners = new Set<EventListener>();
  #line: EventLine | undefined;

  constructor(name: NoticeName, file: DeviceFile, irq: IrqFacts) {
    this.#name = name;
    this.#file = file;
    this.#irq = irq;
  }

  /** @throws `ERR_NO_NOTICE` for a device that does not tell; `ERR_KERNEL`. */
  on(listener: EventListener): () => void {
    if (this.#irq.count === 0) {
      throw new DmaWindowError(
        "ERR_NO_NOTICE",
        `device ${this.#file.where.address} gives no notice of ${this.#name}s: the kernel has none for it`,
        { facts: { ...this.#file.where } },
      );
    }
    this.#line ??= this.#start();
    const own: EventListener = (count) => listener(count);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size > 0) return;
      const problem = this.end();
      if (problem !== undefined) throw problem;
    };
  }

  /** In the middle of an operation, past what fails. */
  end(): DmaWindowError | undefined {
    const line = this.#line;
    if (line === undefined) return undefined;
    this.#line = undefined;
    this.#listeners.clear();
    let problem: DmaWindowError | undefined;
    try {
      this.#set(-1);
    } catch (error) {
      problem = asOurs(error);
    }
    return firstOf([problem, line.end()].filter((one) => one !== undefined));
  }

  /** It does not keep the event loop alive: a program is done when its work is. */
  #start(): EventLine {
    const line = new EventLine(checkEventCalls(this.#file.kernel), (count) => tellAll(this.#listeners, count), false);
    try {
      line.listen();
      this.#set(line.fd);
      return line;
    } catch (error) {
      throw withResidue(error, endLines([line]));
    }
  }

  #set(fd: number): void {
    this.#file.ask(VfioCall.DEVICE_SET_IRQS, irqSetFiles(IRQS[this.#name], 0, [fd]), { irq: this.#name });
  }
}
