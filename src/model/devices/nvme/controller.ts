/** The controller: its registers, and when commands are carried out. NVMe 1.4, 3 and 7. */
import type { Bus, Plugged, Width } from "../plug.ts";
import { adminCommand } from "./admin-commands.ts";
import type { Command, CommandSource } from "./command.ts";
import { CompletionQueue } from "./completion-queue.ts";
import type { ControllerState } from "./controller-state.ts";
import { ErrorLog } from "./error-log.ts";
import { Event, Events } from "./events.ts";
import { Features } from "./features.ts";
import { HostMemory } from "./host-memory.ts";
import { InterruptLines } from "./interrupts.ts";
import { ioCommand, mostBytes } from "./io-commands.ts";
import type { NvmeSettings } from "./options.ts";
import { Queues } from "./queues.ts";
import {
  type Configuration,
  CQES,
  Csts,
  capabilities,
  configurationOf,
  MPS_MAX,
  Register,
  SQES,
  VERSION,
} from "./registers.ts";
import { seeded } from "./seeded.ts";
import { HELD, Status } from "./status.ts";
import { SubmissionQueue } from "./submission-queue.ts";

/** NSIDs that may be named, as QEMU's controller has them, whether a namespace is there or not. */
const NAMESPACE_LIMIT = 256;

export class NvmeController implements Plugged {
  readonly #bus: Bus;
  readonly #settings: NvmeSettings;
  readonly #capabilities: { readonly low: number; readonly high: number };
  readonly #below: ((below: number) => number) | undefined;
  readonly #lines: InterruptLines;
  readonly #queues: Queues;
  readonly #state: ControllerState;
  #cc = 0;
  #csts = 0;
  #aqa = 0;
  /** Halves of ASQ and ACQ. */
  readonly #bases = new Uint32Array(4);
  /** CC.EN was set, and what stood in the other registers will do: RDY follows. */
  #enabled = false;
  /** Who carries out a command, and finds another one when it is done, was interrupted by a reset. */
  #generation = 0;
  #running = false;
  #scheduled = false;

