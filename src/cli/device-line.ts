/** The command lines about a machine: `doctor`, `devices`, `bind ADDRESS`, `unbind ADDRESS`. */
import type { ModelPlatform } from "../model/index.ts";
import { pciAddress } from "../pci/address.ts";
import type { KernelName } from "./machine.ts";
import { UsageError } from "./usage.ts";

export const DEVICE_COMMANDS = ["doctor", "devices", "bind", "unbind"] as const;
export type DeviceCommand = (typeof DEVICE_COMMANDS)[number];

interface Common {
  readonly kernel: KernelName;
  /** What the software kernel is like. */
  readonly platform: ModelPlatform;
  /** Below which directory the machine's files lie. */
  readonly root?: string;
  readonly json: boolean;
}

export interface ListLine extends Common {
  readonly command: "devices";
  /** Left out: all of them. */
  readonly address?: string;
}

export interface DriverLine extends Common {
  readonly command: "bind" | "unbind";
  readonly address: string;
  /** Bind it though it is in use. */
  readonly force: boolean;
}

export interface DoctorLine extends Common {
  readonly command: "doctor";
}

export type DeviceLine = DoctorLine | ListLine | DriverLine;

/** The options of each, besides --json. */
const TAKEN: Readonly<Record<DeviceCommand, readonly string[]>> = {
  doctor: ["kernel", "platform", "root"],
  devices: ["kernel", "platform", "root"],
  bind: ["kernel", "platform", "root", "force"],
  unbind: ["kernel", "platform", "root"],
};

interface Values {
  readonly kernel?: string | undefined;
  readonly root?: string | undefined;
  readonly force: boolean;
  readonly json: boolean;
}

export function isDeviceCommand(command: string): command is DeviceCommand {
  return (DEVICE_COMMANDS as readonly string[]).includes(command);
}

/** @throws UsageError */
export function deviceLine(
  command: DeviceCommand,
  positionals: readonly string[],
  values: Values & Readonly<Record<string, unknown>>,
  platform: ModelPlatform,
): DeviceLine {
  refuseOthers(command, values);
  const { root, force, json } = values;
  // Devices are those of this machine, where nothing else is said.
  const kernel = values.kernel === "model" ? "model" : "linux";
  if (root !== undefined && kernel === "model") {
    throw new UsageError("--root says where this machine's files lie: the software kernel has files of its own");
  }
  if (root === "") throw new UsageError("--root takes a directory, such as /host");
  const common = { kernel, platform, ...(root === undefined ? {} : { root }), json } as const;
  if (command === "doctor") return doctorLine(positionals, common);
  const address = addressOf(command, positionals);
  if (command === "devices") return { command, ...(address === undefined ? {} : { address }), ...common };
  if (address !== undefined) return { command, address, force, ...common };
  throw new UsageError(
    `${command} takes the ADDRESS of a device: dma-window ${command} 0000:01:00.0 (dma-window devices lists them)`,
  );
}

function doctorLine([, extra]: readonly string[], common: Common): DoctorLine {
  if (extra !== undefined)
    throw new UsageError(`doctor looks at the whole machine; dma-window devices ${extra} at one device`);
  return { command: "doctor", ...common };
}

function refuseOthers(command: DeviceCommand, values: Readonly<Record<string, unknown>>): void {
  const taken = TAKEN[command];
  for (const [option, value] of Object.entries(values)) {
    const isLeftOut = value === undefined || value === false || (Array.isArray(value) && value.length === 0);
    if (isLeftOut || option === "json" || taken.includes(option)) continue;
    const list = [...taken, "json"].map((one) => `--${one}`).join(", ");
    throw new UsageError(`${command} takes no --${option}; it takes ${list}`);
  }
}

function addressOf(command: DeviceCommand, positionals: readonly string[]): string | undefined {
  const [, address, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`${command} takes one ADDRESS; got ${positionals.slice(1).join(" ")}`);
  if (address === undefined) return undefined;
  try {
    return pciAddress("ADDRESS", address);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
