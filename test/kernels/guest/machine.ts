/** The machine that the program finds itself on: its name, its devices, and their IOMMU groups. */
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { basename } from "node:path";

export interface GuestMachine {
  readonly name: string;
  readonly machine: "pseries" | "powernv" | "x86";
  /** Page shift and number of the pools that the kernel was asked for. */
  readonly hugepages: readonly (readonly [shift: number, count: number])[];
}

/** A device of QEMU's that does DMA where it is told. */
export interface BoundDevice {
  /** Its address on the bus: `0000:00:05.0`. */
  readonly name: string;
  readonly group: number;
}

/** What the host has written into the image. */
export function thisMachine(): GuestMachine {
  return JSON.parse(readFileSync("/app/guest.json", "utf8")) as GuestMachine;
}

/** `6.12.107+deb13-powerpc64le` */
export function kernelRelease(): string {
  return release();
}

const PCI = "/sys/bus/pci";

/** Vendor and device number of QEMU's edu. */
const EDU = "0x1234 0x11e8";

/** Binds all edu devices to vfio-pci, those too that are bound already; gives them by name. */
export function bindDevices(): BoundDevice[] {
  const names = readdirSync(`${PCI}/devices`).filter((name) => {
    const read = (what: string) => readFileSync(`${PCI}/devices/${name}/${what}`, "utf8").trim();
    return `${read("vendor")} ${read("device")}` === EDU;
  });
  return names.sort().map((name) => {
    const device = `${PCI}/devices/${name}`;
    if (!existsSync(`${device}/driver`)) {
      writeFileSync(`${device}/driver_override`, "vfio-pci");
      writeFileSync(`${PCI}/drivers_probe`, name);
    }
    const driver = existsSync(`${device}/driver`) ? basename(readlinkSync(`${device}/driver`)) : "none";
    if (driver !== "vfio-pci") throw new Error(`${name} cannot be bound to vfio-pci: its driver is ${driver}`);
    return { name, group: Number(basename(readlinkSync(`${device}/iommu_group`))) };
  });
}
