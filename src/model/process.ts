import { Descriptors } from "./descriptors.ts";
import { ModelUnknown } from "./errors.ts";
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
  readonly space = new AddressSpace();
  readonly descriptors = new Descriptors();
  readonly registrations = new Registrations();
  readonly locked: LockedAccount;
  readonly memory: MemorySource;
  /** Pages of 4 KiB in one of the CPU. */
  readonly pageUnit: number;
  readonly #machine: Machine;
  readonly #source: Memory;
  /** It makes no calls any more. */
  ended = false;

  constructor(machine: Machine, source: Memory, limits: LockedMemoryLimits) {
    const { pageSize, pool } = machine;
    this.#machine = machine;
    this.#source = source;
    this.pageUnit = pageSize / PAGE_BYTES;
    this.locked = new LockedAccount(limits, pageSize);
    this.memory =
      source === "simulated"
        ? new SimulatedMemory(this.space, pageSize, pool)
        : recordedMemory(source, this.space, pageSize);
  }

  /** A child: its own copy of the memory, the same open files, nothing registered or locked. (`kernel/fork.c: dup_mm`) */
  fork(): Process {
    if (this.#source !== "simulated") throw new ModelUnknown("fork of a process that runs on real memory");
    const child = new Process(this.#machine, "simulated", this.locked.limits);
    this.space.copyTo(child.space);
    this.descriptors.copyTo(child.descriptors);
    return child;
  }

  /** The end, however it came: files are closed one by one, and then the memory goes. (`kernel/exit.c: do_exit`) */
  exit(): void {
    if (this.ended) return;
    this.ended = true;
    for (const [fd] of this.descriptors.all) this.descriptors.close(fd);
    this.registrations.end();
    this.locked.end();
    if (this.#source !== "simulated") return;
    for (const { start, end } of [...this.space.areas]) {
      this.memory.munmap(BigInt(start) << 12n, BigInt(end - start) << 12n);
    }
  }
}
