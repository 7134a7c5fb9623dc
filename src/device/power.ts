/** Whether a device answers: its memory decode, its power state, and that it is there at all. */
import { asOurs, DmaWindowError } from "../errors.ts";
import { Capability } from "./capabilities.ts";
import { Command, type ConfigSpace, PowerRegister } from "./config.ts";
import type { Whereabouts } from "./file.ts";

/** `D3hot` is as far as a program can send a device. */
export type PowerState = "D0" | "D1" | "D2" | "D3hot";

export const POWER_STATES = ["D0", "D1", "D2", "D3hot"] as const satisfies readonly PowerState[];

/**
 * What a device that is not there reads: of its class and revision, which no device has so. Its vendor says nothing: that is the kernel's
 * own copy (`drivers/vfio/pci/vfio_pci_config.c: init_pci_cap_basic_perm`).
 */
const NOBODY = 0xffff_ffff;

/** Why a device does not answer: for programs, and for people. */
export interface Silence {
  /** `gone`: it reads as all ones, and does not come back. `asleep`, `memory off`: the program can wake it. */
  readonly why: "gone" | "asleep" | "memory off" | "unknown";
  readonly words: string;
}

const CLASS = 8;
const COMMAND = 4;

export class PowerControl {
  readonly #where: Whereabouts;
  readonly #config: ConfigSpace;
  /** Of the power management capability: it does not move. `null` where there is none. */
  #register: number | null | undefined;

  constructor(where: Whereabouts, config: ConfigSpace) {
    this.#where = where;
    this.#config = config;
  }

  get memory(): boolean {
    return (this.#config.command & Command.MEMORY) !== 0;
  }

  setMemory(on: boolean): void {
    this.#config.change(COMMAND, 2, Command.MEMORY, on ? Command.MEMORY : 0);
  }

  get busMaster(): boolean {
    return (this.#config.command & Command.BUS_MASTER) !== 0;
  }

  setBusMaster(on: boolean): void {
    this.#config.change(COMMAND, 2, Command.BUS_MASTER, on ? Command.BUS_MASTER : 0);
  }

  get state(): PowerState {
    const at = this.#at();
    return at === null ? "D0" : (POWER_STATES[this.#config.read16(at) & PowerRegister.STATE] as PowerState);
  }

  setState(state: PowerState): void {
    const at = this.#at();
    const value = POWER_STATES.indexOf(state);
    if (at !== null) this.#config.change(at, 2, PowerRegister.STATE, value);
    if (at !== null || value === 0) return;
    throw new DmaWindowError(
      "ERR_NO_POWER_MANAGEMENT",
      `device ${this.#where.address} has no power management: it is always in D0`,
      { facts: { ...this.#where } },
    );
  }

  /** @throws `ERR_DEVICE_OFF` where `bar` would not answer: an access to what is mapped of it is a SIGBUS. */
  checkAnswers(bar: string): void {
    if (this.memory && this.state === "D0") return;
    const { why, words } = this.diagnose();
    const message = `${bar} of device ${this.#where.address} cannot be mapped now: ${words}`;
    throw new DmaWindowError("ERR_DEVICE_OFF", message, { facts: { ...this.#where, why } });
  }

  /** It reads as if nobody were there, or the kernel cannot read it. An interface that throws says nothing. */
  get isGone(): boolean {
    try {
      return this.#config.read32(CLASS) === NOBODY;
    } catch (error) {
      return asOurs(error).code !== "ERR_INTERFACE";
    }
  }

  /** Why it does not answer, and what to do: a sentence. */
  diagnose(): Silence {
    try {
      if (this.isGone) {
        const words = "it has gone (unplugged, or hung in a reset): close it, and see the kernel's log (dmesg)";
        return { why: "gone", words };
      }
      const { state } = this;
      if (state !== "D0") return { why: "asleep", words: `it sleeps in ${state}: set device.powerState = "D0" first` };
      if (!this.memory) {
        const words = "its memory is switched off in the command register: set device.memory = true first";
        return { why: "memory off", words };
      }
    } catch {
      // then it is as below
    }
    const words =
      "its memory is on, and it is awake: it may be in a reset, or hang. Try again, then device.reset(), and see the kernel's log (dmesg)";
    return { why: "unknown", words };
  }

  #at(): number | null {
    if (this.#register === undefined) {
      const found = this.#config.find(Capability.POWER);
      this.#register = found === undefined ? null : found.offset + PowerRegister.OFFSET;
    }
    return this.#register;
  }
}
