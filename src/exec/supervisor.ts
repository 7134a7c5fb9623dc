/** The loop that hears what programs ask, and hands it on to whoever answers that. */
import { closeSync } from "node:fs";
import { ERRNO } from "../errno.ts";
import type { ModelKernel } from "../model/index.ts";
import { bytesOf } from "../model/pages.ts";
import { EventKind, MemoryChange, type Supervision, WatchList } from "../supervision.ts";
import { givenBack } from "./changes.ts";
import type { Devices } from "./devices.ts";
import { entriesOf, ProgramEvent } from "./event.ts";
import { Eventfds } from "./eventfds.ts";
import { GivenFiles, type Holder } from "./given-files.ts";
import { Ioctls } from "./ioctls.ts";
import { Opens } from "./opens.ts";
import type { Program, ProgramTerms } from "./program.ts";
import { Programs } from "./programs.ts";
import type { Sanitizer } from "./sanitizer/sanitizer.ts";
import { Transfers } from "./transfers.ts";
import type { World } from "./world.ts";

/** How long a look for events lasts before the event loop has its turn, in milliseconds. */
const PATIENCE = 20;
const EVENTS_IN_A_TURN = 4096;
/** For how long files may be held when nobody is left, and how often that is looked at, in milliseconds. */
const RELEASE_PATIENCE = 1000;
const RELEASE_STEP = 2;

/**
 * Answers what programs ask that have the filter, one call after the other. Between two turns of its own the event loop has one: that
 * is where a device's work is done, and where signals are heard.
 */
export class Supervisor {
  readonly #native: Supervision;
  readonly #programs: Programs;
  readonly #files: GivenFiles;
  readonly #opens: Opens;
  readonly #ioctls: Ioctls;
  readonly #transfers: Transfers;
  readonly #eventfds: Eventfds;
  readonly #devices: Devices;
  readonly #sanitizer: Sanitizer;
  readonly #event: ProgramEvent;
  /** Inherits what a process had that others have still. */
  readonly #heir: Holder;

  constructor(
    native: Supervision,
    machine: ModelKernel,
    devices: Devices,
    world: World,
    sanitizer: Sanitizer,
    terms: ProgramTerms,
  ) {
    this.#native = native;
    this.#sanitizer = sanitizer;
    this.#programs = new Programs(native, machine, terms);
    this.#files = new GivenFiles(native);
    this.#opens = new Opens(native, world, this.#files, this.#programs);
    this.#eventfds = new Eventfds(native, machine);
    this.#ioctls = new Ioctls(native, this.#files, sanitizer, this.#eventfds);
    this.#transfers = new Transfers(native, this.#files, sanitizer);
    this.#devices = devices;
    devices.surroundings = {
      beforeWork: () => this.#settle("The program closed the container, or ended,"),
      afterWork: () => this.#eventfds.deliver(),
      accessed: (access) => sanitizer.accessed(access),
    };
    this.#event = new ProgramEvent(native);
    this.#heir = { kernel: machine, calls: machine };
  }

