import type { LinuxRules } from "../linux-rules.ts";
import type { ModelPlatform } from "../options.ts";

/** What devices of PCI meet on a kind of machine: its firmware, its bridges, and the kernel's code for it. */
export interface PciMachine {
  /** The command register as firmware leaves it: memory on, bus master off. (seen) */
  readonly command: number;
  /** The interrupt line that firmware wrote into the configuration space. (seen) */
  readonly interruptLine: number;
  /** Whether BARs of 64 bits say so: the LPAR's device tree does not, for those below 4 GiB. (seen) */
  readonly says64Bit: boolean;
  /** D3hot can be written: PowerNV says "Refused to change power state", and the device stays in D0. (seen) */
  readonly hasD3: boolean;
  /** Devices whose registers have the byte order of QEMU's target. */
  readonly isPower: boolean;
  /** Vectors of MSI-X can be added while it is on. */
  readonly growsMsix: boolean;
  /** pread and pwrite of 8 bytes at a multiple of 8 are one access to the device, and not two of 4. */
  readonly movesEightBytes: boolean;
  /** DEVICE_FEATURE knows the three of low power. */
  readonly hasLowPower: boolean;
  /**
   * What becomes of a reset of the bus behind a bridge: it works on PowerNV; behind an x86's emulated root port it was seen to fail;
   * behind an LPAR's bridge nobody has looked.
   */
  readonly busReset: "works" | "fails" | "unknown";
}

export function pciMachineOf(platform: ModelPlatform, rules: LinuxRules): PciMachine {
  const isPower = platform === "powernv" || platform === "pseries";
  return {
    command: isPower ? 0x102 : 0x103,
    interruptLine: isPower ? 0 : 0xb,
    says64Bit: platform !== "pseries",
    hasD3: platform !== "powernv",
    isPower,
    growsMsix: !isPower && rules.growsMsix,
    movesEightBytes: isPower || rules.movesEightBytes,
    hasLowPower: rules.hasLowPower,
    busReset: platform === "powernv" ? "works" : isPower ? "unknown" : "fails",
  };
}

/** Gives out bus addresses for BARs, each a multiple of its size, as firmware does. */
export class BusAddresses {
  #below: number;
  #above = 2 ** 35;

  constructor({ isPower }: PciMachine) {
    this.#below = isPower ? 0x8000_0000 : 0xc000_0000;
  }

  /** Those of 64 bits that are large lie above 4 GiB. Below 2^53, so exact. */
  take(bytes: number, is64Bit: boolean): number {
    if (is64Bit && bytes >= 2 ** 24) {
      const at = Math.ceil(this.#above / bytes) * bytes;
      this.#above = at + bytes;
      return at;
    }
    const at = Math.ceil(this.#below / bytes) * bytes;
    this.#below = at + bytes;
    return at;
  }
}
