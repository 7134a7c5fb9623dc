/** What a device says of itself, checked and complete. */

import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { keysOf, known } from "../../known.ts";
import { isPowerOfTwo } from "../../power-of-two.ts";
import { isBytes } from "../../typed-arrays.ts";
import { boolean, object } from "../../validate.ts";
import type { ModelPciDevice, PluggedBar, PluggedFacts } from "./plug.ts";

/** A region, with its defaults. */
export interface BarFacts {
  readonly index: number;
  /** A power of two, below 2^40: exact. */
  readonly bytes: number;
  readonly is64Bit: boolean;
  readonly prefetchable: boolean;
  readonly ports: boolean;
  /** mmap leads to it. */
  readonly isMappable: boolean;
  readonly memory: Uint8Array | undefined;
}

/** The index of the ROM beside those of the BARs, for a device's addresses, in sysfs and for VFIO. */
export const ROM = 6;

/** The expansion ROM. */
export interface RomFacts {
  /** Of its region: a power of two. */
  readonly bytes: number;
  /** What is there, as it was brought; behind it nothing answers. */
  readonly images: Uint8Array;
}

/** Where the table of MSI-X and its pending bits lie. */
export interface MsixFacts {
  readonly vectors: number;
  readonly bar: number;
  readonly table: number;
  readonly pending: number;
}

export interface DeviceFacts {
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
  readonly revision: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly bars: readonly BarFacts[];
  readonly msix: MsixFacts | undefined;
  /** 0 without MSI. */
  readonly msi: number;
  readonly intx: boolean;
  readonly rom: RomFacts | undefined;
  readonly flr: boolean;
  readonly pmReset: boolean;
  readonly express: boolean;
  readonly bigEndian: boolean | "on POWER";
}

/** One entry of MSI-X's table. (PCI 3.0, 6.8.2) */
export const MSIX_ENTRY_BYTES = 16;

/** Bytes of the pending bits: whole words of 64. */
export function pendingBytes(vectors: number): number {
  return Math.ceil(vectors / 64) * 8;
}

const DEVICE_KEYS = keysOf<ModelPciDevice>({ facts: true, group: true, address: true, driver: true, plug: true });
const FACT_KEYS = keysOf<PluggedFacts>({
  vendor: true,
  device: true,
  class: true,
  bars: true,
  revision: true,
  subsystemVendor: true,
  subsystemDevice: true,
  msix: true,
  msi: true,
  intx: true,
  rom: true,
  flr: true,
  pmReset: true,
  express: true,
  bigEndian: true,
});
const BAR_KEYS = keysOf<PluggedBar>({
  index: true,
  bytes: true,
  bits: true,
  prefetchable: true,
  ports: true,
  mappable: true,
  memory: true,
});
const MSIX_KEYS = keysOf<NonNullable<PluggedFacts["msix"]>>({ vectors: true, bar: true, table: true, pending: true });

/** The largest region: a region of VFIO's file has 40 bits. */
const LARGEST_BAR = 2 ** 39;
const LARGEST_MSI = 32;
const LARGEST_MSIX = 2048;

/** A device that somebody brought. `name` is what messages call it. Its class may be anybody's, so `plug` may be inherited. */
export function checkDevice(name: string, device: ModelPciDevice): void {
  const { facts, plug } = object(name, device) as ModelPciDevice;
  if (Object.getPrototypeOf(device) === Object.prototype) known(name, device, DEVICE_KEYS);
  checkDriver(`${name}.driver`, device.driver);
  if (typeof plug !== "function") throw argumentTypeError(`${name}.plug`, "a function", plug);
  factsFrom(`${name}.facts`, facts);
}