  /** Until no process is left. `ended` hears of each process of a pidfd that it watches itself. */
  async serve(ended: (pidfd: number) => void): Promise<void> {
    while (this.#turn(ended)) await new Promise((resolve) => setImmediate(resolve));
    await this.#released();
    for (const program of this.#programs.all) this.#end(program);
    this.#settle("The program ended");
  }

  /**
   * A process that ends leaves its filter before it closes its files. (`kernel/exit.c: do_exit`, since Linux 6.11) Whoever has no filter, and was sent a
   * descriptor, may keep it: so this does not wait for long.
   */
  async #released(): Promise<void> {
    for (let waited = 0; this.#files.areHeld && waited < RELEASE_PATIENCE; waited += RELEASE_STEP) {
      await new Promise((resolve) => setTimeout(resolve, RELEASE_STEP));
    }
  }

  /** False once nobody is left. */
  #turn(ended: (pidfd: number) => void): boolean {
    const event = this.#event;
    for (let count = 0; count < EVENTS_IN_A_TURN; count++) {
      // A device that has something to do does it between two turns.
      if (count > 0 && this.#devices.isBusy) return true;
      switch (event.receive(this.#devices.isBusy ? 0 : PATIENCE)) {
        case EventKind.NOTHING:
          return true;
        case EventKind.NOBODY:
          // The filter goes before the memory and the files of who had it: those that are known end in a moment. (`kernel/exit.c: do_exit`)
          return this.#programs.all.some(({ pidfd }) => pidfd >= 0);
        case EventKind.IOCTL:
          this.#ioctl();
          break;
        case EventKind.OPEN:
          if (event.hasReleased) this.#settle("The program closed the container");
          this.#knownOf(event.thread);
          this.#opens.answer(event);
          break;
        case EventKind.TRANSFER:
          this.#transfer();
          break;
        case EventKind.MEMORY:
          this.#memory();
          break;
        case EventKind.EXEC:
          this.#programs.known(event.thread)?.executes();
          this.#native.execContinue(event.id);
          break;
        case EventKind.ENDED:
          this.#ended(event.detail);
          ended(event.detail);
          break;
      }
    }
    return true;
  }

  #ioctl(): void {
    const event = this.#event;
    if (event.hasReleased) this.#settle("The program closed the container");
    const file = this.#files.find(event.file);
    if (file === undefined) {
      this.#native.execAnswer(event.id, -ERRNO.ENOTTY);
      return;
    }
    const program = this.#knownOf(event.thread) ?? this.#programs.of(event.thread);
    const before = program.memory.ranges;
    this.#ioctls.answer(event, program, file);
    if (program.memory.ranges !== before) this.#watchMemory();
  }

  #transfer(): void {
    const event = this.#event;
    if (event.hasReleased) this.#settle("The program closed the container");
    const file = this.#files.find(event.file);
    if (file === undefined) {
      this.#native.execContinue(event.id);
      return;
    }
    const program = this.#knownOf(event.thread) ?? this.#programs.of(event.thread);
    const answer = this.#transfers.make(event, program, file);
    this.#eventfds.deliver();
    this.#native.execAnswer(event.id, answer);
  }

  #memory(): void {
    const event = this.#event;
    const { id, thread, instruction } = event;
    const program = this.#knownOf(thread);
    if (program !== undefined) {
      for (const range of givenBack(event)) {
        const reached = this.#sanitizer.givenBack(program, range, thread, instruction);
        if (this.#devices.areThere)
          for (const { page, start, end } of reached) program.keep(bytesOf(page), end - start);
        // Memory that is protected otherwise is the same memory; what is known of it stands.
        if (event.detail === MemoryChange.PROTECT) program.memory.doubt(range.start, range.end);
        else program.memory.forget(range.start, range.end);
      }
      this.#watchMemory();
    }
    this.#native.execContinue(id);
  }

  /** The process of a thread, if it made calls before, and is the program that made them. */
  #knownOf(thread: number): Program | undefined {
    const program = this.#programs.known(thread);
    if (program === undefined || !program.isAnother) return program;
    this.#sanitizer.givenBack(program, { start: 0n, end: 1n << 64n, how: "execve" }, thread, 0n);
    this.#gone(program, `The process ${program.pid} executed another program`);
    return undefined;
  }

  /** Nobody looks at its pidfd any more. */
  #ended(pidfd: number): void {
    const program = this.#programs.byFile(pidfd);
    if (program !== undefined) this.#end(program);
    closeSync(pidfd);
  }

  #end(program: Program): void {
    this.#gone(program, `The process ${program.pid} ended`);
  }

  #gone(program: Program, how: string): void {
    this.#programs.remove(program);
    this.#settle(how);
    this.#files.passOn(program, this.#heir);
    this.#sanitizer.ended(program);
    program.kernel.exit();
    this.#watchMemory();
  }

  #settle(how: string): void {
    const closed = this.#files.settle();
    if (closed.length === 0) return;
    for (const file of closed) if (file.kind === "device" && !this.#files.isOpen(file)) this.#eventfds.closed(file);
    this.#sanitizer.closed(closed, how);
  }

  #watchMemory(): void {
    const programs = this.#programs.all;
    const entries = (ranges: (program: Program) => readonly { readonly start: bigint; readonly end: bigint }[]) =>
      entriesOf(programs.flatMap(ranges).map(({ start, end }) => [start, end] as const));
    this.#native.execWatch(
      WatchList.MEMORY,
      entries(({ memory }) => memory.ranges),
    );
    this.#native.execWatch(
      WatchList.HEAPS,
      entries(({ memory }) => memory.heaps),
    );
  }
}
