import type { PciFunction } from "./pci-function.ts";
import type { VfioDevice } from "./vfio-device.ts";

/** The flags of a resource: I/O, memory, prefetchable, 64 bits; and the size that its alignment is. (`include/linux/ioport.h`) */
const Resource = { PORTS: 0x4_0101, MEMORY: 0x4_0200, PREFETCH: 0x2000, IS_64: 0x10_0000 };

/** BARs, the ROM, and behind them what bridges and physical functions have. */
const RESOURCES = 13;

/**
 * What sysfs says of a device, as texts by name, from its directory on.
 *
 *     vendor device class subsystem_vendor subsystem_device revision   0x1b36, a number each
 *     resource          start, last and flags of each BAR, a line each
 *     reset_method      flr bus: how it can be reset; not there where it cannot
 *     power_state       D0
 *
 * (`drivers/pci/pci-sysfs.c`)
 */
export function deviceFiles(device: VfioDevice): [name: string, text: () => string | undefined][] {
  const { hardware } = device;
  const { facts } = hardware;
  const number = (value: number, digits: number) => () => `0x${value.toString(16).padStart(digits, "0")}\n`;
  return [
    ["vendor", number(facts.vendor, 4)],
    ["device", number(facts.device, 4)],
    ["subsystem_vendor", number(facts.subsystemVendor, 4)],
    ["subsystem_device", number(facts.subsystemDevice, 4)],
    ["class", number(facts.class, 6)],
    ["revision", number(facts.revision, 2)],
    ["resource", () => resourcesOf(hardware)],
    ["reset_method", () => (device.canReset ? `${device.resetMethods.join(" ")}\n` : undefined)],
    ["power_state", () => (hardware.powerState === 0 ? "D0\n" : "D3hot\n")],
    ["numa_node", () => "0\n"],
  ];
}

function resourcesOf({ facts, bases, machine }: PciFunction): string {
  const sixteen = (value: number) => `0x${value.toString(16).padStart(16, "0")}`;
  return Array.from({ length: RESOURCES }, (_, index) => {
    const bar = facts.bars.find((one) => one.index === index);
    const start = bases.get(index);
    if (bar === undefined || start === undefined) return [0, 0, 0];
    const wide = bar.is64Bit && machine.says64Bit ? Resource.IS_64 : 0;
    const memory = Resource.MEMORY | wide | (bar.prefetchable ? Resource.PREFETCH : 0);
    return [start, start + bar.bytes - 1, bar.ports ? Resource.PORTS : memory];
  })
    .map((numbers) => `${numbers.map(sixteen).join(" ")}\n`)
    .join("");
}
