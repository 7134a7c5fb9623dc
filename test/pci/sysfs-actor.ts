/**
 * A machine's sysfs in a directory of the disk, and the kernel's part in it: what becomes of the tree when somebody writes to
 * driver_override, unbind and drivers_probe (`drivers/base/bus.c: unbind_store, drivers_probe_store`, `drivers/pci/pci-driver.c:
 * pci_match_device`). Written after the kernel's source, without a look at the library.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { modelKernel } from "../../src/model/index.ts";
import type { MachineFiles, Syscalls } from "../../src/syscalls.ts";
import { machineFiles } from "../../src/system/machine-files.ts";

const [ENODEV, EINVAL] = [-19, -22];

/** How a device is at boot. */
export interface ActorDevice {
  readonly group?: number;
  /** The drivers that know it, the first of which has it at boot, unless `idle`. */
  readonly drivers?: readonly string[];
  readonly idle?: boolean;
  readonly override?: string;
  /** Further files of its directory, and links. */
  readonly files?: Readonly<Record<string, string | { readonly link: string }>>;
  /** Where it stands: behind which bridges. */
  readonly behind?: string;
  readonly class?: string;
}

interface State {
  readonly knows: readonly string[];
  readonly group: number | undefined;
  driver: string | undefined;
  override: string;
}

/** What a write does besides what it should. */
export interface Misbehaviour {
  /** Answers instead of doing it. */
  readonly errno?: number;
  /** Does nothing, and says that it did. */
  readonly idle?: boolean;
}

type Write = "override" | "unbind" | "probe";

export class SysfsActor {
  readonly root = mkdtempSync(join(tmpdir(), "dma-window-"));
  readonly writes: string[] = [];
  /** Drivers whose probe fails. */
  readonly failing = new Set<string>();
  /** What is done instead, for the nth write of a kind, from 0. */
  readonly misbehaves = new Map<string, Misbehaviour>();
  /** How many looks at a driver's link pass before what was written comes true. */
  delay = 0;
  readonly files: MachineFiles;
  /** A kernel whose machine this is; it is asked for its files alone. */
  readonly kernel: Syscalls;
  readonly #devices = new Map<string, State>();
  readonly #counts: Record<Write, number> = { override: 0, unbind: 0, probe: 0 };
  #due: { looks: number; act: () => void }[] = [];

  constructor(
    devices: Readonly<Record<string, ActorDevice>>,
    { drivers = ["vfio-pci", "nvme", "e1000e", "pcieport"], entries = {} }: ActorOptions = {},
  ) {
    for (const driver of drivers) this.put(`sys/bus/pci/drivers/${driver}/unbind`, "");
    this.put("sys/bus/pci/drivers_probe", "");
    this.put("run/.keep", "");
    for (const [path, entry] of Object.entries(entries)) this.put(path, entry);
    for (const [address, device] of Object.entries(devices)) this.#boot(address, device);
    const at = (path: string) => this.root + path;
    this.files = {
      text: (path) => machineFiles.text(at(path)),
      names: (path) => machineFiles.names(at(path)),
      link: (path) => {
        if (path.endsWith("/driver")) this.#look();
        return machineFiles.link(at(path));
      },
      write: (path, text) => this.#write(path, text),
      keep: (path, text) => machineFiles.keep?.(at(path), text) ?? 0,
      remove: (path) => machineFiles.remove?.(at(path)) ?? 0,
    };
    this.kernel = Object.create(modelKernel(), { files: { value: this.files } });
  }

  driverOf(address: string): string | undefined {
    return this.#devices.get(address)?.driver;
  }

  overrideOf(address: string): string | undefined {
    return this.#devices.get(address)?.override;
  }

  /** As somebody else would, behind the library's back. */
  unplug(address: string): void {
    this.#devices.delete(address);
    unlinkSync(join(this.root, "sys/bus/pci/devices", address));
  }

  text(path: string): string | number {
    return machineFiles.text(join(this.root, path));
  }

  put(path: string, entry: string | { readonly link: string }): void {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    if (typeof entry === "string") writeFileSync(full, entry);
    else symlinkSync(entry.link, full);
  }

  end(): void {
    rmSync(this.root, { recursive: true });
  }

