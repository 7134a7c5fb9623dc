import type { Syscalls } from "../../src/syscalls.ts";
import { Command, Nvme, OpenDevice } from "./open-device.ts";

/**
 * Reads a byte of a BAR as JavaScript reads any, while memory is switched off in the command register. Unlike an access by `read32` and
 * its like nothing can make an errno of it. Gives what came, if the process lives to say it.
 */
export function readWithoutMemory(kernel: Syscalls, fd: number): string {
  const device = new OpenDevice(kernel, fd);
  const bytes = device.mapped(0, Nvme.BYTES).bytes();
  if (bytes === undefined) return "no bytes";
  device.commandWith(0, Command.MEMORY);
  return `read ${bytes[Nvme.VERSION]}`;
}
