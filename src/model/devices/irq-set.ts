import { EINVAL } from "../errno.ts";
import type { Struct } from "../structs.ts";

/** `VFIO_PCI_*_IRQ_INDEX`. */
export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERROR: 3, REQUEST: 4, COUNT: 5 } as const;

/** `VFIO_IRQ_SET_*`: what kind of data, and what to do. */
export const IrqData = { NONE: 1, BOOL: 2, EVENTFD: 4, ALL: 7 } as const;
export const IrqAction = { MASK: 8, UNMASK: 0x10, TRIGGER: 0x20, ALL: 0x38 } as const;

/** `struct vfio_irq_set`: argsz, flags, index, start, count, and behind them the data. */
const IrqSet = { BYTES: 20, INDEX: 8, START: 12, COUNT: 16 };
const U32_MAX = 0xffff_ffff;

/** A SET_IRQS that is well formed. */
export interface IrqRequest {
  readonly index: number;
  readonly start: number;
  readonly count: number;
  /** One of {@link IrqData}. */
  readonly data: number;
  /** Bits of {@link IrqAction}: it may be none, or several. */
  readonly action: number;
  /** Of each interrupt its bool, or its descriptor. */
  readonly values: readonly number[];
}

/** Reads the struct, or says EINVAL. (`drivers/vfio/vfio_main.c: vfio_set_irqs_validate_and_prepare`) */
export function irqRequestFrom(struct: Struct, countOf: (index: number) => number): IrqRequest | number {
  struct.need(IrqSet.BYTES);
  const { argsz, flags } = struct;
  const [index, start, count] = [struct.u32(IrqSet.INDEX), struct.u32(IrqSet.START), struct.u32(IrqSet.COUNT)];
  if (argsz < IrqSet.BYTES || index >= Irq.COUNT || count >= U32_MAX - start) return EINVAL;
  if ((flags & ~(IrqData.ALL | IrqAction.ALL)) !== 0) return EINVAL;
  const there = countOf(index);
  if (start >= there || start + count > there) return EINVAL;
  const data = flags & IrqData.ALL;
  const size = sizeOf(data);
  if (size === undefined || argsz - IrqSet.BYTES < count * size) return EINVAL;
  struct.need(IrqSet.BYTES + count * size);
  const value = (place: number) =>
    size === 4 ? struct.i32(IrqSet.BYTES + 4 * place) : struct.u8(IrqSet.BYTES + place);
  const values = size === 0 ? [] : Array.from({ length: count }, (_, place) => value(place));
  return { index, start, count, data, action: flags & IrqAction.ALL, values };
}

/** Bytes of data for each interrupt; `undefined` where there is not exactly one kind of it. */
function sizeOf(data: number): number | undefined {
  if (data === IrqData.NONE) return 0;
  if (data === IrqData.BOOL) return 1;
  return data === IrqData.EVENTFD ? 4 : undefined;
}