function checkDriver(name: string, driver: string | undefined): void {
  const wanted = "the name of a driver other than vfio-pci";
  if (driver === undefined) return;
  if (typeof driver !== "string") throw argumentTypeError(name, wanted, driver);
  if (!/^[\w.-]{1,64}$/.test(driver) || driver === "vfio-pci") throw argumentRangeError(name, wanted, driver);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function factsFrom(name: string, given: PluggedFacts): DeviceFacts {
  known(name, object(name, given), FACT_KEYS);
  const { revision = 0, subsystemVendor = 0, subsystemDevice = 0, msi = 0 } = given;
  const { intx = false, flr = true, pmReset = false, express = true, bigEndian = false } = given;
  const number = (key: keyof PluggedFacts, value: unknown, last: number) => {
    whole(`${name}.${key}`, value, last);
    return value as number;
  };
  const bars = barsFrom(`${name}.bars`, given.bars);
  if (number("msi", msi, LARGEST_MSI) !== 0 && !isPowerOfTwo(msi)) {
    throw argumentRangeError(`${name}.msi`, `a power of two up to ${LARGEST_MSI}`, msi);
  }
  if (bigEndian !== "on POWER") boolean(`${name}.bigEndian`, bigEndian);
  if (boolean(`${name}.flr`, flr) && !boolean(`${name}.express`, express) && given.flr === true) {
    throw argumentRangeError(`${name}.flr`, "false or left out without PCI Express, whose capability says it", flr);
  }
  if (boolean(`${name}.pmReset`, pmReset) && !express) {
    throw argumentRangeError(
      `${name}.pmReset`,
      "false or left out without PCI Express: there is no power management",
      pmReset,
    );
  }
  return {
    vendor: number("vendor", given.vendor, 0xfffe),
    device: number("device", given.device, 0xffff),
    class: number("class", given.class, 0xff_ffff),
    revision: number("revision", revision, 0xff),
    subsystemVendor: number("subsystemVendor", subsystemVendor, 0xffff),
    subsystemDevice: number("subsystemDevice", subsystemDevice, 0xffff),
    bars,
    msix: given.msix === undefined ? undefined : msixFrom(`${name}.msix`, given.msix, bars),
    msi,
    intx: boolean(`${name}.intx`, intx),
    rom: given.rom === undefined ? undefined : romFrom(`${name}.rom`, given.rom),
    flr: flr && express,
    pmReset,
    express,
    bigEndian,
  };
}

function barsFrom(name: string, bars: readonly PluggedBar[]): readonly BarFacts[] {
  if (!Array.isArray(bars)) throw argumentTypeError(name, "an array of BARs, which may be empty", bars);
  const found = bars.map((bar, place) => barFrom(`${name}[${place}]`, bar));
  const taken = new Set<number>();
  for (const [place, { index, is64Bit }] of found.entries()) {
    for (const slot of is64Bit ? [index, index + 1] : [index]) {
      if (taken.has(slot)) throw argumentRangeError(`${name}[${place}].index`, "one that no other BAR takes", index);
      taken.add(slot);
    }
  }
  return found.sort((a, b) => a.index - b.index);
}

function barFrom(name: string, bar: PluggedBar): BarFacts {
  known(name, object(name, bar), BAR_KEYS);
  const { index, bytes, ports = false, prefetchable = false, mappable = true, memory } = bar;
  boolean(`${name}.ports`, ports);
  // The last BAR has no other behind it, and ports have no 64 bits.
  const { bits = ports || index === 5 ? 32 : 64 } = bar;
  if (bits !== 32 && bits !== 64) throw argumentRangeError(`${name}.bits`, "32 or 64", bits);
  if (ports && bits === 64) throw argumentRangeError(`${name}.bits`, "32 for ports", bits);
  whole(`${name}.index`, index, bits === 64 ? 4 : 5);
  const least = ports ? 4 : 16;
  const most = ports ? 256 : bits === 64 ? LARGEST_BAR : 2 ** 31;
  if (typeof bytes !== "number") throw argumentTypeError(`${name}.bytes`, "a number", bytes);
  if (!isPowerOfTwo(bytes) || bytes < least || bytes > most) {
    throw argumentRangeError(`${name}.bytes`, `a power of two from ${least} to ${most}`, bytes);
  }
  if (memory !== undefined && !isBytes(memory)) throw argumentTypeError(`${name}.memory`, "a Uint8Array", memory);
  if (memory !== undefined && (memory.byteLength !== bytes || ports)) {
    throw argumentRangeError(`${name}.memory`, `${bytes} bytes, and of no ports`, `${memory.byteLength} bytes`);
  }
  return {
    index,
    bytes,
    is64Bit: bits === 64,
    prefetchable: boolean(`${name}.prefetchable`, prefetchable),
    ports,
    isMappable: boolean(`${name}.mappable`, mappable) && !ports,
    memory,
  };
}

/** Its register holds an address above the bits of 2 KiB. (PCI 3.0, 6.2.5.2) */
const SMALLEST_ROM = 2048;
const LARGEST_ROM = 2 ** 24;

function romFrom(name: string, images: Uint8Array): RomFacts {
  if (!isBytes(images)) throw argumentTypeError(name, "a Uint8Array", images);
  const { byteLength } = images;
  if (byteLength === 0 || byteLength > LARGEST_ROM) {
    throw argumentRangeError(name, `from 1 to ${LARGEST_ROM} bytes`, `${byteLength} bytes`);
  }
  return { bytes: Math.max(SMALLEST_ROM, 2 ** Math.ceil(Math.log2(byteLength))), images };
}

/**
 * The table and the pending bits; where nothing is said of them, at the end of the BAR:
 *
 *     |  registers ...          |  table: 16 bytes each  |  pending  |
 */
function msixFrom(name: string, msix: NonNullable<PluggedFacts["msix"]>, bars: readonly BarFacts[]): MsixFacts {
  known(name, object(name, msix), MSIX_KEYS);
  const { vectors } = msix;
  whole(`${name}.vectors`, vectors, LARGEST_MSIX);
  if (vectors === 0) throw argumentRangeError(`${name}.vectors`, `from 1 to ${LARGEST_MSIX}`, vectors);
  const first = bars.find(({ ports }) => !ports)?.index;
  const { bar = first } = msix;
  const home = bars.find(({ index, ports }) => index === bar && !ports);
  if (home === undefined) throw argumentRangeError(`${name}.bar`, "the index of a BAR that is no ports", bar);
  const [tableBytes, bitBytes] = [vectors * MSIX_ENTRY_BYTES, pendingBytes(vectors)];
  const { pending = home.bytes - bitBytes } = msix;
  const { table = pending - Math.ceil(tableBytes / 16) * 16 - (pending % 16) } = msix;
  const places = [
    ["table", table, tableBytes],
    ["pending", pending, bitBytes],
  ] as const;
  for (const [key, at, bytes] of places) {
    if (Number.isInteger(at) && at >= 0 && at % 8 === 0 && at + bytes <= home.bytes) continue;
    throw argumentRangeError(`${name}.${key}`, `a multiple of 8 with ${bytes} bytes behind it in BAR ${bar}`, at);
  }
  if (table < pending + bitBytes && pending < table + tableBytes) {
    throw argumentRangeError(`${name}.pending`, "not within the table", pending);
  }
  return { vectors, bar: home.index, table, pending };
}

function whole(name: string, value: unknown, last: number): void {
  if (typeof value !== "number") throw argumentTypeError(name, "a number", value);
  if (!Number.isInteger(value) || value < 0 || value > last) {
    throw argumentRangeError(name, `an integer from 0 to ${last}`, value);
  }
}
