/**
 * The machine that the program finds itself on. There are two ways to learn of it: in a guest the image says what it is, and
 * its devices are there to be bound; on hardware `DMA_WINDOW_GROUP` says which groups may be used, and the system the rest.
 */
import { chownSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { release, version } from "node:os";
import { basename } from "node:path";
import type { Syscalls } from "../../../src/syscalls.ts";
import { EDU, fromSystem, groupsIn } from "../hardware/machine.ts";

export interface GuestMachine {
  readonly name: string;
  /** `x86` has type1. */
  readonly machine: "pseries" | "powernv" | "x86" | "arm";
  /** Page shift of the pools that may be used, and how many pages they were seen to have. */
  readonly hugepages: readonly (readonly [shift: number, count: number])[];
}

/** A device that is bound to vfio-pci. */
export interface BoundDevice {
  /** Its address on the bus: `0000:00:05.0`. */
  readonly name: string;
  readonly group: number;
  /** Whether it is QEMU's edu, which does DMA where it is told. Any other device is not even opened: that would reset it. */
  readonly isEdu: boolean;
}

/** An NVMe controller whose disk may be written. */
export interface NvmeDevice {
  readonly name: string;
  readonly group: number;
}

/** What there is to be used. */
export interface Found {
  readonly machine: GuestMachine;
  /** One of each group. */
  readonly devices: readonly BoundDevice[];
  /** QEMU's NVMe controller, which is in a group of its own: in a guest. */
  readonly nvme?: NvmeDevice;
  /** A second one, behind a root port. */
  readonly port?: NvmeDevice;
  /** Its network card, likewise. */
  readonly card?: { readonly name: string; readonly group: number };
  /** Whether the machine may be used up. A guest goes off afterwards; any other machine has to be left as it was found. */
  readonly isExpendable: boolean;
}

/** @throws Error */
export function thisMachine(kernel: Syscalls): Found {
  const groups = process.env.DMA_WINDOW_GROUP;
  return groups === undefined ? fromImage() : fromSystem(groupsIn(groups), kernel);
}

/** What the host has written into the image. Everything in the machine is there for the tests. */
function fromImage(): Found {
  const machine = JSON.parse(readFileSync("/app/guest.json", "utf8")) as GuestMachine;
  const devices = bind(EDU).map((one) => ({ ...one, isEdu: true }));
  // The one on the bus that the kernel numbers first has the disk; another is behind a root port.
  const [nvme, port] = bind(NVME);
  const [card] = bind(CARD);
  return { machine, devices, ...(nvme && { nvme }), ...(port && { port }), ...(card && { card }), isExpendable: true };
}

/** What runs here: `6.12.107+deb13-powerpc64le`, `#1 SMP Debian 6.12.107-1 (2026-10-19)`, `v20.19.2`. */
export function versionsHere(): { kernel: string; build: string; node: string } {
  return { kernel: release(), build: version(), node: process.version };
}

const PCI = "/sys/bus/pci";

/** Vendor and device number of QEMU's NVMe controller. */
const NVME = "0x1b36 0x0010";
/** And of its e1000e. */
const CARD = "0x8086 0x10d3";

/** Binds the controller, also again. */
export function bindNvme(): NvmeDevice | undefined {
  return bind(NVME)[0];
}

/** Binds all devices of a kind to vfio-pci, those too that are bound already; gives them by name. */
function bind(kind: string): { readonly name: string; readonly group: number }[] {
  const names = readdirSync(`${PCI}/devices`).filter((name) => {
    const read = (what: string) => readFileSync(`${PCI}/devices/${name}/${what}`, "utf8").trim();
    return `${read("vendor")} ${read("device")}` === kind;
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

/** The user without rights: nobody. */
export const NOBODY = 65534;

/** Gives a group's node to nobody, and to nobody else; what comes back gives it to whose it was. */
export function lend(node: string): () => void {
  const { uid, gid } = statSync(node);
  chownSync(node, NOBODY, NOBODY);
  return () => chownSync(node, uid, gid);
}
