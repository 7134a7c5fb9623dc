import { vfioCallName } from "../../syscalls.ts";
import { bytesOf } from "../pages.ts";
import type { Counting } from "./counters.ts";

/** A live stretch of IOVA that is not what it was: the devices of the container do not reach there what they did. */
export interface IovaEvent {
  /**
   * `"cleared"`: it was live, and no device reaches anything there any more. `"replaced"` (sPAPR, where MAP asks nobody): it
   * is live, and leads to other memory, or may be used in other ways, since.
   */
  readonly kind: "cleared" | "replaced";
  /**
   * The call that did it: `VFIO_IOMMU_UNMAP_DMA`, or `close`, or `exit` of the process, or of registers `munmap`; `unbind` where it was no
   * call of a process. A MAP that fails halfway clears too.
   */
  readonly call: string;
  /** Whose call it was: processes of this machine are counted from 0, in the order in which they began. */
  readonly process: number;
  /** The container, as a snapshot numbers them. */
  readonly container: number;
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint;
}

/** Hears of each event at the end of the call that does it, or of what that had done when the kernel crashed. */
export type IovaListener = (event: IovaEvent) => void;

/**
 * Those who want to hear of IOVAs that change under a device. Costs one comparison per call when nobody does.
 *
 * They hear of it when the call is done, and its state is what the next call will find: so one that calls back meets nothing
 * half-made. One that throws changes nothing: the call is answered as if nobody had listened, and what was thrown becomes an
 * uncaught exception of the process right after the running script, as with listeners of Node's EventTarget.
 */
export class Watchers {
  readonly #listeners = new Set<IovaListener>();
  #events: IovaEvent[] = [];
  /** The call under way, and whose it is. Its name is looked up only when there is something to say. */
  call: number | "close" | "exit" | "munmap" | "unbind" = "close";
  caller: { readonly id: number } | undefined;

  /** Returns the way to stop. The same listener may be added twice. */
  add(listener: IovaListener): () => void {
    const added: IovaListener = (event) => listener(event);
    this.#listeners.add(added);
    return () => {
      this.#listeners.delete(added);
    };
  }

  get areListening(): boolean {
    return this.#listeners.size > 0;
  }

  tell(kind: IovaEvent["kind"], container: number, iovaPage: number, pages: number): void {
    const call = typeof this.call === "string" ? this.call : vfioCallName(this.call);
    const process = this.caller?.id ?? 0;
    const event = { kind, call, process, container, iova: bytesOf(iovaPage), length: bytesOf(pages) };
    this.#events.push(event);
  }

  /** The call is done: what there is to say is said. */
  flush(): void {
    if (this.#events.length === 0) return;
    const events = this.#events;
    this.#events = []; // a listener may make calls of its own
    for (const event of events) for (const listener of [...this.#listeners]) hear(listener, event);
  }
}

function hear(listener: IovaListener, event: IovaEvent): void {
  try {
    listener(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** What a driver tells of the IOVAs of its container. In pages of 4 KiB. */
export class IovaReports {
  readonly #watchers: Watchers;
  readonly #counting: Counting;
  readonly #container: number;

  constructor(watchers: Watchers, counting: Counting, container: number) {
    this.#watchers = watchers;
    this.#counting = counting;
    this.#container = container;
  }

  /** Somebody listens: a driver may ask first, and go without the bookkeeping that only {@link cleared} needs. */
  get isWanted(): boolean {
    return this.#watchers.areListening;
  }

  /** A MAP went well. */
  mapped(pages: number): void {
    this.#counting.pagesMapped += pages;
  }

  /** So many live pages are not live any more. */
  unmapped(pages: number): void {
    this.#counting.pagesUnmapped += pages;
  }

  /** [iovaPage, iovaPage + pages) was live in whole, and is not any more. */
  cleared(iovaPage: number, pages: number): void {
    if (this.isWanted) this.#watchers.tell("cleared", this.#container, iovaPage, pages);
  }

  /** It is live, and leads elsewhere now. */
  replaced(iovaPage: number, pages: number): void {
    if (this.isWanted) this.#watchers.tell("replaced", this.#container, iovaPage, pages);
  }
}
