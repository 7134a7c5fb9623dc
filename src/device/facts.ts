/** What the kernel says of a device that was opened. */

import { DmaWindowError } from "../errors.ts";
import { inBytes, readable } from "../inspect.ts";
import { VfioCall } from "../syscalls.ts";
import type { DeviceFile } from "./file.ts";
import type { DeviceIrqs } from "./interrupts.ts";
import { CONFIG_REGION, type DeviceRegion, readRegions } from "./regions.ts";
import { deviceInfo, Irq, type IrqFacts, irqInfo, NO_IRQS, readDeviceInfo, readIrqInfo } from "./structs.ts";

export interface DeviceInfo {
  /** It can be reset alone. */
  readonly canReset: boolean;
  /** By number: BARs 0 to 5, the ROM, the configuration space, and what its driver adds. */
  readonly regions: readonly DeviceRegion[];
  /** How many interrupts it has of each kind. */
  readonly irqs: DeviceIrqs;
}

/** More than PCI has of each kind is not asked for, whatever is said. (PCI 3.0, 6.8.1.3 and 6.8.2.3) */
const VECTORS_MAX: Readonly<Record<Irq, number>> = {
  [Irq.INTX]: 1,
  [Irq.MSI]: 32,
  [Irq.MSIX]: 2048,
  [Irq.ERR]: 1,
  [Irq.REQ]: 1,
};

/** @throws `ERR_NOT_PCI`, `ERR_MALFORMED_INFO`, `ERR_KERNEL`, `ERR_INTERFACE`. */
export function readFacts(file: DeviceFile): DeviceInfo {
  const asked = deviceInfo();
  file.ask(VfioCall.DEVICE_GET_INFO, asked);
  const { canReset, isPci, regions: count, irqs } = readDeviceInfo(asked);
  const { address, group } = file.where;
  if (!isPci) {
    const words = `device ${address} is no PCI device: this library drives no others`;
    throw new DmaWindowError("ERR_NOT_PCI", words, { facts: { address, group } });
  }
  const regions = readRegions(file, count);
  const config = regions[CONFIG_REGION];
  if (config === undefined || config.bytes < 64n || config.bytes > 4096n) {
    const words = `device ${address} shows a configuration space of ${config?.bytes ?? 0n} bytes; one has 64 to 4096`;
    throw new DmaWindowError("ERR_MALFORMED_INFO", words, { facts: { address, group } });
  }
  const irq = (index: Irq): IrqFacts => {
    const facts = index < irqs ? readIrq(file, index) : NO_IRQS;
    return { ...facts, count: Math.min(facts.count, VECTORS_MAX[index]) };
  };
  const info: DeviceInfo = {
    canReset,
    regions,
    irqs: {
      intx: irq(Irq.INTX),
      msi: irq(Irq.MSI),
      msix: irq(Irq.MSIX),
      error: irq(Irq.ERR),
      request: irq(Irq.REQ),
    },
  };
  return readable(info, "DeviceInfo", tellInfo);
}

/** The regions that it has, by name, and how many interrupts of each kind. */
export function tellInfo({ canReset, regions, irqs }: DeviceInfo): object {
  const present = regions.filter(({ bytes }) => bytes > 0n).map(({ name, bytes }) => [name, inBytes(bytes)]);
  const counts = Object.entries(irqs).map(([name, { count }]) => [name, count]);
  return { canReset, regions: Object.fromEntries(present), irqs: Object.fromEntries(counts) };
}

/** A device that is not PCI Express has no ERR: EINVAL (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_irq_info). */
function readIrq(file: DeviceFile, index: Irq): IrqFacts {
  const info = irqInfo(index);
  const answer = file.call(VfioCall.DEVICE_GET_IRQ_INFO, info);
  if (answer === 0) return readIrqInfo(info);
  if (index === Irq.ERR) return NO_IRQS;
  throw file.refused("VFIO_DEVICE_GET_IRQ_INFO", answer, { irq: index });
}
