/** The PCI devices of a machine, from its sysfs alone: nothing is opened, and nothing changes. */

import { DmaWindowError, errnoName } from "../errors.ts";
import { readableDeep } from "../inspect.ts";
import { isVfioDriver } from "../system/groups.ts";
import { numaNodeOf } from "../system/nodes.ts";
import { type ReservedRegion, readReservedRegions } from "../system/reserved-regions.ts";
import { isPciAddress, lookAlikes, pciAddress } from "./address.ts";
import { barsIn, type PciBar } from "./bars.ts";
import { className, isBridge } from "./classes.ts";
import { inUse } from "./in-use.ts";
import { DEVICES, driverOf, filesFrom, groupOf, Look, type PciOptions } from "./look.ts";
import { problemsOf } from "./problems.ts";

/** A PCI device, as the machine's files describe it at that moment. */
export interface PciDevice {
  /** `0000:01:00.0`: domain, bus, slot and function. */
  readonly address: string;
  /** Who made it, as PCI-SIG numbers them: 0x8086 is Intel. */
  readonly vendor: number;
  /** What it is, by its vendor's numbers. */
  readonly device: number;
  /** `undefined`, as of the next two: the machine does not say. */
  readonly subsystemVendor: number | undefined;
  readonly subsystemDevice: number | undefined;
  readonly revision: number | undefined;
  /** Class, subclass and programming interface: 0x010802 is an NVMe controller. */
  readonly class: number;
  /** The class in words: `NVMe controller`. */
  readonly className: string;
  /** Its regions, by index; what is not there is left out. */
  readonly bars: readonly PciBar[];
  /** Its IOMMU group: what `openContainer` takes. `undefined` without an IOMMU, until VFIO makes one up. */
  readonly group: number | undefined;
  /** Its group is one that VFIO made up: no IOMMU stands between the device and memory. */
  readonly noIommu: boolean;
  /** The driver that it is bound to. */
  readonly driver: string | undefined;
  /** The addresses of the others in its group, sorted, bridges too. They go to VFIO together, or not at all. */
  readonly neighbours: readonly string[];
  /** Of a virtual function: the device that it belongs to. */
  readonly physicalFunction: string | undefined;
  /** How it can be reset, what is tried first first: `flr`, `bus`. `undefined`: not known, as before Linux 5.15. */
  readonly resetMethods: readonly string[] | undefined;
  /** The NUMA node that it is near to; `undefined` where there is one only, or none is named. */
  readonly numaNode: number | undefined;
  /** `D0` to `D3cold`; `undefined` where it is not known, as before Linux 5.11. */
  readonly powerState: string | undefined;
  /** IOVAs that its group keeps to itself. */
  readonly reservedRegions: readonly ReservedRegion[];
  /** Why VFIO would refuse it now, a sentence each, with what to do. */
  readonly problems: readonly string[];
  /** What would be lost if it went to VFIO now, a sentence each: mounted disks, swap, RAID, LVM, the default route, the console. */
  readonly inUse: readonly string[];
}

/**
 * All PCI devices of this machine, or of a kernel's, by address; none where it has no PCI. A device that goes away meanwhile is
 * left out. Who has a disk open, root alone sees of all processes. Needs no rights, and no VFIO.
 *
 * Cost: some hundred reads of small files for each device; milliseconds, and more where many disks are.
 *
 * @throws `ERR_PCI_UNREADABLE`, `ERR_GROUPS_UNREADABLE` with the errno, where something is there and cannot be read;
 * `ERR_RESERVED_REGIONS_MALFORMED`. TypeError `ERR_INVALID_ARG_TYPE` for options that are none.
 */
export function pciDevices(options: PciOptions = {}): PciDevice[] {
  const look = new Look(filesFrom(options));
  return addressesOf(look)
    .map((address) => readDevice(look, address))
    .filter((device) => device !== undefined);
}

/**
 * One PCI device, by its address in full: `0000:01:00.0`, in capitals too. As {@link pciDevices}.
 *
 * @throws `ERR_NO_DEVICE` (facts: address, alike) where the machine has none there: it names what looks like it. RangeError
 * `ERR_OUT_OF_RANGE` for what is no address.
 */
