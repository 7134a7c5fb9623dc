/** A device goes back to the driver that it had. */
import { DmaWindowError, withResidue } from "../errors.ts";
import { heldBy, isHeld } from "../open-devices.ts";
import type { MachineFiles } from "../syscalls.ts";
import { isVfioDriver } from "../system/groups.ts";
import { driverOf, groupOf, Look } from "./look.ts";
import { openerWords } from "./openers.ts";
import type { Before } from "./record.ts";
import type { DriverSwitch } from "./sysfs.ts";

/**
 * Clears what bound it to VFIO, unbinds it, and lets the kernel choose a driver; where that is another one than it had, or none, the
 * former one is asked for by name. A device that is with another driver of the kernel's by now is left with it, unless it came there
 * by what is undone (`isUndo`).
 *
 * @throws `ERR_KERNEL`, `ERR_BIND_TIMEOUT` with what is left behind.
 */
export function giveBack(device: DriverSwitch, before: Before, isUndo = false): void {
  if (!device.isThere) return;
  device.setOverride(before.override);
  const { driver } = device;
  if (driver !== undefined && driver !== before.driver && (isUndo || isVfioDriver(driver))) device.unbind();
  if (before.driver === undefined || device.driver !== undefined) return;
  try {
    device.probe(before.driver);
  } catch {
    askByName(device, before.driver, before.override);
  }
}

function askByName(device: DriverSwitch, driver: string, override: string): void {
  try {
    device.unbind();
    device.setOverride(driver);
    device.probe(driver);
  } catch (error) {
    const now = device.driver;
    throw withResidue(error, [
      `${device.address} ${now === undefined ? "has no driver" : `is with ${now}`}, and was with ${driver}`,
    ]);
  } finally {
    device.setOverride(override);
  }
}

/**
 * The kernel's unbind waits until nobody has the device open, and no driver of the kernel's takes a device while a program has its
 * group (`drivers/vfio/vfio_main.c: vfio_unregister_group_dev`, `drivers/iommu/iommu.c: iommu_device_use_default_domain`).
 *
 * @throws `ERR_BUSY`
 */
export function checkNotOpen(files: MachineFiles, owner: unknown, address: string): void {
  const busy = (who: string, next: string) =>
    new DmaWindowError("ERR_BUSY", `${address} cannot be given back: ${who}. ${next}`, { facts: { address } });
  if (isHeld(owner, address)) {
    throw busy(
      "this process has it open, and the kernel would wait for that to end",
      "Close the device, or its container, first",
    );
  }
  const look = new Look(files);
  const group = look.group(groupOf(look, address));
  if (!isVfioDriver(driverOf(look, address)) || !group?.node) return;
  const openers = look.openers.of(group.node);
  const other = openers.find(({ isThisOne }) => !isThisOne);
  if (other !== undefined) throw busy(`${openerWords(other)} has its group open (${group.node})`, "End it first");
  if (openers.length === 0) return;
  if (look.openers.devicesOfThisProcess > heldBy(owner)) {
    throw busy("a thread of this process may have it open", "Close the device there first");
  }
  const sharing = group.devices.filter(({ name, driver }) => name !== address && isVfioDriver(driver));
  if (sharing.length === 0) return;
  throw busy(
    `this process has its group ${group.id} open, in which ${sharing.map(({ name }) => name).join(", ")} is with VFIO too, so its driver ` +
      "could not take it",
    "Close the container first",
  );
}
