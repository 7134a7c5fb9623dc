/** What an address may be, and how large the neighbourhoods are that a trace knows addresses by. */

/**
 * No process has memory from here on: 48 bits are the most that Linux hands out unless a program asks for more by a hint
 * (arm64; 47 bits on x86 and POWER). What lies above is a number that was wrong, perhaps on purpose.
 */
export const ADDRESSES_END = 1n << 48n;

/** Below it Linux lets nobody map anything (`vm.mmap_min_addr`): 0 and small numbers are no addresses either. */
export const ADDRESSES_START = 1n << 16n;

/**
 * The largest page of an IOMMU or a CPU that Linux knows (16 GiB, POWER). Memory keeps its place modulo this in a replay,
 * and its distance from other memory up to this: what the kernel answers depends on both.
 */
export const ALIGNMENT = 1n << 34n;

/** Memory that the program got in another way is named by the 64 GiB that it lies in. */
export const NEIGHBOURHOOD_SHIFT = 36n;
export const NEIGHBOURHOOD = 1n << NEIGHBOURHOOD_SHIFT;

export function mayBeMemory(address: bigint): boolean {
  return address >= ADDRESSES_START && address < ADDRESSES_END;
}

/** `m1`, `m1+0x1000`, `x2+0xfff0000`, `m3-0x1000` (only in `at`). */
export interface Place {
  /** `m1`, `x2`. */
  readonly name: string;
  readonly offset: bigint;
}

const place = /^([mx][1-9]\d{0,14})(?:([+-])0x([1-9a-f][0-9a-f]{0,15}))?$/;

export function parsePlace(text: string): Place | undefined {
  const [, name, sign, digits] = place.exec(text) ?? [];
  if (name === undefined) return undefined;
  const size = digits === undefined ? 0n : BigInt(`0x${digits}`);
  return { name, offset: sign === "-" ? -size : size };
}

export function placeText(name: string, offset: bigint): string {
  if (offset === 0n) return name;
  return offset < 0n ? `${name}-0x${(-offset).toString(16)}` : `${name}+0x${offset.toString(16)}`;
}
