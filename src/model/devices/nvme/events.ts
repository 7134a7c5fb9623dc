import type { Command, CommandSource } from "./command.ts";
import type { Queues } from "./queues.ts";
import { HELD, Status } from "./status.ts";

/** Requests that are held, less one: AERL of Identify. */
export const EVENT_REQUESTS = 3;

/** Events that wait for a request; more are lost. */
const EVENTS_KEPT = 64;

/** Type, information and log page of an event. NVMe 1.4, 5.2.1. */
export interface NvmeEvent {
  readonly type: number;
  readonly information: number;
  readonly log: number;
}

const ERROR_LOG = 1;
const SMART_LOG = 2;

export const Event = {
  UNKNOWN_DOORBELL: { type: 0, information: 0, log: ERROR_LOG },
  INVALID_DOORBELL: { type: 0, information: 1, log: ERROR_LOG },
  TEMPERATURE: { type: 1, information: 1, log: SMART_LOG },
} as const satisfies Readonly<Record<string, NvmeEvent>>;

/**
 * Requests that wait for an event, and events that wait for a request. After an event of a type, no other of that type is told before
 * its log page was read.
 */
export class Events {
  readonly #queues: Queues;
  readonly #pending: NvmeEvent[] = [];
  #masked = 0;

  constructor(queues: Queues) {
    this.#queues = queues;
  }

  clear(): void {
    this.#pending.length = 0;
    this.#masked = 0;
  }

  get state(): unknown {
    return { masked: this.#masked, pending: this.#pending.map(({ type, information }) => [type, information]) };
  }

  get #requests(): Command[] {
    return this.#queues.held.filter((one) => one.awaitsEvent);
  }

  /** Whether anybody wants to hear of one. */
  get wanted(): boolean {
    return this.#requests.length > 0;
  }

  /** Asynchronous Event Request. It is held; {@link tell} has to be called when it is. */
  request(command: Command): number {
    if (this.#requests.length > EVENT_REQUESTS) return Status.TOO_MANY_EVENT_REQUESTS;
    command.awaitsEvent = true;
    return HELD;
  }

  report(event: NvmeEvent): void {
    if (this.#pending.length < EVENTS_KEPT) this.#pending.push(event);
    this.tell();
  }

  /** The log page was read: events of its type may be told again. */
  read(log: number): void {
    for (const { type, log: about } of Object.values(Event)) if (about === log) this.#masked &= ~(1 << type);
    this.tell();
  }

  /** Completes requests, as long as there is an event, and room to say so. */
  tell(): void {
    for (;;) {
      const request = this.#requests[0];
      const at = this.#pending.findIndex(({ type }) => (this.#masked & (1 << type)) === 0);
      const event = this.#pending[at];
      if (request === undefined || event === undefined) return;
      if (!(request.queue as CommandSource).completions.hasRoom) return;
      this.#pending.splice(at, 1);
      this.#masked |= 1 << event.type;
      this.#queues.held.splice(this.#queues.held.indexOf(request), 1);
      request.result = event.type | (event.information << 8) | (event.log << 16);
      this.#queues.complete(request, Status.SUCCESS);
    }
  }
}