  constructor(settings: NvmeSettings, bus: Bus) {
    this.#bus = bus;
    this.#settings = settings;
    this.#capabilities = capabilities(settings.maxQueueEntries, settings.strideShift);
    this.#below = typeof settings.completions === "object" ? seeded(settings.completions.seed) : undefined;
    const errors = new ErrorLog();
    this.#lines = new InterruptLines(bus);
    this.#queues = new Queues(bus, this.#lines, {
      fatal: () => this.#fatal(),
      failed: (command, status) => errors.record(command, status),
    });
    const entrySizes = this.#entrySizes.bind(this);
    this.#state = {
      settings,
      namespaces: settings.namespaces,
      namespaceLimit: Math.max(NAMESPACE_LIMIT, settings.namespaces.length - 1),
      mostBytes: mostBytes(settings.mdts),
      queues: this.#queues,
      memory: new HostMemory(bus),
      features: new Features(),
      events: new Events(this.#queues),
      errors,
      get entrySizes() {
        return entrySizes();
      },
    };
  }

  read(_bar: number, offset: number, width: Width): number | bigint {
    if (width === 8) return BigInt(this.#read(offset)) | (BigInt(this.#read(offset + 4)) << 32n);
    const word = this.#read(offset & ~3);
    return width === 4 ? word : (word >>> ((offset & 3) * 8)) & (width === 2 ? 0xffff : 0xff);
  }

  /** Registers are written whole: a write of 1 or 2 bytes does nothing. */
  write(_bar: number, offset: number, width: Width, value: number | bigint): void {
    if (width === 4) {
      this.#write(offset, Number(value));
    } else if (width === 8) {
      const whole = BigInt(value);
      this.#write(offset, Number(whole & 0xffff_ffffn));
      this.#write(offset + 4, Number(whole >> 32n));
    }
  }

  reset(): void {
    this.#stop();
    this.#cc = 0;
    this.#csts = 0;
    this.#aqa = 0;
    this.#bases.fill(0);
    this.#scheduled = false; // the bus has forgotten it
  }

  /** All but the bytes of the disk, and the order that a seed decides. */
  state(): unknown {
    return {
      registers: [this.#cc, this.#csts, this.#aqa, ...this.#bases, this.#lines.mask],
      queues: this.#queues.state,
      features: this.#state.features.state,
      errorRecovery: this.#state.namespaces.map((namespace) => namespace?.errorRecovery ?? null),
      events: this.#state.events.state,
      errors: this.#state.errors.count,
    };
  }

  #read(offset: number): number {
    switch (offset) {
      case Register.CAP_LOW:
        return this.#capabilities.low;
      case Register.CAP_HIGH:
        return this.#capabilities.high;
      case Register.VS:
        return VERSION;
      case Register.INTMS:
      case Register.INTMC:
        return this.#lines.mask;
      case Register.CC:
        return this.#cc;
      case Register.CSTS:
        return this.#csts;
      case Register.AQA:
        return this.#aqa;
      case Register.ASQ_LOW:
      case Register.ASQ_HIGH:
      case Register.ACQ_LOW:
      case Register.ACQ_HIGH:
        return this.#bases[(offset - Register.ASQ_LOW) / 4] as number;
      default:
        return 0; // doorbells, and what is optional and not there
    }
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case Register.INTMS:
        this.#lines.setMask(value);
        break;
      case Register.INTMC:
        this.#lines.clearMask(value);
        break;
      case Register.CC:
        this.#configure(value >>> 0);
        break;
      case Register.AQA:
        this.#aqa = value >>> 0;
        break;
      case Register.ASQ_LOW:
      case Register.ASQ_HIGH:
      case Register.ACQ_LOW:
      case Register.ACQ_HIGH:
        this.#bases[(offset - Register.ASQ_LOW) / 4] = value;
        break;
      default: // others can only be read, or are not there
        if (offset >= Register.DOORBELLS) this.#doorbell(offset - Register.DOORBELLS, value & 0xffff);
    }
  }

  #configure(cc: number): void {
    const before = configurationOf(this.#cc);
    const after = configurationOf(cc);
    this.#cc = cc;
    if (before.enabled && !after.enabled) this.#stop();
    if (before.shutdown === 0 && after.shutdown !== 0) this.#shutDown();
    if (after.shutdown === 0) this.#csts &= ~Csts.SHUTDOWN;
    if (!before.enabled && after.enabled) this.#start(after);
    if (this.#settings.completions === "now") this.#follow();
    else this.#schedule();
  }

  /** CSTS follows what CC has asked for. */
  #follow(): void {
    if (this.#enabled) this.#csts |= Csts.READY;
    else this.#csts &= ~Csts.READY;
    if ((this.#csts & Csts.SHUTTING_DOWN) !== 0) this.#csts ^= Csts.SHUTDOWN;
  }

  #start({ pageShift, commandSet, arbitration }: Configuration): void {
    const pageBytes = 2 ** pageShift;
    const [asqLow = 0, asqHigh = 0, acqLow = 0, acqHigh = 0] = this.#bases;
    const submissions = (this.#aqa & 0xfff) + 1;
    const completions = ((this.#aqa >>> 16) & 0xfff) + 1;
    const aligned = ((asqLow | acqLow) & (pageBytes - 1)) === 0;
    this.#csts &= ~Csts.READY;
    if (
      pageShift > 12 + MPS_MAX ||
      commandSet !== 0 ||
      arbitration !== 0 ||
      !aligned ||
      submissions < 2 ||
      completions < 2
    ) {
      this.#fatal();
      return;
    }
    this.#state.memory.setPage(pageBytes);
    const completion = new CompletionQueue(0, addressOf(acqLow, acqHigh), completions, 0, true);
    this.#queues.completions[0] = completion;
    this.#queues.add(new SubmissionQueue(0, addressOf(asqLow, asqHigh), submissions, completion));
    this.#enabled = true;
  }

  /** A controller reset: queues are gone, and all that was on its way; features are as they were. AQA, ASQ and ACQ stay. */
  #stop(): void {
    this.#generation++;
    this.#enabled = false;
    this.#csts &= Csts.READY;
    this.#queues.clear();
    this.#state.events.clear();
    this.#state.features.reset();
    this.#queues.burst = this.#state.features.burst;
    for (const namespace of this.#state.namespaces) if (namespace !== undefined) namespace.errorRecovery = 0;
    this.#lines.clearMask(0xffff_ffff);
  }

  /** Nothing is fetched or completed after that, until the controller is enabled anew. */
  #shutDown(): void {
    this.#generation++;
    this.#queues.clear();
    this.#csts = (this.#csts & ~Csts.SHUTDOWN) | Csts.SHUTTING_DOWN;
  }

  /** Nothing but a reset helps. As QEMU has it, it is not ready any more. */
  #fatal(): void {
    this.#generation++;
    this.#enabled = false;
    this.#csts = Csts.FATAL;
    this.#queues.clear();
  }

  #entrySizes(): ControllerState["entrySizes"] {
    const { sqes, cqes } = configurationOf(this.#cc);
    return { submission: sqes === SQES, completion: cqes === CQES };
  }

  #doorbell(offset: number, value: number): void {
    if ((this.#csts & (Csts.READY | Csts.FATAL)) !== Csts.READY) return;
    const index = offset / (4 << this.#settings.strideShift);
    const id = index >>> 1;
    if (!Number.isInteger(index) || id > this.#settings.queues) return;
    if ((index & 1) === 0) this.#submitted(this.#queues.submissions[id], value);
    else this.#consumed(this.#queues.completions[id], value);
  }

  #submitted(queue: SubmissionQueue | undefined, tail: number): void {
    if (queue === undefined) this.#unknownDoorbell();
    else if (this.#queues.submitted(queue, tail)) this.#goOn();
    else this.#invalidDoorbell();
  }

  #consumed(queue: CompletionQueue | undefined, head: number): void {
    if (queue === undefined) {
      this.#unknownDoorbell();
    } else if (this.#queues.consumed(queue, head)) {
      if (queue.id === 0) this.#state.events.tell();
      this.#goOn();
    } else {
      this.#invalidDoorbell();
    }
  }

  #goOn(): void {
    if (!this.#queues.waiting) return;
    if (this.#settings.completions === "now") this.#drain();
    else this.#schedule();
  }

  #unknownDoorbell(): void {
    if (this.#state.events.wanted) this.#state.events.report(Event.UNKNOWN_DOORBELL);
  }

  /** What the queue holds is not known any more. */
  #invalidDoorbell(): void {
    if (this.#state.events.wanted) this.#state.events.report(Event.INVALID_DOORBELL);
    this.#fatal();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#bus.later(this.#turn);
  }

  readonly #turn = () => {
    this.#scheduled = false;
    if (((this.#csts & Csts.READY) !== 0) !== this.#enabled || (this.#csts & Csts.SHUTTING_DOWN) !== 0) this.#follow();
    if (this.#below === undefined) this.#drain();
    else this.#wander(this.#below);
  };

  /** Carries out all that may be fetched. Whoever hears of a completion may ring a doorbell: it is seen to here, after that. */
  #drain(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let one = this.#queues.next(); one !== undefined; one = this.#queues.next()) {
        const generation = this.#generation;
        const status = this.#early(one) ?? this.#carryOut(one);
        if (generation === this.#generation) this.#finish(one, status);
      }
    } finally {
      this.#running = false;
    }
  }

  /** Fetches all, and does some of what is left to do: to carry a command out is one step, to complete it another. */
  #wander(below: (below: number) => number): void {
    const { flying } = this.#queues;
    for (let one = this.#queues.next(); one !== undefined; one = this.#queues.next()) {
      one.status = this.#early(one);
      flying.push(one);
    }
    for (let steps = 1 + below(2 * flying.length + 1); steps > 0 && flying.length > 0; steps--) {
      const one = flying[below(flying.length)] as Command;
      const generation = this.#generation;
      const status = one.status ?? this.#carryOut(one);
      if (generation !== this.#generation) break;
      if (one.status === undefined && status !== HELD) {
        one.status = status;
      } else {
        flying.splice(flying.indexOf(one), 1);
        this.#finish(one, status);
      }
    }
    if (flying.length > 0) this.#schedule();
  }

  /** A status that a command has before anything is done: its number is another one's. */
  #early({ queue, id }: Command): number | undefined {
    const { inFlight } = queue as CommandSource;
    return inFlight > 1 && this.#queues.knows(queue as CommandSource, id) ? Status.ID_CONFLICT : undefined;
  }

  #carryOut(command: Command): number {
    const { id } = command.queue as CommandSource;
    const { faults } = this.#settings;
    if (faults !== undefined) {
      const { opcode, nsid, dw10, dw11, dw12, dw13 } = command;
      const fault = faults({ queue: id, opcode, id: command.id, namespace: nsid, dwords: [dw10, dw11, dw12, dw13] });
      if (typeof fault === "number") return fault & 0x7fff;
      if (fault === "fatal") this.#fatal();
      if (fault !== undefined) return HELD;
    }
    return id === 0 ? adminCommand(this.#state, command) : ioCommand(this.#state, command);
  }

  #finish(command: Command, status: number): void {
    if (status !== HELD) {
      this.#queues.complete(command, status);
      return;
    }
    this.#queues.hold(command);
    if (command.awaitsEvent) this.#state.events.tell();
  }
}

function addressOf(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
