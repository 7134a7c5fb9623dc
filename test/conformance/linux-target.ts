import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { linuxKernel } from "../../src/linux/index.ts";
import { type LinuxVersion, linuxVersionIn, linuxVersionText } from "../../src/linux-version.ts";
import { type Syscalls, VfioCall } from "../../src/syscalls.ts";
import { eduDevice } from "./edu.ts";
import type { RawCalls } from "./raw-calls.ts";
import type { Needs, PlatformName } from "./row.ts";
import type { Machine, TakenAway, Target } from "./target.ts";

/** What a program that runs rows on the Linux below it is told. */
export interface LinuxMachine {
  readonly platform: PlatformName;
  readonly linux: LinuxVersion;
  /** `/dev/vfio/26`, which may be opened. */
  readonly groups: readonly string[];
  /** The PCI address of the edu device in each group: `0000:00:05.0`. */
  readonly devices: readonly string[];
  /** QEMU's NVMe controller, where there is one that may be used. */
  readonly nvme?: Machine["nvme"];
  /** And its network card. */
  readonly card?: Machine["card"];
  /** And a second controller of its, behind a root port. */
  readonly port?: Machine["port"];
  /** The program that makes calls past the shim, where there is one. */
  readonly raw?: RawCalls | undefined;
  /** Free hugepages by their page shift. */
  readonly hugepages: Readonly<Record<number, number>>;
  /** This process was started for one row, which may need a limit or harm the kernel. */
  readonly alone: boolean;
  /** How to start this program again: node, and its arguments. */
  readonly again: readonly string[];
}

/** `/proc/version`: the name that `uname -r` has says nothing of the stable series for some kernels. */
export function runningLinuxText(): string {
  return readFileSync("/proc/version", "utf8");
}

export function runningLinux(): LinuxVersion {
  const text = runningLinuxText();
  const version = linuxVersionIn(text);
  if (version === undefined) throw new Error(`no version in /proc/version: ${text}`);
  return version;
}

/** The Linux below. Rows that need a limit or harm the kernel want a process of their own: `guest.ts` makes them. */
export function linuxTarget(machine: LinuxMachine): Target {
  const kernel = linuxKernel();
  const { platform, linux, groups } = machine;
  return {
    name: `Linux ${linuxVersionText(linux)}, ${platform}, ${kernel.pageSize / 1024}K pages`,
    platform,
    pageSize: kernel.pageSize,
    linux,
    cannot: (needs) => whatIsMissing(machine, needs),
    begin: () => ({
      ...abilities(kernel, machine),
      kernel,
      groups,
      nvme: machine.nvme,
      card: machine.card,
      port: machine.port,
      raw: machine.raw,
      takeAway: () => takeAway(machine.nvme),
    }),
  };
}

function whatIsMissing(
  { groups, devices, hugepages, alone, nvme, card, port, raw }: LinuxMachine,
  needs: Needs,
): string | undefined {
  if (needs.groups !== undefined && groups.length < needs.groups) return `this machine has ${groups.length} group`;
  if (needs.limit !== undefined && !alone) return "needs a process with a small RLIMIT_MEMLOCK";
  if (needs.reboot && !alone) return "harms the kernel: needs a boot of its own";
  if ((needs.device || needs.dma) && devices.length === 0) return "no device";
  if (needs.card && card === undefined) return "no network card of QEMU's";
  if (needs.port && port === undefined) return "no NVMe controller of QEMU's behind a root port";
  if (needs.raw && raw === undefined) return "no program that makes calls past the shim";
  if (needs.nvme && nvme === undefined) return "no NVMe controller of QEMU's";
  if (needs.deviceMemory) return "nothing mmaps a device's memory here";
  const [shift, count] = needs.hugepages ?? [0, 0];
  if (count > 0 && (hugepages[shift] ?? 0) < count) return `fewer than ${count} hugepages of ${2 ** (shift - 10)} KiB`;
  return undefined;
}

function abilities(kernel: Syscalls, { devices, again }: LinuxMachine): Omit<Machine, "kernel" | "groups"> {
  return {
    deviceName: (index) => devices[index] as string,
    device(index, group) {
      const name = new Uint8Array(64);
      name.set(new TextEncoder().encode(devices[index]));
      const fd = kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, name, 0);
      if (fd < 0) throw new Error(`GROUP_GET_DEVICE_FD: ${fd}`);
      return eduDevice(fd, () => kernel.close(fd));
    },
    elsewhere(errand, { container, group }) {
      const [node = "", ...args] = again;
      const child = spawnSync(node, [...args, "--errand", errand], {
        stdio: ["ignore", "pipe", "inherit", container, group],
        encoding: "utf8",
      });
      if (child.status !== 0) throw new Error(`the second process ended with ${child.status ?? child.signal}`);
      return child.stdout.trim();
    },
    readWithoutMemory(fd) {
      const [node = "", ...args] = again;
      const child = spawnSync(node, [...args, "--without-memory"], {
        stdio: ["ignore", "pipe", "inherit", fd],
        encoding: "utf8",
      });
      return child.signal ?? `exit code ${child.status}: ${child.stdout.trim()}`;
    },
  };
}

/** A tenth of a second, and how many of them an unbind may take. */
const TICK_MS = 100;
const TICKS = 300;

/**
 * Another process writes to `unbind`, since who writes waits. Its end is a file: that of a process cannot be heard without a turn of
 * the event loop, and the link to the driver goes before the driver is asked.
 */
function takeAway({ name: address, group } = { name: "", group: "" }): TakenAway {
  const device = `/sys/bus/pci/devices/${address}`;
  const done = join(mkdtempSync(join(tmpdir(), "unbind-")), "done");
  const child = spawn("/bin/sh", ["-c", `echo ${address} > ${device}/driver/unbind && echo > ${done}`], {
    stdio: "ignore",
  });
  child.on("error", () => {});
  child.unref();
  const isThrough = () => waitedFor(() => existsSync(done));
  return {
    isThrough,
    goOn: () => undefined,
    bindAgain() {
      if (!isThrough()) throw new Error(`${address} was not unbound`);
      rmSync(dirname(done), { recursive: true });
      writeFileSync(`${device}/driver_override`, "vfio-pci");
      writeFileSync("/sys/bus/pci/drivers_probe", address);
      // The group is a new one, and its node comes a moment later.
      if (!waitedFor(() => existsSync(group))) throw new Error(`${address} is bound again, and ${group} is not there`);
    },
  };
}

/** Without a turn of the event loop: rows have none. */
function waitedFor(isSo: () => boolean): boolean {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let tick = 0; tick < TICKS; tick++) {
    if (isSo()) return true;
    Atomics.wait(clock, 0, 0, TICK_MS);
  }
  return false;
}
