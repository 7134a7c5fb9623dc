/** One look at a machine's PCI devices: its files, and what is the same for all devices. */
import { ERRNO } from "../errno.ts";
import { Machine } from "../explain/machine.ts";
import { keysOf, known } from "../known.ts";
import type { MachineFiles, Syscalls } from "../syscalls.ts";
import { checkFiles } from "../system/files.ts";
import { type IommuGroup, readGroups } from "../system/groups.ts";
import { machineFiles } from "../system/machine-files.ts";
import { checkPath, object, syscalls } from "../validate.ts";
import { isPciAddress } from "./address.ts";
import { Openers } from "./openers.ts";

/** Where PCI devices are looked for. */
export interface PciOptions {
  /** Whose machine it is, by its files: `modelKernel()` has one of its own. Default: the machine that this program runs on. */
  readonly kernel?: Syscalls;
  /** Below which directory its `/sys`, `/proc`, `/dev` and `/run` lie: `/host` where a container sees them there. Default: `/`. */
  readonly root?: string;
}

export const PCI_OPTIONS = keysOf<PciOptions>({ kernel: true, root: true });

/** The files of the machine that the options name, wherever its tree stands. */
export function ownFilesFrom({ kernel }: PciOptions): MachineFiles {
  return kernel?.files ?? machineFiles;
}

/** The files that the options name. `keys` are those that a caller's options may have. */
export function filesFrom(options: PciOptions, keys: readonly string[] = PCI_OPTIONS): MachineFiles {
  known("options", object("options", options), keys);
  const { kernel, root = "/" } = options;
  checkPath("root", root);
  const files = kernel === undefined ? machineFiles : syscalls("kernel", kernel).files;
  checkFiles(files);
  return below(root, files as MachineFiles);
}

function below(root: string, files: MachineFiles): MachineFiles {
  const base = root.replace(/\/+$/, "");
  if (base === "") return files;
  const { write, keep, remove, stat } = files;
  return {
    text: (path) => files.text(base + path),
    names: (path) => files.names(base + path),
    link: (path) => files.link(base + path),
    ...(write && { write: (path: string, text: string) => write.call(files, base + path, text) }),
    ...(keep && { keep: (path: string, text: string) => keep.call(files, base + path, text) }),
    ...(remove && { remove: (path: string) => remove.call(files, base + path) }),
    ...(stat && { stat: (path: string) => stat.call(files, base + path) }),
  };
}

/** Where sysfs has the devices of PCI: links to where they stand, behind which bridge ever. */
export const DEVICES = "/sys/bus/pci/devices";

/** What is read is read once. What cannot be read is not known, but for the list of the devices and the groups. */
export class Look extends Machine {
  readonly machine: MachineFiles;
  #groups: readonly IommuGroup[] | undefined;
  #openers: Openers | undefined;

  constructor(files: MachineFiles) {
    super(files);
    this.machine = files;
  }

  /** The directory of a device, whose address was found to be one. */
  at(address: string): string {
    return `${DEVICES}/${address}`;
  }

  /** Whether there is such a device. */
  has(address: string): boolean {
    return this.names(this.at(address)) !== undefined || this.text(`${this.at(address)}/vendor`) !== undefined;
  }

  /** The devices' addresses, sorted, or -errno. None where the machine has no PCI. */
  addresses(): readonly string[] | number {
    const names = this.machine.names(DEVICES);
    if (typeof names === "number") return names === -ERRNO.ENOENT ? [] : names;
    return names.filter(isPciAddress).sort();
  }

  /** @throws `ERR_GROUPS_UNREADABLE` */
  group(id: number | undefined): IommuGroup | undefined {
    if (id === undefined) return undefined;
    this.#groups ??= readGroups(this.machine);
    return this.#groups.find((group) => group.id === id);
  }

  /** Who has which files open. */
  get openers(): Openers {
    this.#openers ??= new Openers(this);
    return this.#openers;
  }

  /** The last part of where a link leads. */
  target(path: string): string | undefined {
    return this.link(path)?.replace(/\/+$/, "").split("/").at(-1);
  }
}

/** The driver that a device is bound to. */
export function driverOf(look: Pick<Look, "target">, address: string): string | undefined {
  return look.target(`${DEVICES}/${address}/driver`);
}

/** The number of the group that a device is in. */
export function groupOf(look: Pick<Look, "target">, address: string): number | undefined {
  const name = look.target(`${DEVICES}/${address}/iommu_group`);
  return name !== undefined && /^\d{1,10}$/.test(name) ? Number(name) : undefined;
}
