/** Where the devices of a model are: group and address of each, also of those that nobody brought. */
import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { checkDevice } from "./facts.ts";
import type { ModelPciDevice } from "./plug.ts";
import { unnamedDevice } from "./unnamed.ts";

export interface PlacedDevice {
  readonly device: ModelPciDevice;
  readonly group: number;
  readonly address: string;
  /** Somebody brought it. */
  readonly isPlugged: boolean;
}

export interface PlacedGroup {
  readonly number: number;
  readonly noIommu: boolean;
}

/** Groups of devices that name none are counted from here. */
const FIRST_GROUP = 26;

const ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function checkDevices(devices: readonly ModelPciDevice[]): void {
  if (!Array.isArray(devices)) throw argumentTypeError("devices", "an array of devices, such as [edu()]", devices);
  for (const [place, device] of devices.entries()) {
    const name = `devices[${place}]`;
    checkDevice(name, device);
    const { group, address } = device;
    if (group !== undefined && (!Number.isInteger(group) || group < 0)) {
      throw argumentRangeError(`${name}.group`, "an integer of 0 or more", group);
    }
    if (address === undefined) continue;
    if (typeof address !== "string") throw argumentTypeError(`${name}.address`, 'a string as "0000:01:00.0"', address);
    if (!ADDRESS.test(address)) throw argumentRangeError(`${name}.address`, 'as "0000:01:00.0"', address);
    const before = devices.slice(0, place).findIndex((other) => other.address === address);
    if (before !== -1) throw argumentRangeError(`${name}.address`, `another one than devices[${before}] has`, address);
  }
}

/** The number of each device's group: its own, or the lowest that is free. */
export function groupsOf(devices: readonly ModelPciDevice[], taken: readonly number[]): readonly number[] {
  const used = new Set([...taken, ...devices.flatMap(({ group }) => (group === undefined ? [] : [group]))]);
  return devices.map(({ group }) => {
    if (group !== undefined) return group;
    let free = FIRST_GROUP;
    while (used.has(free)) free++;
    used.add(free);
    return free;
  });
}

/**
 * All devices: those that were brought, and one in each group that has none of them.
 *
 *     0000:00:1a.0   on the root bus, by the number of its group: 26
 *     0000:01:00.0   PowerNV: plugged devices each on a bus of their own, behind a bridge
 */
export function placed(
  devices: readonly ModelPciDevice[],
  numbers: readonly number[],
  groups: readonly PlacedGroup[],
  onOwnBus: boolean,
): readonly PlacedDevice[] {
  const unnamed = groups
    .filter(({ number }) => !numbers.includes(number))
    .map(({ number }) => ({
      device: unnamedDevice(),
      group: number,
      address: addressOf(0, number % 32),
      isPlugged: false,
    }));
  const used = new Set(unnamed.map(({ address }) => address));
  for (const { address } of devices) if (address !== undefined) used.add(address);
  const plugged = devices.map((device, place) => {
    const group = numbers[place] as number;
    const address = device.address ?? freeAddress(used, group, onOwnBus);
    used.add(address);
    return { device, group, address, isPlugged: true };
  });
  return [...plugged, ...unnamed];
}

function freeAddress(used: ReadonlySet<string>, group: number, onOwnBus: boolean): string {
  const buses = new Set([...used].map((address) => address.slice(0, 7)));
  for (let tried = 0; tried < 255; tried++) {
    const address = onOwnBus ? addressOf(tried + 1, 0) : addressOf(Math.floor(tried / 32), (group + tried) % 32);
    if (onOwnBus ? !buses.has(address.slice(0, 7)) : !used.has(address)) return address;
  }
  throw argumentRangeError("devices", "at most 255 that name no address", `${used.size} devices`);
}

function addressOf(bus: number, slot: number): string {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  return `0000:${hex(bus)}:${hex(slot)}.0`;
}
