/** One run of an emulated machine, from power on to power off. */
import { spawn } from "node:child_process";
import { Lines } from "./console.ts";
import type { Guest } from "./guests.ts";
import type { Images } from "./images.ts";

/** How a machine came to its end: it went off by itself, it was stopped because its time was over, or QEMU failed. */
export type End = { readonly how: "off" | "stopped" } | { readonly how: "failed"; readonly status: string };

/** Who hears the console: this program, or a person, whose Ctrl-C is the guest's. */
const consoles = {
  lines: ["-serial", "stdio", "-monitor", "none"],
  terminal: ["-chardev", "stdio,id=terminal,mux=on,signal=off", "-serial", "chardev:terminal", "-mon", "terminal"],
} as const;

/**
 * What the disk does in a second: a tenth of that at once, and what is more takes its time, as on a disk. Out of the host's memory it would
 * all be done before a program can do anything meanwhile.
 */
const DISK_OPERATIONS = 100;

/**
 * What QEMU is told. TCG everywhere: no guest needs KVM. The kernel's chatter is left out (an LPAR's window is announced as
 * an error); a crash is shown at any level. A host that does other things makes a processor stand still for a while: no watchdog.
 */
export function qemuArguments(
  guest: Guest,
  { kernel, initrd, disk, accesses, rom }: Images,
  cpus: number,
  console: keyof typeof consoles = "lines",
): string[] {
  return [
    ...guest.arguments,
    ...["-drive", `if=none,id=disk,file=${disk},format=raw,throttling.iops-total=${DISK_OPERATIONS}`],
    ...["-device", `nvme,serial=dma-window,drive=disk,${guest.nvme}`],
    ...(guest.card === undefined ? [] : ["-device", `e1000e,${guest.card},romfile=${rom}`]),
    ...["-trace", "pci_nvme_mmio_read", "-trace", "pci_nvme_mmio_write", "-D", accesses],
    ...["-m", `${guest.memoryMiB}M`, "-smp", `${cpus}`, "-nographic", "-no-reboot", ...consoles[console]],
    ...["-kernel", kernel, "-initrd", initrd, "-append", `${guest.append} loglevel=3 nowatchdog panic=-1`],
  ];
}

/** Firmware may take a while to turn a machine off that has said its last word. */
const GRACE_MS = 300;

export interface Watch {
  readonly cpus: number;
  readonly seconds: number;
  readonly line: (text: string) => void;
  readonly aborted: AbortSignal;
}

/**
 * Boots a guest and hands out what it says, line by line. Ends when the machine is off, after `seconds` at most.
 * `aborted` stops it at once.
 */
export function boot(guest: Guest, images: Images, { cpus, seconds, line, aborted }: Watch): Promise<End> {
  // A signal that has been given is not given again.
  if (aborted.aborted) return Promise.resolve({ how: "stopped" });
  return new Promise((resolve) => {
    const machine = spawn(guest.architecture.qemu, qemuArguments(guest, images, cpus), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stopped = false;
    let poweringOff = false;
    const stop = () => {
      stopped = true;
      machine.kill("SIGKILL");
    };
    const hear = (text: string) => {
      line(text);
      if (!/reboot: Power down/.test(text)) return;
      poweringOff = true;
      setTimeout(() => machine.kill("SIGKILL"), GRACE_MS);
    };
    const clock = setTimeout(stop, seconds * 1000);
    aborted.addEventListener("abort", stop);
    const said = new Lines(hear);
    const complained = new Lines((text) => line(`QEMU: ${text}`));
    machine.stdout.on("data", (bytes: Uint8Array) => said.write(bytes));
    machine.stderr.on("data", (bytes: Uint8Array) => complained.write(bytes));
    const end = (result: End) => {
      clearTimeout(clock);
      aborted.removeEventListener("abort", stop);
      said.end();
      complained.end();
      resolve(result);
    };
    machine.on("error", (error) => end({ how: "failed", status: error.message }));
    machine.on("close", (status, signal) => {
      if (stopped) end({ how: "stopped" });
      else if (status === 0 || poweringOff) end({ how: "off" });
      else end({ how: "failed", status: signal ?? `exit code ${status}` });
    });
  });
}
