import { ROM } from "../devices/facts.ts";
import { ENODEV } from "../errno.ts";
import type { Entry } from "../file-tree.ts";
import { type PciSlot, VFIO_PCI } from "./slot.ts";

/** What sysfs tells of devices of PCI. */
export interface PciTold {
  /** Of several with one address the first is shown. */
  readonly slots: readonly PciSlot[];
  /** Linux has had it since 5.15. */
  readonly saysResetMethods: boolean;
  /** Since 5.11. */
  readonly saysPowerState: boolean;
}

/**
 * The files of PCI devices and their drivers:
 *
 *     /sys/bus/pci/devices/0000:00:1a.0           a link to the device
 *     /sys/devices/pci0000:00/0000:00:1a.0/       vendor, device, subsystem_vendor, subsystem_device, class, revision, resource,
 *                                                 reset_method, power_state, numa_node, driver_override; driver and iommu_group: links
 *     /sys/bus/pci/drivers/nvme/                  bind, unbind, and a link to each device that it has
 *     /sys/bus/pci/drivers_probe
 *
 * (`drivers/pci/pci-sysfs.c`, `drivers/base/bus.c`)
 */
export function pciFiles({ slots: all, saysResetMethods, saysPowerState }: PciTold): Map<string, Entry> {
  const slots = all.filter(({ address }, place) => all.findIndex((other) => other.address === address) === place);
  const named = (text: string) => slots.find((slot) => slot.isThere && slot.address === line(text));
  const entries = new Map<string, Entry>([
    ["/sys/bus/pci/drivers_probe", { write: (text) => named(text)?.probe() ?? ENODEV }],
  ]);
  for (const driver of new Set([VFIO_PCI, ...slots.flatMap(({ own }) => own ?? [])])) {
    const at = `/sys/bus/pci/drivers/${driver}`;
    entries.set(`${at}/bind`, { write: (text) => named(text)?.bind(driver) ?? ENODEV });
    entries.set(`${at}/unbind`, { write: (text) => named(text)?.unbind(driver) ?? ENODEV });
    for (const slot of slots) {
      const link = () => `../../../../${homeOf(slot.address).slice("/sys/".length)}`;
      entries.set(`${at}/${slot.address}`, { link, isThere: () => slot.isThere && slot.driver === driver });
    }
  }
  for (const slot of slots) {
    const home = homeOf(slot.address);
    const isThere = () => slot.isThere;
    const link = () => `../../../${home.slice("/sys/".length)}`;
    entries.set(`/sys/bus/pci/devices/${slot.address}`, { link, isThere });
    const own = deviceFiles(slot);
    const left = [...(saysResetMethods ? [] : ["reset_method"]), ...(saysPowerState ? [] : ["power_state"])];
    for (const [name, entry] of Object.entries(own)) {
      if (left.includes(name)) continue;
      entries.set(`${home}/${name}`, { ...entry, isThere: () => slot.isThere && entry.isThere?.() !== false });
    }
  }
  return entries;
}

/** Where a device stands. Bridges are not shown: each bus begins a tree of its own. */
export function homeOf(address: string): string {
  return `/sys/devices/pci${address.slice(0, "0000:00".length)}/${address}`;
}

function deviceFiles(slot: PciSlot): Record<string, Entry> {
  const { device } = slot;
  const { facts } = device.hardware;
  const hex = (value: number, digits: number) => ({ text: () => `0x${value.toString(16).padStart(digits, "0")}\n` });
  const methods = () => device.resetMethods;
  return {
    vendor: hex(facts.vendor, 4),
    device: hex(facts.device, 4),
    subsystem_vendor: hex(facts.subsystemVendor, 4),
    subsystem_device: hex(facts.subsystemDevice, 4),
    class: hex(facts.class, 6),
    revision: hex(facts.revision, 2),
    resource: { text: () => resourceOf(slot) },
    numa_node: { text: () => "0\n" },
    power_state: { text: () => `${POWER[device.hardware.powerState] ?? "unknown"}\n` },
    reset_method: { text: () => `${methods().join(" ")}\n`, isThere: () => methods().length > 0 },
    driver_override: {
      text: () => `${slot.override || "(null)"}\n`,
      write(text) {
        slot.override = line(text);
        return 0;
      },
    },
    driver: { link: () => `../../../bus/pci/drivers/${slot.driver}`, isThere: () => slot.driver !== undefined },
    iommu_group: {
      link: () => `../../../kernel/iommu_groups/${device.group.number}`,
      // VFIO makes one up where there is no IOMMU, and only then.
      isThere: () => !device.group.noIommu || device.isBound,
    },
  };
}

const POWER = ["D0", "D1", "D2", "D3hot"] as const;

/** What is written by `echo` ends with a line's end. (`lib/string_helpers.c: sysfs_streq`) */
function line(text: string): string {
  return text.replace(/\n$/, "");
}

/** `include/linux/ioport.h`, and below it the bits of the BAR itself. */
const Flag = { IO: 0x4_0101, MEMORY: 0x4_0200, PREFETCH: 0x2008, WIDE: 0x10_0004, ROM: 0x4_6200 } as const;

/** Six BARs and the ROM; a line each. (`resource_show`) */
function resourceOf({ device: { hardware } }: PciSlot): string {
  const sixteen = (value: number) => `0x${value.toString(16).padStart(16, "0")}`;
  const { rom } = hardware.facts;
  const lines = [0, 1, 2, 3, 4, 5, ROM].map((index) => {
    if (index === ROM && rom !== undefined) return regionOf(hardware.bases.get(ROM) ?? 0, rom.bytes, Flag.ROM);
    const bar = hardware.facts.bars.find((one) => one.index === index);
    const start = hardware.bases.get(index);
    if (bar === undefined || start === undefined) return [0, 0, 0];
    const memory = Flag.MEMORY | (bar.prefetchable ? Flag.PREFETCH : 0) | (bar.is64Bit ? Flag.WIDE : 0);
    return regionOf(start, bar.bytes, bar.ports ? Flag.IO : memory);
  });
  return lines.map((numbers) => `${numbers.map(sixteen).join(" ")}\n`).join("");
}

function regionOf(start: number, bytes: number, flags: number): readonly number[] {
  return [start, start + bytes - 1, flags];
}
