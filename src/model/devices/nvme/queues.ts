import type { Bus } from "../plug.ts";
import { Command, type CommandSource } from "./command.ts";
import { COMPLETION_BYTES, type CompletionQueue } from "./completion-queue.ts";
import type { InterruptLines } from "./interrupts.ts";
import { Status } from "./status.ts";
import type { SubmissionQueue } from "./submission-queue.ts";

/** What the queues need of the controller. */
export interface QueueOwner {
  /** DMA of a queue failed: nothing can be said to the host any more but this. */
  fatal(): void;
  /** A command did not succeed. */
  failed(command: Command, status: number): void;
}

/**
 * The queues, those that have something to fetch in a row, and commands on their way.
 *
 * Submission queues take turns: `burst` commands of the first one in the row, and it goes to the end (NVMe 1.4, 4.13).
 */
export class Queues {
  readonly submissions: (SubmissionQueue | undefined)[] = [];
  readonly completions: (CompletionQueue | undefined)[] = [];
  /** Commands that completions of their own time are made of, in no order. */
  readonly flying: Command[] = [];
  /** Commands that nothing completes but an event, an Abort, the end of their queue. */
  readonly held: Command[] = [];
  /** Commands of one queue before it is the next one's turn. */
  burst = 1;
  readonly #bus: Bus;
  readonly #lines: InterruptLines;
  readonly #owner: QueueOwner;
  readonly #row: SubmissionQueue[] = [];
  /** Queues that have commands, and wait for room in their completion queues. */
  readonly #stalled: SubmissionQueue[] = [];
  #left = 1;
  readonly #spare: Command[] = [];
  readonly #entry = new Uint8Array(COMPLETION_BYTES);
  readonly #view = new DataView(this.#entry.buffer);

  constructor(bus: Bus, lines: InterruptLines, owner: QueueOwner) {
    this.#bus = bus;
    this.#lines = lines;
    this.#owner = owner;
  }

