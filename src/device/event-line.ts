/**
 * An eventfd that the kernel signals, and who hears of it. It is listened to while there is a listener and no longer, so one that is
 * only polled costs the event loop nothing.
 */
import { asOurs, type DmaWindowError } from "../errors.ts";
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
    if (!this.#keepsLoop) listening.unref();
  }

  stopListening(): void {
    const listening = this.#listening;
    this.#listening = undefined;
    listening?.end();
  }

  /** Whether listening keeps the event loop alive. */
  keepLoop(keeps: boolean): void {
    this.#keepsLoop = keeps;
    if (keeps) this.#listening?.ref();
    else this.#listening?.unref();
  }

  /** The kernel must not signal it any more, or have a reference of its own. Gives what it met with. */
  end(): DmaWindowError | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    let problem: DmaWindowError | undefined;
    try {
      this.stopListening();
    } catch (error) {
      problem = asOurs(error);
    }
    try {
      const answer = this.#kernel.close(this.fd);
      if (answer < 0)
        problem ??= refusedByKernel("close", answer, { files: this.#kernel.files, facts: { fd: this.fd } });
    } catch (error) {
      problem ??= asOurs(error);
    }
    return problem;
  }
}

/** Several eventfds, or none. */
export function makeLines(count: number, make: (index: number) => EventLine): EventLine[] {
  const lines: EventLine[] = [];
  try {
    for (let index = 0; index < count; index++) lines.push(make(index));
    return lines;
  } catch (error) {
    for (const line of lines) line.end();
    throw error;
  }
}

/** Tells all of them, whatever one throws: that becomes an uncaught exception of the process, as of an EventTarget. */
export function tellAll(listeners: Iterable<EventListener>, count: number): void {
  for (const listener of [...listeners]) {
    try {
      listener(count);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
