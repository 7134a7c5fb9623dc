import { Descriptors } from "./descriptors.ts";
import type { RegisterMap } from "./device.ts";
import { ModelUnknown } from "./errors.ts";
import type { EventListening } from "./eventfd.ts";
import { AddressSpace } from "./memory/address-space.ts";
import type { Frames } from "./memory/frames.ts";
import type { HugepagePool } from "./memory/hugepage-pool.ts";
import { LockedAccount, type LockedMemoryLimits } from "./memory/locked.ts";
import { recordedMemory } from "./memory/recorded.ts";
import { SimulatedMemory } from "./memory/simulated.ts";
import type { MemorySource } from "./memory/source.ts";
import type { Caller } from "./open-file.ts";
import { PAGE_BYTES } from "./pages.ts";
import { Registrations } from "./spapr/registrations.ts";

/** Where a process's memory comes from. */
export type Memory = "simulated" | MemorySource;

/** The machine as its processes know it. */
export interface Host {
  /** The CPU's page in bytes. */
  readonly pageSize: number;
  /** Bytes of RAM; below 2^53, so exact. */
  readonly ram: number;
  /** Pages of 4 KiB of a process's address space. */
  readonly userPages: number;
  readonly pool: HugepagePool;
  /** Its physical memory. */
  readonly frames: Frames;
  /** A process begins: gives it its number. */
  begin(process: Process): number;
}

/**
 * A program: its memory, its descriptors, and what the kernel keeps for its `mm` and not for a container, which outlives
 * every one of them.
 */
export class Process implements Caller {
  readonly id: number;
  readonly space = new AddressSpace();
  readonly descriptors = new Descriptors();
  readonly registrations = new Registrations();
  readonly locked: LockedAccount;
  readonly memory: MemorySource;
  readonly pageUnit: number;
  readonly #host: Host;
  readonly #source: Memory;
  pinnedByMaps = 0;
  /** Registers of devices that it has mapped. */
  readonly registerMaps = new Set<RegisterMap>();
  /** Who hears of its eventfds. A child has none of them: its event loop is another. */
  readonly listening = new Set<EventListening>();
  /** It makes no calls any more. */
  ended = false;

  constructor(host: Host, source: Memory, limits: LockedMemoryLimits) {
    const { pageSize, pool, frames, userPages } = host;
    this.id = host.begin(this);
    this.#host = host;
    this.#source = source;
    this.pageUnit = pageSize / PAGE_BYTES;
    this.locked = new LockedAccount(limits, pageSize);
    this.memory =
      source === "simulated"
        ? new SimulatedMemory(this.space, pageSize, userPages, pool, frames)
        : recordedMemory(source, this.space, pageSize, frames);
  }

  get ram(): number {
    return this.#host.ram;
  }

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
    const child = new Process(this.#host, "simulated", this.locked.limits);
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
    for (const map of [...this.registerMaps]) map.release();
    for (const [fd] of this.descriptors.all) this.descriptors.close(fd);
    this.locked.end();
    if (this.#source !== "simulated") return;
    for (const { start, end } of [...this.space.areas]) {
      this.memory.munmap(BigInt(start) << 12n, BigInt(end - start) << 12n);
    }
  }
}
