/**
 * What a device was like before it went to VFIO, in a file that outlives the program: after a SIGKILL, `dma-window unbind` reads there
 * which driver it goes back to. `/run` is emptied when the machine starts anew, as the bindings are.
 *
 *     /run/dma-window/0000:01:00.0.json   {"version":1,"driver":"nvme","override":""}
 */
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";

/** A device before it was bound. */
export interface Before {
  /** The driver that had it. */
  readonly driver: string | undefined;
  /** Its `driver_override`; "" for none. */
  readonly override: string;
}

const VERSION = 1;

function pathOf(address: string): string {
  return `/run/dma-window/${address}.json`;
}

/** `undefined` where nothing is on record, or nothing that this version wrote. */
export function recordOf(files: MachineFiles, address: string): Before | undefined {
  const text = files.text(pathOf(address));
  if (typeof text !== "string") return undefined;
  try {
    const { version, driver, override } = JSON.parse(text) ?? {};
    const isWhole = version === VERSION && (driver === null || isName(driver)) && (override === "" || isName(override));
    return isWhole ? { driver: driver ?? undefined, override } : undefined;
  } catch {
    return undefined;
  }
}

/** The name of a driver, as sysfs has it: no path, no line. It is written to sysfs by root. */
function isName(value: unknown): boolean {
  return typeof value === "string" && /^[\w.-]{1,128}$/.test(value);
}

/** A kernel that keeps no files has no record: then the device's own driver is left to the kernel's choice. @throws `ERR_KERNEL` */
export function keepRecord(files: MachineFiles, address: string, { driver, override }: Before): void {
  if (files.keep === undefined) return;
  const path = pathOf(address);
  const answer = files.keep(path, `${JSON.stringify({ version: VERSION, driver: driver ?? null, override })}\n`);
  if (answer === 0) return;
  const isRoots = answer === -ERRNO.EACCES || answer === -ERRNO.EPERM;
  throw new DmaWindowError(
    "ERR_KERNEL",
    `which driver ${address} had cannot be kept in ${path}: ${errnoName(answer)}. ` +
      (isRoots
        ? "Only root may change who drives a device: run it as root"
        : "See that /run can be written to: it is what outlives this program"),
    { errno: answer, syscall: "open", facts: { address, path } },
  );
}

/** The device is as it was: nothing is to be remembered. */
export function dropRecord(files: MachineFiles, address: string): void {
  files.remove?.(pathOf(address));
}