export function pciDevice(address: string, options: PciOptions = {}): PciDevice {
  const wanted = pciAddress("address", address);
  return deviceAt(new Look(filesFrom(options)), wanted);
}

/** @throws `ERR_NO_DEVICE` */
export function deviceAt(look: Look, address: string): PciDevice {
  const found = readDevice(look, address);
  if (found !== undefined) return found;
  throw noDevice(address, addressesOf(look));
}

function addressesOf(look: Look): readonly string[] {
  const addresses = look.addresses();
  if (typeof addresses !== "number") return addresses;
  throw new DmaWindowError(
    "ERR_PCI_UNREADABLE",
    `cannot read ${DEVICES}: ${errnoName(addresses)}. See that sysfs is mounted`,
    {
      errno: addresses,
      syscall: "scandir",
      facts: { path: DEVICES },
    },
  );
}

function noDevice(address: string, there: readonly string[]): DmaWindowError {
  const alike = lookAlikes(address, there).slice(0, 4);
  const next =
    there.length === 0
      ? "this machine shows no PCI devices at all"
      : `the nearest ${alike.length === 1 ? "is" : "are"} ${alike.join(", ")}; dma-window devices lists all ${there.length}`;
  return new DmaWindowError("ERR_NO_DEVICE", `there is no PCI device ${address}: ${next}`, {
    facts: { address, alike },
  });
}

/** `undefined` where it is not there, or has gone meanwhile. */
function readDevice(look: Look, address: string): PciDevice | undefined {
  const path = look.at(address);
  const number = (name: string) => hexIn(look.text(`${path}/${name}`));
  const [vendor, device, code] = [number("vendor"), number("device"), number("class")];
  if (vendor === undefined || device === undefined || code === undefined) return undefined;
  const group = groupOf(look, address);
  const driver = driverOf(look, address);
  const found = look.group(group);
  const facts = {
    address,
    vendor,
    device,
    subsystemVendor: number("subsystem_vendor"),
    subsystemDevice: number("subsystem_device"),
    revision: number("revision"),
    class: code,
    className: className(code),
    bars: barsIn(look.text(`${path}/resource`)),
    group,
    noIommu: group !== undefined && isMadeUp(look, group, found?.node ?? null),
    driver,
    neighbours: (found?.devices ?? []).map(({ name }) => name).filter((name) => name !== address),
    physicalFunction: physicalFunctionOf(look, path),
    resetMethods: resetMethodsOf(look, path),
    numaNode: numaNodeOf(address, look.machine),
    powerState: look.text(`${path}/power_state`)?.trim() || undefined,
    reservedRegions: group === undefined ? [] : (readReservedRegions(look.machine, group) ?? []),
  };
  const node = isVfioDriver(driver) ? (found?.node ?? undefined) : undefined;
  return readableDeep({
    ...facts,
    problems: problemsOf(look, facts),
    inUse: isBridge(code) ? [] : inUse(look, address, node),
  });
}

/** `0x1b36`; at most 24 bits, so exact. */
function hexIn(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^0x[0-9a-f]{1,8}$/i.test(trimmed) ? Number(trimmed) : undefined;
}

/** `drivers/vfio/group.c: vfio_noiommu_group_alloc` names it so. */
function isMadeUp(look: Look, group: number, node: string | null): boolean {
  const name = look.text(`/sys/kernel/iommu_groups/${group}/name`)?.trim();
  return name === "vfio-noiommu" || (node?.includes("/noiommu-") ?? false);
}

function physicalFunctionOf(look: Look, path: string): string | undefined {
  const target = look.target(`${path}/physfn`);
  return target !== undefined && isPciAddress(target) ? target : undefined;
}

/**
 * The file has been there since Linux 5.15, for a device that can be reset in some way
 * (`drivers/pci/pci.c: pci_dev_reset_method_attr_is_visible`).
 */
function resetMethodsOf(look: Look, path: string): readonly string[] | undefined {
  const text = look.text(`${path}/reset_method`);
  if (text !== undefined)
    return text
      .trim()
      .split(/\s+/)
      .filter((one) => one !== "");
  const [major = 0, minor = 0] = look.release ?? [];
  return major > 5 || (major === 5 && minor >= 15) ? [] : undefined;
}
