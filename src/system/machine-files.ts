import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { MachineFiles } from "../syscalls.ts";

/** The files of the machine that this program runs on. Sysfs and procfs only answer; nothing here opens a device. */
export const machineFiles: MachineFiles = {
  text: (path) => answered(() => readFileSync(path, "utf8")),
  names: (path) => answered(() => readdirSync(path).sort()),
  link: (path) => answered(() => readlinkSync(path)),
};

/** Node throws what the kernel refused, with its errno; what is thrown besides is a caller's mistake. */
function answered<T>(read: () => T): T | number {
  try {
    return read();
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    if (typeof errno === "number" && errno < 0) return errno;
    throw error;
  }
}
