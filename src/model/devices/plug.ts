/**
 * What a device of the software kernel is: registers, DMA, and interrupts. Whoever brings one writes these functions; its configuration
 * space, its MSI-X table, what VFIO says of it and what it lets a program do come from the model.
 *
 *     program ── read32, write32 ──> Plugged.read, write          registers: one call for each access, of its width
 *             <── memory ──────────  Bus.read, write              DMA: through the IOMMU as it is at that moment
 *             <── eventfd ─────────  Bus.raise, line              interrupts
 */
import type { DmaResult } from "../dma/device.ts";

/** The width of an access in bytes. */
export type Width = 1 | 2 | 4 | 8;

/** A region of registers or memory. */
export interface PluggedBar {
  /** 0 to 5; one of 64 bits takes the next number too. */
  readonly index: number;
  /** A power of two; at least 16, or 4 for ports. */
  readonly bytes: number;
  /** 64 by default. */
  readonly bits?: 32 | 64;
  readonly prefetchable?: boolean;
  /** I/O ports: read and written by pread and pwrite alone, not mapped. */
  readonly ports?: boolean;
  /**
   * False: read and written by pread and pwrite alone, as the kernel has it of a BAR that shares its page with another one.
   * (`drivers/vfio/pci/vfio_pci_core.c: vfio_pci_probe_mmaps`) True by default, but of ports.
   */
  readonly mappable?: boolean;
  /** The bytes behind a region that is like memory: accesses go there, and not to `read` and `write`. As many as `bytes` says. */
  readonly memory?: Uint8Array;
}

/** What a device's configuration space says, and the kernel makes of it. */
export interface PluggedFacts {
  readonly vendor: number;
  readonly device: number;
  /** Class, subclass and programming interface: 0x010802 is an NVMe controller. */
  readonly class: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystemDevice?: number;
  readonly bars: readonly PluggedBar[];
  /** Vectors (1 to 2048), and where the table and the pending bits lie: by default at the end of the first BAR. */
  readonly msix?: {
    readonly vectors: number;
    readonly bar?: number;
    readonly table?: number;
    readonly pending?: number;
  };
  /** Vectors: a power of two up to 32. */
  readonly msi?: number;
  /** It has an interrupt line. */
  readonly intx?: boolean;
  /**
   * The images of its expansion ROM: a region of a power of two of bytes, 2 KiB at least, which pread reads, with ones behind them. No
   * program writes it or maps it.
   */
  readonly rom?: Uint8Array;
  /** It can reset itself alone. By default true on PCI Express, which it takes. */
  readonly flr?: boolean;
  /**
   * It resets itself on its way from D3hot to D0, by which the kernel resets a device that has nothing else. False by default: it keeps
   * its registers, and says so.
   */
  readonly pmReset?: boolean;
  /**
   * It is on PCI Express: its configuration space has 4096 bytes and not 256, and it has power management and errors that are
   * reported. True by default.
   */
  readonly express?: boolean;
  /**
   * Registers are big-endian: bytes of each access are the other way round than a driver on x86 sees them. `"on POWER"`: there alone, as
   * devices of QEMU's own such as edu are. False by default.
   */
  readonly bigEndian?: boolean | "on POWER";
}

/** What a device does to the machine. */
export interface Bus {
  /**
   * DMA from memory, and to memory. Besides what the IOMMU says, nothing is moved while the program has bus mastering off: the
   * fault's `why` is `"bus mastering is off"`.
   */
  read(iova: bigint, into: Uint8Array): DmaResult;
  write(iova: bigint, from: Uint8Array): DmaResult;
  /** A message: MSI-X or MSI, whichever is on, from 0. One that nobody listens to, or that is masked, is pending or lost as on hardware. */
  raise(vector: number): void;
  /** The interrupt line. The kernel masks it as it is heard, and looks again when it is unmasked. */
  line(raised: boolean): void;
  /** Later, as a device takes its time: in a turn of the event loop of its own, unless the device was reset or unplugged by then. */
  later(work: () => void): void;
}

/** A device at work. */
export interface Plugged {
  /** A register of a BAR; `offset` is a multiple of `width`. A number below 2^32 for widths up to 4. */
  read(bar: number, offset: number, width: Width): number | bigint;
  write(bar: number, offset: number, width: Width, value: number | bigint): void;
  /** FLR, or a reset of the bus, or the kernel's when the device is closed: registers as after power-on, nothing under way. */
  reset(): void;
  /** What decides its answers from now on, as plain data, for `kernel.hash()`. Left out: nothing of it is in there. */
  state?(): unknown;
}

/** A device that can be plugged into a model, once: `modelKernel({ devices: [edu()] })`. */
export interface ModelPciDevice {
  readonly facts: PluggedFacts;
  /** The group that it is in: by default one of its own, the lowest number that is free from 26 on. */
  readonly group?: number;
  /** `0000:01:00.0`: by default of its own. */
  readonly address?: string;
  /**
   * Linux's own driver for it, such as `e1000e`: it has the device when the machine has booted, so the group cannot be used before
   * the device is bound to vfio-pci (`bindToVfio`), and has it back afterwards. By default the device is with vfio-pci from the
   * beginning; an NVMe controller's own driver is `nvme` all the same.
   */
  readonly driver?: string;
  /** Called once, by `modelKernel`. */
  plug(bus: Bus): Plugged;
}