  /** All are gone, and all that was on its way. */
  clear(): void {
    for (const list of [this.submissions, this.completions, this.flying, this.held, this.#row, this.#stalled])
      list.length = 0;
    this.#left = this.burst;
    this.#lines.reset();
  }

  add(queue: SubmissionQueue): void {
    this.submissions[queue.id] = queue;
    queue.completions.users++;
  }

  /** The doorbell of a submission queue. False for a value that cannot be. */
  submitted(queue: SubmissionQueue, tail: number): boolean {
    if (!queue.ring(tail)) return false;
    if (!queue.empty) this.#enter(queue);
    return true;
  }

  /** The doorbell of a completion queue. False for a value that cannot be. */
  consumed(queue: CompletionQueue, head: number): boolean {
    const before = queue.used;
    if (!queue.ring(head)) return false;
    if (before > 0 && queue.used === 0) this.#lines.emptied(queue);
    this.#resume(queue);
    return true;
  }

  /** Of those that are there, and of commands on their way. */
  get state(): unknown {
    const onTheWay = ({ queue, id, opcode, status }: Command) => [queue?.id, id, opcode, status ?? null];
    return {
      submissions: this.submissions.filter((queue) => queue !== undefined).map((queue) => queue.state),
      completions: this.completions.filter((queue) => queue !== undefined).map((queue) => queue.state),
      row: this.#row.map(({ id }) => id),
      stalled: this.#stalled.map(({ id }) => id),
      flying: this.flying.map(onTheWay),
      held: this.held.map(onTheWay),
    };
  }

  /** Whether there may be something to fetch. */
  get waiting(): boolean {
    return this.#row.length > 0;
  }

  /** The next command that may be carried out. `undefined`: there is none, or it could not be read. */
  next(): Command | undefined {
    for (let queue = this.#row[0]; queue !== undefined; queue = this.#row[0]) {
      if (queue.empty) {
        this.#leave(queue);
      } else if (!queue.completions.hasRoom) {
        this.#leave(queue);
        this.#stalled.push(queue);
      } else {
        return this.#take(queue);
      }
    }
    return undefined;
  }

  /** Posts the completion; the command's object is free after that. */
  complete(command: Command, status: number): void {
    const from = command.queue as CommandSource;
    const queue = from.completions;
    from.inFlight--;
    if (!command.awaitsEvent) queue.reserved--;
    this.#view.setUint32(0, command.result, true);
    this.#view.setUint32(8, from.head | (from.id << 16), true);
    this.#view.setUint32(12, command.id | (queue.phase << 16) | (status << 17), true);
    if (status !== Status.SUCCESS) this.#owner.failed(command, status);
    this.#spare.push(command);
    const first = queue.used === 0;
    if (queue.post(this.#bus, this.#entry)) this.#lines.posted(queue, first);
    else this.#owner.fatal();
  }

  /** Keeps a command that awaits an event, or that is lost. */
  hold(command: Command): void {
    this.held.push(command);
    if (!command.awaitsEvent) return;
    const queue = (command.queue as CommandSource).completions;
    queue.reserved--;
    this.#resume(queue);
  }

  /** Completes a command that is on its way as aborted. False when there is none, or no room to say so. */
  abort(queue: SubmissionQueue, id: number): boolean {
    for (const list of [this.flying, this.held]) {
      const at = list.findIndex((one) => one.queue === queue && one.id === id);
      const command = list[at];
      if (command === undefined) continue;
      if (command.awaitsEvent && !queue.completions.hasRoom) return false;
      list.splice(at, 1);
      this.complete(command, Status.ABORT_REQUESTED);
      return true;
    }
    return false;
  }

  /** Whether a command of this queue with this number is on its way. */
  knows(queue: CommandSource, id: number): boolean {
    for (const list of [this.flying, this.held]) {
      if (list.some((one) => one.queue === queue && one.id === id)) return true;
    }
    return false;
  }

  /** Ends an I/O submission queue: what was fetched is completed as aborted, what was not is gone. NVMe 1.4, 5.6. */
  deleteSubmission(queue: SubmissionQueue): void {
    for (const list of [this.flying, this.held]) {
      for (let at = list.length - 1; at >= 0; at--) {
        const command = list[at]; // gone, if whoever heard of the last one has reset the controller
        if (command?.queue !== queue) continue;
        list.splice(at, 1);
        this.complete(command, Status.ABORTED_WITH_QUEUE);
      }
    }
    this.submissions[queue.id] = undefined;
    queue.completions.users--;
    if (queue.inRow) this.#leave(queue);
    const at = this.#stalled.indexOf(queue);
    if (at >= 0) this.#stalled.splice(at, 1);
  }

  /** Ends a completion queue that nobody uses any more. */
  deleteCompletion(queue: CompletionQueue): void {
    this.completions[queue.id] = undefined;
    if (queue.used > 0) this.#lines.emptied(queue);
  }

  #take(queue: SubmissionQueue): Command | undefined {
    const command = this.#spare.pop() ?? new Command();
    if (!queue.take(this.#bus, command)) {
      this.#owner.fatal();
      return undefined;
    }
    queue.inFlight++;
    queue.completions.reserved++;
    if (--this.#left <= 0) {
      this.#left = this.burst;
      if (this.#row.length > 1) this.#row.push(this.#row.shift() as SubmissionQueue);
    }
    return command;
  }

  #enter(queue: SubmissionQueue): void {
    if (queue.inRow || this.#stalled.includes(queue)) return;
    queue.inRow = true;
    this.#row.push(queue);
  }

  #leave(queue: SubmissionQueue): void {
    const at = this.#row.indexOf(queue);
    if (at === 0) {
      this.#row.shift();
      this.#left = this.burst;
    } else {
      this.#row.splice(at, 1);
    }
    queue.inRow = false;
  }

  /** There may be room again. */
  #resume(queue: CompletionQueue): void {
    if (this.#stalled.length === 0 || !queue.hasRoom) return;
    const freed = this.#stalled.filter((one) => one.completions === queue);
    for (const one of freed) {
      this.#stalled.splice(this.#stalled.indexOf(one), 1);
      this.#enter(one);
    }
  }
}