  #boot(address: string, device: ActorDevice): void {
    const { group, drivers = [], idle = false, override = "", behind = "pci0000:00" } = device;
    const home = `sys/devices/${behind}/${address}`;
    const depth = "../".repeat(behind.split("/").length + 2);
    this.put(`sys/bus/pci/devices/${address}`, { link: `../../../devices/${behind}/${address}` });
    const { class: code = "0x010802" } = device;
    const usual = {
      vendor: "0x1b36\n",
      device: "0x0010\n",
      class: `${code}\n`,
      driver_override: `${override || "(null)"}\n`,
    };
    for (const [name, entry] of Object.entries({ ...usual, ...device.files })) this.put(`${home}/${name}`, entry);
    if (group !== undefined) {
      this.put(`${home}/iommu_group`, { link: `${depth}kernel/iommu_groups/${group}` });
      this.put(`sys/kernel/iommu_groups/${group}/devices/${address}`, {
        link: `../../../../devices/${behind}/${address}`,
      });
      this.put(`sys/kernel/iommu_groups/${group}/reserved_regions`, "");
    }
    this.#devices.set(address, { knows: drivers, group, driver: undefined, override });
    if (!idle) this.#bind(address, drivers[0]);
  }

  #bind(address: string, driver: string | undefined): void {
    const device = this.#devices.get(address);
    if (device === undefined || driver === undefined) return;
    device.driver = driver;
    this.put(`sys/bus/pci/devices/${address}/driver`, { link: `${this.#up(address)}bus/pci/drivers/${driver}` });
    if (driver === "vfio-pci" && device.group !== undefined) this.put(`dev/vfio/${device.group}`, "");
  }

  /** From a device's directory up to /sys. */
  #up(address: string): string {
    const target = machineFiles.link(join(this.root, "sys/bus/pci/devices", address)) as string;
    return "../".repeat(target.replace("../../../", "").split("/").length);
  }

  #let(address: string): void {
    const device = this.#devices.get(address);
    if (device?.driver === undefined) return;
    unlinkSync(join(this.root, "sys/bus/pci/devices", address, "driver"));
    if (device.driver === "vfio-pci" && device.group !== undefined) {
      rmSync(join(this.root, `dev/vfio/${device.group}`), { force: true });
    }
    device.driver = undefined;
  }

  #look(): void {
    for (const one of this.#due) one.looks--;
    const now = this.#due.filter(({ looks }) => looks < 0);
    this.#due = this.#due.filter(({ looks }) => looks >= 0);
    for (const { act } of now) act();
  }

  #later(act: () => void): number {
    if (this.delay === 0) act();
    else this.#due.push({ looks: this.delay, act });
    return 0;
  }

  #write(path: string, text: string): number {
    this.writes.push(`${path.split("/").at(-1)} ${text.trim()}`);
    const written = text.replace(/\n$/, "");
    if (path === "/sys/bus/pci/drivers_probe") return this.#act("probe", () => this.#probe(written));
    const [, address = ""] = /^\/sys\/bus\/pci\/devices\/([^/]+)\/(?:driver\/unbind|driver_override)$/.exec(path) ?? [];
    const device = this.#devices.get(address);
    if (device === undefined) return -2;
    if (path.endsWith("/driver_override")) return this.#act("override", () => this.#override(address, written));
    const { driver } = device;
    if (driver === undefined) return -2;
    return this.#act("unbind", () => (written === address ? this.#later(() => this.#let(address)) : ENODEV));
  }

  #act(kind: Write, act: () => number): number {
    const { errno, idle } = this.misbehaves.get(`${kind} ${this.#counts[kind]++}`) ?? {};
    return errno ?? (idle ? 0 : act());
  }

  #override(address: string, name: string): number {
    const device = this.#devices.get(address) as State;
    device.override = name;
    this.put(`sys/bus/pci/devices/${address}/driver_override`, `${name || "(null)"}\n`);
    return 0;
  }

  #probe(address: string): number {
    const device = this.#devices.get(address);
    if (device === undefined) return ENODEV;
    if (device.driver !== undefined) return 0;
    const wants = device.override === "" ? device.knows : [device.override];
    const loaded = machineFiles.names(join(this.root, "sys/bus/pci/drivers")) as readonly string[];
    const taker = wants.find((driver) => loaded.includes(driver) && !this.failing.has(driver));
    return this.#later(() => this.#bind(address, taker));
  }
}

export interface ActorOptions {
  /** The drivers that are loaded. */
  readonly drivers?: readonly string[];
  /** Other files of the machine, by their paths. */
  readonly entries?: Readonly<Record<string, string | { readonly link: string }>>;
}

/** Calls `use` with such a machine, and removes it afterwards. */
export function withSysfs(
  devices: Readonly<Record<string, ActorDevice>>,
  use: (actor: SysfsActor) => void,
  options: ActorOptions = {},
): void {
  const actor = new SysfsActor(devices, options);
  try {
    use(actor);
  } finally {
    actor.end();
  }
}

export const ERRNOS = { ENODEV, EINVAL, EACCES: -13 } as const;
