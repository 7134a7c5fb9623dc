import { keysOf, known } from "../../known.ts";
import { address, object } from "../../validate.ts";
import type { Bus, ModelPciDevice, Plugged, PluggedFacts, Width } from "./plug.ts";

export interface EduOptions {
  /** The group that it is in: by default one of its own. */
  readonly group?: number;
  /** `0000:01:00.0`: by default of its own. */
  readonly address?: string;
  /** The bits of an IOVA that it presents; all 64 by default. QEMU's has 28 unless it is told. */
  readonly dmaMask?: bigint;
}

const KEYS = keysOf<EduOptions>({ group: true, address: true, dmaMask: true });

const FACTS: PluggedFacts = {
  vendor: 0x1234,
  device: 0x11e8,
  revision: 0x10,
  class: 0x00ff00,
  subsystemVendor: 0x1af4,
  subsystemDevice: 0x1100,
  bars: [{ index: 0, bytes: 1 << 20, bits: 32 }],
  msi: 1,
  intx: true,
  express: false,
  bigEndian: "on POWER",
};

/**
 * QEMU's teaching device: it computes factorials, raises interrupts, and has a DMA engine with a buffer of 4 KiB.
 *
 *     0x00  identity: 0x010000ed          0x60  raise: sets bits of the interrupt status, and interrupts
 *     0x04  liveness: ~ of what is written 0x64  acknowledge: clears them
 *     0x08  factorial                     0x80  source       (8 bytes) an IOVA, or 0x40000 and more for the buffer
 *     0x20  status: 1 computing,          0x88  destination  (8)
 *           0x80 interrupt (1) when done  0x90  count        (8) bytes
 *     0x24  interrupt status              0x98  command      (8) 1 start, 2 to memory, 4 interrupt (0x100) when done
 *
 * Below 0x80 accesses have 4 bytes, from there on 4 or 8, and one of 4 stands for the whole register. What it was told to do is done a
 * turn of the event loop later. It interrupts by MSI (one vector) where that is on, else by its line. A transfer that runs past the
 * end of the buffer, at which QEMU stops the machine, moves nothing here.
 *
 *     const kernel = modelKernel({ devices: [edu()] });
 *
 * Facts: QEMU: `docs/specs/edu.rst`, `hw/misc/edu.c`.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`
 */
export function edu(options: EduOptions = {}): ModelPciDevice {
  known("options", object("options", options), KEYS);
  const { dmaMask = (1n << 64n) - 1n, ...place } = options;
  address("dmaMask", dmaMask);
  return { ...place, facts: FACTS, plug: (bus) => new Edu(bus, dmaMask) };
}

const IDENTITY = 0x010000ed;
const Status = { COMPUTING: 1, INTERRUPT: 0x80 };
const Dma = { RUN: 1n, TO_MEMORY: 2n, INTERRUPT: 4n };
const FACTORIAL_DONE = 1;
const DMA_DONE = 0x100;
const BUFFER_AT = 0x40000n;
const BUFFER_BYTES = 4096;
const NOTHING = 0xffff_ffff_ffff_ffffn;

class Edu implements Plugged {
  readonly #bus: Bus;
  readonly #dmaMask: bigint;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #live = 0;
  #factorial = 0;
  #status = 0;
  #interrupts = 0;
  #source = 0n;
  #destination = 0n;
  #count = 0n;
  #command = 0n;

  constructor(bus: Bus, dmaMask: bigint) {
    this.#bus = bus;
    this.#dmaMask = dmaMask;
  }

  read(_bar: number, offset: number, width: Width): number | bigint {
    return hasWidth(offset, width) ? this.#register(offset) : NOTHING;
  }

