import { Container } from "./container.ts";
import { busOf, PciFunction } from "./devices/pci-function.ts";
import { BusAddresses, pciMachineOf } from "./devices/pci-machine.ts";
import type { PlacedDevice } from "./devices/placing.ts";
import { VfioDevice } from "./devices/vfio-device.ts";
import { deviceOf } from "./dma/device.ts";
import type { DriverModule } from "./driver-module.ts";
import { EISDIR, ENOENT, ENOTDIR } from "./errno.ts";
import type { FileTree } from "./file-tree.ts";
import { machineFiles } from "./files.ts";
import { Group } from "./group.ts";
import { Counting } from "./inspect/counters.ts";
import { Watchers } from "./inspect/watch.ts";
import type { LinuxRules } from "./linux-rules.ts";
import { Frames } from "./memory/frames.ts";
import { HugepagePool } from "./memory/hugepage-pool.ts";
import { noIommuModule } from "./noiommu.ts";
import type { Caller, OpenFile } from "./open-file.ts";
import type { IommuSettings, ModelPlatform, ModelSettings } from "./options.ts";
import { pageOf } from "./pages.ts";
import { ownDriver, PciSlot, VFIO_PCI } from "./pci/slot.ts";
import type { Host, Process } from "./process.ts";
import { spaprModule } from "./spapr/module.ts";
import { powernv } from "./spapr/powernv.ts";
import { pseries } from "./spapr/pseries.ts";
import { type1Module } from "./type1/module.ts";
import { type1Settings } from "./type1/settings.ts";

/** What all processes of a machine share: its IOMMU, its groups, the containers that are there, its hugepages. */
export class Machine implements Host {
  readonly pageSize: number;
  /** What it is, and stays. */
  readonly fixed: Pick<ModelSettings, "iommu" | "rules" | "pageSize" | "ram">;
  readonly ram: number;
  readonly userPages: number;
  readonly pool: HugepagePool;
  readonly frames = new Frames();
  readonly watchers = new Watchers();
  readonly counting = new Counting();
  readonly groups: readonly Group[];
  /** By address, with those that are not bound any more. */
  readonly devices: ReadonlyMap<string, VfioDevice>;
  /** Who has which device, in the same order. */
  readonly slots: readonly PciSlot[];
  readonly files: FileTree;
  readonly #containers = new Set<Container>();
  readonly #modules: readonly DriverModule[];
  readonly #byPath: ReadonlyMap<string, Group>;
  #opened = 0;
  #begun = 0;
  #processes: Process[] = [];

  constructor({ iommu, rules, pageSize, groups, devices, nodes, hugepageLimits, ram, memory }: ModelSettings) {
    this.pageSize = pageSize;
    this.fixed = { iommu, rules, pageSize, ram };
    this.ram = Number(ram);
    this.userPages = pageOf(endOfUserSpace(iommu.platform, pageSize));
    this.pool = new HugepagePool(nodes, hugepageLimits);
    this.groups = groups.map(({ number, noIommu }) => new Group(number, noIommu, rules));
    this.devices = this.#plug(devices, iommu.platform, rules);
    this.slots = [...this.devices.values()].map((device, place) => {
      const { driver, facts } = (devices[place] as PlacedDevice).device;
      return new PciSlot(device, driver ?? ownDriver(facts.class), driver ?? VFIO_PCI);
    });
    const { groups: all, slots, pool } = this;
    const borrowsMemory = memory !== "simulated";
    this.files = machineFiles({ groups: all, slots, iommu, pageSize, ram, pool, borrowsMemory, ...rules });
    this.#modules = this.#modulesFor(iommu, rules);
    this.#byPath = new Map(this.groups.map((group) => [group.path, group]));
  }

  /** Puts the devices into their groups. */
  #plug(devices: readonly PlacedDevice[], platform: ModelPlatform, rules: LinuxRules): ReadonlyMap<string, VfioDevice> {
    const machine = pciMachineOf(platform, rules);
    const addresses = new BusAddresses(machine);
    const found = new Map<string, VfioDevice>();
    for (const { device, address, group: number, isPlugged } of devices) {
      const group = this.groups.find((one) => one.number === number) as Group;
      const hardware = new PciFunction(device, address, machine, addresses, () => deviceOf(group));
      const bus = () => [...found.values()].filter((one) => busOf(one.address) === busOf(address));
      const bound = new VfioDevice(hardware, group, isPlugged, bus);
      // Groups without a device of their own may have numbers that give them one name.
      found.set(found.has(address) ? `${address} of group ${number}` : address, bound);
    }
    return found;
  }

  /** By group. */
  get deviceList(): readonly VfioDevice[] {
    return [...this.devices.values()].sort((a, b) => a.group.number - b.group.number);
  }

  begin(process: Process): number {
    this.#processes.push(process);
    return this.#begun++;
  }

  /** Those that have not ended, in the order in which they began. */
  get processes(): readonly Process[] {
    this.#processes = this.#processes.filter(({ ended }) => !ended);
    return this.#processes;
  }

  /** The file, or a negative errno. */
  open(path: string, caller: Caller): OpenFile | number {
    if (path === "/dev/vfio/vfio") {
      const container = new Container(this.#opened++, this.#modules, this.watchers, this.counting);
      this.#containers.add(container);
      return container;
    }
    const group = this.#byPath.get(path);
    if (group === undefined || group.isGone) return this.#notAFile(path);
    const refused = group.admit(caller);
    return refused === 0 ? group : refused;
  }

  /** `fs/namei.c: do_open, link_path_walk`: folders are not opened for writing, and files are no folders. */
  #notAFile(path: string): number {
    const name = path.replace(/\/+$/, "");
    if (["", "/dev", "/dev/vfio"].includes(name) && path.startsWith("/")) return EISDIR;
    return name !== path && (name === "/dev/vfio/vfio" || this.#byPath.has(name)) ? ENOTDIR : ENOENT;
  }

  /** A container goes when neither a descriptor nor a group holds it. */
  get containers(): readonly Container[] {
    for (const container of this.#containers) if (container.isGone) this.#containers.delete(container);
    return [...this.#containers];
  }

  /**
   * What the machine's kernel has loaded. vfio_iommu_type1 comes with vfio on every x86 and Arm, also where there is no
   * IOMMU. The other is part of vfio itself, and answers when the unsafe mode is on: here when a group needs it.
   */
  #modulesFor(iommu: IommuSettings, rules: LinuxRules): readonly DriverModule[] {
    const { pageSize, frames } = this;
    if (iommu.platform === "powernv") return [spaprModule(powernv(iommu.info, pageSize), rules)];
    if (iommu.platform === "pseries")
      return [spaprModule(pseries(iommu.info, iommu.firmware, pageSize, this.ram), rules)];
    const type1 = iommu.platform === "type1" ? iommu.type1 : type1Settings({}, pageSize, rules);
    const unsafe = this.groups.some(({ noIommu }) => noIommu) || iommu.platform === "noiommu";
    return [type1Module(type1, pageSize), ...(unsafe ? [noIommuModule(frames)] : [])];
  }
}

/** Seen on POWER with pages of 4 KiB, and on x86. (`TASK_SIZE` and `DEFAULT_MAP_WINDOW` of the two) */
function endOfUserSpace(platform: ModelPlatform, pageSize: number): bigint {
  const isPower = platform === "powernv" || platform === "pseries";
  return isPower && pageSize === 4096 ? 1n << 46n : (1n << 47n) - BigInt(pageSize);
}
