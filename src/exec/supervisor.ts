/** The loop that hears what programs ask, and hands it on to whoever answers that. */
import { closeSync } from "node:fs";
import { ERRNO } from "../errno.ts";
import type { ModelKernel } from "../model/index.ts";
import { EventKind, MemoryChange, type Supervision, WatchList } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { givenBack } from "./changes.ts";
import { entriesOf, ProgramEvent } from "./event.ts";
import { GivenFiles, type Holder } from "./given-files.ts";
import { Ioctls } from "./ioctls.ts";
import { Opens } from "./opens.ts";
import type { Program } from "./program.ts";
import { Programs } from "./programs.ts";
import type { Sanitizer } from "./sanitizer/sanitizer.ts";
import type { World } from "./world.ts";

/** How long a look for events lasts before the event loop has its turn, in milliseconds. */
const PATIENCE = 20;
const EVENTS_IN_A_TURN = 4096;

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
  readonly #sanitizer: Sanitizer;
  readonly #event: ProgramEvent;
  /** Inherits what a process had that others have still. */
  readonly #heir: Holder;

  constructor(
    native: Supervision,
    machine: ModelKernel,
    world: World,
    sanitizer: Sanitizer,
    inFront: (kernel: Syscalls) => Syscalls,
  ) {
    this.#native = native;
    this.#sanitizer = sanitizer;
    this.#programs = new Programs(native, machine, inFront);
    this.#files = new GivenFiles(native);
    this.#opens = new Opens(native, world, this.#files, this.#programs);
    this.#ioctls = new Ioctls(native, this.#files, sanitizer);
    this.#event = new ProgramEvent(native);
    this.#heir = { kernel: machine, calls: machine };
  }

  /** Until no process is left. `ended` hears of each process of a pidfd that it watches itself. */
  async serve(ended: (pidfd: number) => void): Promise<void> {
    while (this.#turn(ended)) await new Promise((resolve) => setImmediate(resolve));
    for (const program of this.#programs.all) this.#end(program);
    this.#settle("The program ended");
  }

  /** False once nobody is left. */
  #turn(ended: (pidfd: number) => void): boolean {
    const event = this.#event;
    for (let count = 0; count < EVENTS_IN_A_TURN; count++) {
      switch (event.receive(PATIENCE)) {
        case EventKind.NOTHING:
          return true;
        case EventKind.NOBODY:
          return false;
        case EventKind.IOCTL:
          this.#ioctl();
          break;
        case EventKind.OPEN:
          if (event.hasReleased) this.#settle("The program closed the container");
          this.#knownOf(event.thread);
          this.#opens.answer(event);
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

  #memory(): void {
    const event = this.#event;
    const { id, thread, instruction } = event;
    const program = this.#knownOf(thread);
    if (program !== undefined) {
      for (const range of givenBack(event)) {
        this.#sanitizer.givenBack(program, range, thread, instruction);
        // Memory that is protected otherwise is the same memory; what is known of it stands.
        if (event.detail !== MemoryChange.PROTECT) program.memory.forget(range.start, range.end);
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
    if (closed.length > 0) this.#sanitizer.closed(closed, how);
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
