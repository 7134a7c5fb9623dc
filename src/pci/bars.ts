/**
 * A device's regions, from the file `resource`: start, last and flags, a line each (`drivers/pci/pci-sysfs.c: resource_show`).
 * Lines 0 to 5 are the BARs, 6 is the ROM; behind them come those of virtual functions and bridges.
 *
 *     0x00000000febf0000 0x00000000febf3fff 0x0000000000140204
 */

/** A region of a device: registers, memory, ports, or its ROM. */
export interface PciBar {
  /** 0 to 5; 6 is the ROM. One of 64 bits takes the next number too. */
  readonly index: number;
  /** Bytes, a power of two. */
  readonly bytes: bigint;
  /** Memory is what `bar.read32` maps; ports go by system calls. */
  readonly kind: "memory" | "ports" | "rom";
  /** How wide its address is. */
  readonly bits: 32 | 64;
  /** Like memory: reading does nothing to the device, and `bar.bytes()` shows it. */
  readonly prefetchable: boolean;
}

/** `include/linux/ioport.h`: IORESOURCE_IO, IORESOURCE_MEM, IORESOURCE_PREFETCH, IORESOURCE_MEM_64. */
const IO = 0x100n;
const MEMORY = 0x200n;
const PREFETCH = 0x2000n;
const MEMORY_64 = 0x10_0000n;

const ROM = 6;

/** What is not there has neither kind of flag, and is left out. */
export function barsIn(resource: string | undefined): PciBar[] {
  const lines = (resource ?? "").split("\n").slice(0, ROM + 1);
  return lines.flatMap((line, index) => barIn(line, index) ?? []);
}

function barIn(line: string, index: number): PciBar | undefined {
  const numbers = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})$/.exec(line.trim())?.slice(1).map(BigInt);
  const [start = 1n, last = 0n, flags = 0n] = numbers ?? [];
  if (start > last || (flags & (IO | MEMORY)) === 0n) return undefined;
  return {
    index,
    bytes: last - start + 1n,
    kind: index === ROM ? "rom" : (flags & IO) === 0n ? "memory" : "ports",
    bits: (flags & MEMORY_64) === 0n ? 32 : 64,
    prefetchable: (flags & PREFETCH) !== 0n,
  };
}
