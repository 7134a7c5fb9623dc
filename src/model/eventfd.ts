import type { Listening } from "../syscalls.ts";
import { EBADF, EINVAL, ENOTTY, ESPIPE } from "./errno.ts";
import { type Caller, OpenFile } from "./open-file.ts";
import { LoopHold, nextTurn } from "./turn.ts";

/**
 * An eventfd: a count that events are added to, and that is taken as a whole. Who signals it (a device's vector) has a reference of its
 * own, and may go on when no descriptor leads here any more.
 *
 * Rules: `fs/eventfd.c`.
 */
export class Eventfd extends OpenFile {
  readonly path = "anon_inode:[eventfd]";
  #count = 0;
  readonly #wakened = new Set<() => void>();

  ioctl(): number {
    return ENOTTY;
  }

  /** A stream has no offset. */
  override pread(): number {
    return ESPIPE;
  }

  override pwrite(): number {
    return ESPIPE;
  }

  /** Not taken yet. */
  get count(): number {
    return this.#count;
  }

  signal(): void {
    this.#count++;
    for (const wake of [...this.#wakened]) wake();
  }

  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  /** Calls `wake` at each signal; gives the way to stop. */
  onSignal(wake: () => void): () => void {
    this.#wakened.add(wake);
    return () => this.#wakened.delete(wake);
  }

  /** Nobody can ask for its events any more: those who wait for them hear nothing, and no error. */
  protected released(): void {}
}

/** The eventfd that a descriptor leads to; EBADF for one that is not open, EINVAL for another file. (`eventfd_ctx_fdget`) */
export function eventfdAt(fd: number, { descriptors }: Caller): Eventfd | number {
  const file = descriptors.get(fd);
  if (file === undefined) return EBADF;
  return file instanceof Eventfd ? file : EINVAL;
}

/**
 * Somebody who hears of an eventfd in the event loop: in a turn of its own, of all that came together at once. What the listener
 * throws is an uncaught exception, and changes nothing here.
 */
export class EventListening implements Listening {
  readonly #eventfd: Eventfd;
  readonly #listener: (count: number) => void;
  readonly #stop: () => void;
  readonly #all: Set<EventListening>;
  readonly #loop = new LoopHold();
  #isDue = false;
  #ended = false;

  /** `all` are those of its process: with that it ends. */
  constructor(eventfd: Eventfd, listener: (count: number) => void, all: Set<EventListening>) {
    this.#all = all;
    all.add(this);
    this.#eventfd = eventfd;
    this.#listener = listener;
    this.#stop = eventfd.onSignal(() => this.#wake());
    this.#loop.hold();
    if (eventfd.count > 0) this.#wake();
  }

  /** Of which eventfd. */
  get eventfd(): Eventfd {
    return this.#eventfd;
  }

  ref(): void {
    if (!this.#ended) this.#loop.hold();
  }

  unref(): void {
    this.#loop.release();
  }

  end(): void {
    this.#ended = true;
    this.#all.delete(this);
    this.#loop.release();
    this.#stop();
  }

  #wake(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    nextTurn(() => this.#tell());
  }

  #tell(): void {
    this.#isDue = false;
    // Another may have taken them; of an eventfd that no descriptor leads to nothing is heard.
    if (this.#ended || !this.#eventfd.isOpen) return;
    const count = this.#eventfd.take();
    if (count > 0) this.#listener(count);
  }
}