  #register(offset: number): number | bigint {
    switch (offset) {
      case 0x00:
        return IDENTITY;
      case 0x04:
        return this.#live;
      case 0x08:
        return this.#factorial;
      case 0x20:
        return this.#status;
      case 0x24:
        return this.#interrupts;
      case 0x80:
        return this.#source;
      case 0x88:
        return this.#destination;
      case 0x90:
        return this.#count;
      case 0x98:
        return this.#command;
      default:
        return NOTHING;
    }
  }

  write(_bar: number, offset: number, width: Width, value: number | bigint): void {
    if (!hasWidth(offset, width)) return;
    if (offset >= 0x80) this.#writeDma(offset, BigInt(value));
    else this.#writeWord(offset, Number(value));
  }

  #writeWord(offset: number, value: number): void {
    if (offset === 0x04) this.#live = ~value >>> 0;
    if (offset === 0x08) this.#compute(value);
    if (offset === 0x20) this.#status = (this.#status & ~Status.INTERRUPT) | (value & Status.INTERRUPT);
    if (offset === 0x60) this.#interrupt(value);
    if (offset === 0x64) {
      this.#interrupts = (this.#interrupts & ~value) >>> 0;
      if (this.#interrupts === 0) this.#bus.line(false);
    }
  }

  /** The engine's registers stay as they are while it runs. */
  #writeDma(offset: number, value: bigint): void {
    if ((this.#command & Dma.RUN) !== 0n) return;
    if (offset === 0x80) this.#source = value;
    if (offset === 0x88) this.#destination = value;
    if (offset === 0x90) this.#count = value;
    if (offset !== 0x98 || (value & Dma.RUN) === 0n) return;
    this.#command = value;
    this.#bus.later(() => this.#transfer());
  }

  reset(): void {
    this.#live = 0;
    this.#factorial = 0;
    this.#status = 0;
    this.#interrupts = 0;
    this.#source = 0n;
    this.#destination = 0n;
    this.#count = 0n;
    this.#command = 0n;
    this.#buffer.fill(0);
  }

  state(): unknown {
    return {
      live: this.#live,
      factorial: this.#factorial,
      status: this.#status,
      interrupts: this.#interrupts,
      dma: [this.#source, this.#destination, this.#count, this.#command],
      buffer: this.#buffer.join(),
    };
  }

  #compute(value: number): void {
    if ((this.#status & Status.COMPUTING) !== 0) return;
    this.#factorial = value;
    this.#status |= Status.COMPUTING;
    this.#bus.later(() => {
      this.#factorial = factorialOf(value);
      this.#status &= ~Status.COMPUTING;
      if ((this.#status & Status.INTERRUPT) !== 0) this.#interrupt(FACTORIAL_DONE);
    });
  }

  /** The line goes up too: where messages are on nobody hears it. */
  #interrupt(bits: number): void {
    this.#interrupts = (this.#interrupts | bits) >>> 0;
    if (this.#interrupts === 0) return;
    this.#bus.raise(0);
    this.#bus.line(true);
  }

  #transfer(): void {
    const toMemory = (this.#command & Dma.TO_MEMORY) !== 0n;
    const [at, iova] = toMemory ? [this.#source, this.#destination] : [this.#destination, this.#source];
    const start = at - BUFFER_AT;
    if (start >= 0n && start + this.#count <= BigInt(BUFFER_BYTES)) {
      const piece = this.#buffer.subarray(Number(start), Number(start + this.#count));
      if (toMemory) this.#bus.write(iova & this.#dmaMask, piece);
      else this.#bus.read(iova & this.#dmaMask, piece);
    }
    const wantsInterrupt = (this.#command & Dma.INTERRUPT) !== 0n;
    this.#command &= ~Dma.RUN;
    if (wantsInterrupt) this.#interrupt(DMA_DONE);
  }
}

function hasWidth(offset: number, width: Width): boolean {
  return width === 4 || (width === 8 && offset >= 0x80);
}

/** In 32 bits, as the device's registers are. */
function factorialOf(value: number): number {
  let product = 1;
  // From 34 on the product is a multiple of 2^32.
  for (let factor = Math.min(value, 34); factor > 0; factor--) product = Math.imul(product, factor);
  return value >= 34 ? 0 : product >>> 0;
}
