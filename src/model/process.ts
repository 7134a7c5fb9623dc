import { Descriptors } from "./descriptors.ts";
import type { RegisterMap } from "./device.ts";
import { ModelUnknown } from "./errors.ts";
import type { EventListening } from "./eventfd.ts";
import type { Machine } from "./machine.ts";
import { AddressSpace } from "./memory/address-space.ts";
import { LockedAccount, type LockedMemoryLimits } from "./memory/locked.ts";
import { SimulatedMemory } from "./memory/simulated.ts";
import { type MemorySource, recordedMemory } from "./memory/source.ts";
import { PAGE_BYTES } from "./pages.ts";
import { Registrations } from "./spapr/registrations.ts";

/** Where a process's memory comes from. */
export type Memory = "simulated" | MemorySource;

/**
 * A program: its memory, its descriptors, and what the kernel keeps for its `mm` and not for a container, which outlives
 * every one of them.
 */
export class Process {
  /** Counts the processes of the machine, from 0. */
  readonly id: number;
  readonly space = new AddressSpace();
  readonly descriptors = new Descriptors();
  readonly registrations = new Registrations();
  readonly locked: LockedAccount;
  readonly memory: MemorySource;
  /** Pages of 4 KiB in one of the CPU. */
  readonly pageUnit: number;
  readonly #machine: Machine;
  readonly #source: Memory;
  /** Pages of 4 KiB that maps of type1 have pinned and charged, of all containers; one that is mapped twice counts twice. */
  pinnedByMaps = 0;
  /** Registers of devices that it has mapped. */
  readonly registerMaps = new Set<RegisterMap>();
  /** Who hears of its eventfds. A child has none of them: its event loop is another. */
  readonly listening = new Set<EventListening>();
  /** It makes no calls any more. */
  ended = false;

  constructor(machine: Machine, source: Memory, limits: LockedMemoryLimits) {
    const { pageSize, pool, frames, userPages } = machine;
    this.id = machine.begin(this);
    this.#machine = machine;
    this.#source = source;
    this.pageUnit = pageSize / PAGE_BYTES;
    this.locked = new LockedAccount(limits, pageSize);
    this.memory =
      source === "simulated"
        ? new SimulatedMemory(this.space, pageSize, userPages, pool, frames)
        : recordedMemory(source, this.space, pageSize, frames);
  }

  /** Bytes of RAM: what the kernel can have in one piece for itself is less. */
  get ram(): number {
    return this.#machine.ram;
  }

  /** CAP_SYS_RAWIO. A process of the model has it together with CAP_IPC_LOCK: both are root's. */
  get mayReachAllMemory(): boolean {
    return this.locked.limits.privileged;
  }

  /** Whose memory it is, where that is known of real memory. */
  get borrowedFrom(): unknown {
    return this.#source === "simulated" ? undefined : this.#source.identity;
  }

  /** A child: its own copy of the memory, the same open files, nothing registered or locked. (`kernel/fork.c: dup_mm`) */
  fork(): Process {
    if (this.#source !== "simulated") throw new ModelUnknown("fork of a process that runs on real memory");
    const child = new Process(this.#machine, "simulated", this.locked.limits);
    this.space.copyTo(child.space);
    this.descriptors.copyTo(child.descriptors);
    for (const map of this.registerMaps) map.copyTo(child);
    return child;
  }

  /**
   * The end, however it came: files are closed one by one, and then the memory goes, as far as nothing has it pinned.
   * (`kernel/exit.c: do_exit`)
   */
  exit(): void {
    if (this.ended) return;
    this.ended = true;
    for (const one of [...this.listening]) one.end();
    for (const map of [...this.registerMaps]) map.letGo();
    for (const [fd] of this.descriptors.all) this.descriptors.close(fd);
    this.locked.end();
    if (this.#source !== "simulated") return;
    for (const { start, end } of [...this.space.areas]) {
      this.memory.munmap(BigInt(start) << 12n, BigInt(end - start) << 12n);
    }
  }
}
