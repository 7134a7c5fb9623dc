/**
 * An eventfd that the kernel signals, and who hears of it. It is listened to while there is a listener and no longer, so one that is
 * only polled costs the event loop nothing.
 */
import { firstOf } from "../closing.ts";
import { asOurs, type DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import type { Listening } from "../syscalls.ts";
import type { EventKernel } from "./file.ts";

export type EventListener = (count: number) => void;

export class EventLine {
  readonly fd: number;
  readonly #kernel: EventKernel;
  readonly #heard: EventListener;
  #listening: Listening | undefined;
  #keepsLoop: boolean;
  #open = true;

  /** `heard` is called with what came since, while it is listened to. @throws `ERR_KERNEL`. */
  constructor(kernel: EventKernel, heard: EventListener, keepsLoop = true) {
    this.#kernel = kernel;
    this.#heard = heard;
    this.#keepsLoop = keepsLoop;
    this.fd = kernel.eventfd();
    if (this.fd < 0) throw refusedByKernel("eventfd", this.fd, { files: kernel.files });
  }

  /** What came since it was looked at last. One system call, no garbage. @throws `ERR_KERNEL`. */
  take(): number {
    const count = this.#kernel.takeEvents(this.fd);
    if (count < 0) throw refusedByKernel("read", count, { hint: "eventfd", files: this.#kernel.files });
    return count;
  }

  listen(): void {
    if (this.#listening !== undefined || !this.#open) return;
    const listening = this.#kernel.listen(this.fd, this.#heard);
    if (typeof listening === "number") {
      throw refusedByKernel("listen", listening, {
        hint: "eventfd",
        files: this.#kernel.files,
        facts: { fd: this.fd },
      });
    }
    this.#listening = listening;
    if (!this.#keepsLoop) this.#tell((one) => one.unref());
  }

  /** Where the interface throws it is still listened to, as far as anybody knows, and is ended once more with the eventfd. */
  stopListening(): void {
    this.#tell((one) => one.end(), `descriptor ${this.fd} may still be listened to`);
    this.#listening = undefined;
  }

  /** Whether listening keeps the event loop alive. */
  keepLoop(keeps: boolean): void {
    if (keeps === this.#keepsLoop) return;
    this.#keepsLoop = keeps;
    this.#tell((one) => (keeps ? one.ref() : one.unref()));
  }

  /** The kernel must not signal it any more, or have a reference of its own. Gives what it met with. */
  end(): DmaWindowError | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    const problems: DmaWindowError[] = [];
    const attempt = (run: () => void) => {
      try {
        run();
      } catch (error) {
        problems.push(asOurs(error));
      }
    };
    attempt(() => this.stopListening());
    attempt(() => this.#closeFile());
    return firstOf(problems);
  }

  /** Whatever else Linux answers, it is closed (fs/open.c: close). */
  #closeFile(): void {
    let answer: number;
    try {
      answer = this.#kernel.close(this.fd);
    } catch (error) {
      throw withResidue(error, [`descriptor ${this.fd} may still be open`]);
    }
    if (answer < 0) throw refusedByKernel("close", answer, { files: this.#kernel.files, facts: { fd: this.fd } });
  }

  /** What listens is the kernel interface's, which may throw. */
  #tell(what: (listening: Listening) => void, left?: string): void {
    if (this.#listening === undefined) return;
    try {
      what(this.#listening);
    } catch (error) {
      throw withResidue(asOurs(error, "the kernel interface, of an eventfd that is listened to,"), left ? [left] : []);
    }
  }
}

/** Several eventfds, or none. */
export function makeLines(count: number, make: (index: number) => EventLine): EventLine[] {
  const lines: EventLine[] = [];
  try {
    for (let index = 0; index < count; index++) lines.push(make(index));
    return lines;
  } catch (error) {
    throw withResidue(error, endLines(lines));
  }
}

/** Ends those of an operation that failed. Gives what they have left. */
export function endLines(lines: readonly EventLine[]): string[] {
  return lines.flatMap((line) => leftBy(() => line.end()));
}

/**
 * Tells all of them, whatever one throws: that becomes an uncaught exception of the process, as of an EventTarget. One that another has
 * taken away meanwhile is not told: it would find its device closed.
 */
export function tellAll(listeners: ReadonlySet<EventListener>, count: number): void {
  for (const listener of [...listeners]) {
    if (!listeners.has(listener)) continue;
    try {
      listener(count);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
