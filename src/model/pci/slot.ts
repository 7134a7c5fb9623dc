import type { VfioDevice } from "../devices/vfio-device.ts";
import { EBUSY, ENODEV } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";

/** VFIO's driver. */
export const VFIO_PCI = "vfio-pci";

/**
 * Which driver has a device: vfio-pci, the kernel's own for it, or none.
 *
 * Rules: `drivers/base/dd.c: device_driver_attach, device_attach`, `drivers/pci/pci-driver.c: pci_match_device`,
 * `drivers/vfio/pci/vfio_pci.c`.
 */
export class PciSlot {
  readonly device: VfioDevice;
  /** The kernel's own driver for such a device; where there is none nobody takes it but by its override. */
  readonly own: string | undefined;
  /** The one driver that may have it; "" for any that knows it. */
  override: string;
  #hasOwn = false;

  /** `boot`: the driver that has it when the machine has booted, VFIO's or its own. */
  constructor(device: VfioDevice, own: string | undefined, boot: string) {
    this.device = device;
    this.own = own;
    this.override = boot === VFIO_PCI ? VFIO_PCI : "";
    this.probe();
  }

  get address(): string {
    return this.device.address;
  }

  get isThere(): boolean {
    return this.device.hardware.isPresent;
  }

  get driver(): string | undefined {
    if (this.device.isBound) return VFIO_PCI;
    return this.#hasOwn ? this.own : undefined;
  }

  /** Whether a driver would take it. vfio-pci knows no device by itself. */
  matches(driver: string): boolean {
    return this.override === "" ? driver === this.own : driver === this.override;
  }

  /** All drivers are asked. One that does not want it is no failure. (`drivers_probe_store`) */
  probe(): number {
    const wanted = this.override === "" ? this.own : this.override;
    if (this.driver === undefined && wanted !== undefined) this.#take(wanted);
    return 0;
  }

  /** One driver is. (`bind_store`) */
  bind(driver: string): number {
    if (!this.matches(driver)) return ENODEV;
    if (this.driver !== undefined) return EBUSY;
    this.#take(driver);
    return this.driver === driver ? 0 : ENODEV;
  }

  /** The driver lets go of it. (`unbind_store`) */
  unbind(driver: string): number {
    if (this.driver !== driver) return ENODEV;
    if (driver !== VFIO_PCI) {
      this.#hasOwn = false;
      this.device.group.kernelDrivers.delete(this.address);
      return 0;
    }
    if (this.device.isOpen) {
      throw new ModelUnknown(
        `the kernel waits here until ${this.address} is closed, and a model cannot: plugged("${this.address}").unbind() waits`,
      );
    }
    this.device.unbind(() => undefined);
    return 0;
  }

  /**
   * A driver of the kernel's takes no device while a program has its group.
   * (`drivers/iommu/iommu.c: iommu_device_use_default_domain`)
   */
  #take(driver: string): void {
    const { group } = this.device;
    if (driver === VFIO_PCI) this.device.bind();
    else if (driver === this.own && !group.isOwned) {
      this.#hasOwn = true;
      group.kernelDrivers.add(this.address);
    }
  }

  /** What decides its answers. */
  get state(): unknown {
    return { address: this.address, driver: this.driver ?? null, override: this.override };
  }
}

/** Of the devices that the model's users bring most: what Linux drives them with, by their class. */
const OWN: Readonly<Record<number, string>> = { 67586: "nvme" };

export function ownDriver(code: number): string | undefined {
  return OWN[code];
}
