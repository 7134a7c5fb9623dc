/**
 * The registers of a controller, as they lie in BAR 0. NVMe 1.4, 3.1.
 *
 *     0x0000  CAP     what the controller can do          8 bytes, read only
 *     0x0008  VS      the version: 1.4                    read only
 *     0x000c  INTMS   masks interrupts, 0x0010 INTMC unmasks them: write ones
 *     0x0014  CC      what the host wants
 *     0x001c  CSTS    what is                             read only
 *     0x0024  AQA     entries of the admin queues, less one
 *     0x0028  ASQ     where they are: 8 bytes each, 0x0030 ACQ
 *     0x1000  a tail for each submission queue, and a head for each completion queue, a stride apart, from queue 0 on
 *
 * An access of 8 bytes is two of 4, low first.
 */
export const Register = {
  CAP_LOW: 0x00,
  CAP_HIGH: 0x04,
  VS: 0x08,
  INTMS: 0x0c,
  INTMC: 0x10,
  CC: 0x14,
  CSTS: 0x1c,
  AQA: 0x24,
  ASQ_LOW: 0x28,
  ASQ_HIGH: 0x2c,
  ACQ_LOW: 0x30,
  ACQ_HIGH: 0x34,
  DOORBELLS: 0x1000,
} as const;

export const VERSION = 0x10400;

/** CSTS. Shutdown status is of two bits. */
export const Csts = { READY: 1, FATAL: 2, SHUTTING_DOWN: 4, SHUT_DOWN: 8, SHUTDOWN: 12 } as const;

/** The largest memory page that the host may choose: 2^(12 + 4) bytes, as QEMU's has it. */
export const MPS_MAX = 4;

/** The host's memory page without a shift is of 4 KiB, and so are the units of MDTS. */
export const LEAST_PAGE = 4096;

/** Sizes of entries, as the powers of two in CC and in Identify. */
export const SQES = 6;
export const CQES = 4;

/** CC, taken apart. */
export interface Configuration {
  readonly enabled: boolean;
  readonly commandSet: number;
  readonly pageShift: number;
  readonly arbitration: number;
  readonly shutdown: number;
  readonly sqes: number;
  readonly cqes: number;
}

export function configurationOf(cc: number): Configuration {
  return {
    enabled: (cc & 1) === 1,
    commandSet: (cc >>> 4) & 7,
    pageShift: 12 + ((cc >>> 7) & 15),
    arbitration: (cc >>> 11) & 7,
    shutdown: (cc >>> 14) & 3,
    sqes: (cc >>> 16) & 15,
    cqes: (cc >>> 20) & 15,
  };
}

/** CAP: queues lie in one piece (CQR), round robin alone, 7.5 s to become ready at most, the NVM command set. */
export function capabilities(
  maxQueueEntries: number,
  strideShift: number,
): { readonly low: number; readonly high: number } {
  const low = ((maxQueueEntries - 1) | (1 << 16) | (15 << 24)) >>> 0;
  const high = strideShift | (1 << 5) | (MPS_MAX << 20);
  return { low, high };
}
