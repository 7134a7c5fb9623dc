import { argumentRangeError } from "../errors.ts";

/**
 * The structs of `<linux/vfio.h>`, as bytes in the caller's memory. Read here and nowhere else in the model, with
 * offsets written down a second time on purpose: the library lays them out elsewhere, and neither side can hide the
 * other's mistake. Little-endian, as every host that Node runs on today and as ppc64le.
 *
 *     spapr_tce_info          0 argsz   4 flags   8 dma32_window_start  12 dma32_window_size
 *                            16 ddw.pgsizes (8)  24 ddw.max_dynamic_windows_supported  28 ddw.levels              = 32
 *     spapr_register_memory   0 argsz   4 flags   8 vaddr (8)          16 size (8)                              = 24
 *     spapr_tce_create        0 argsz   4 flags   8 page_shift  12 -   16 window_size (8)
 *                            24 levels 28 -      32 start_addr (8, out)                                         = 40
 *     spapr_tce_remove        0 argsz   4 flags   8 start_addr (8)                                              = 16
 *     type1_dma_map           0 argsz   4 flags   8 vaddr (8)          16 iova (8)      24 size (8)             = 32
 *     type1_dma_unmap         0 argsz   4 flags   8 iova (8)           16 size (8)                              = 24
 *     type1_info              0 argsz   4 flags   8 iova_pgsizes (8)   16 cap_offset   20 -                         = 24
 *     type1_dirty_bitmap      0 argsz   4 flags   then what the flags say                                       =  8
 *     group_status            0 argsz   4 flags                                                                 =  8
 *     eeh_pe_op               0 argsz   4 flags   8 op  12 -           then of an error:
 *                            16 type   20 func   24 addr (8)          32 mask (8)                               = 40
 */
export const TceInfo = { FIXED_BYTES: 16, BYTES: 32, START32: 8, SIZE32: 12, PGSIZES: 16, WINDOWS: 24, LEVELS: 28 };
export const RegisterMemory = { BYTES: 24, VADDR: 8, SIZE: 16 };
export const TceCreate = { BYTES: 40, PAGE_SHIFT: 8, WINDOW_SIZE: 16, LEVELS: 24, START_ADDR: 32 };
export const TceRemove = { BYTES: 16, START_ADDR: 8 };
export const DmaMap = { BYTES: 32, READ: 1, WRITE: 2, VADDR: 8, IOVA: 16, SIZE: 24 };
export const DmaUnmap = { BYTES: 24, IOVA: 8, SIZE: 16 };
export const Type1Info = { FIXED_BYTES: 16, BYTES: 24, PGSIZES: 8, CAP_OFFSET: 16 };
export const DirtyBitmap = { BYTES: 8 };
export const EehPeOp = { FIXED_BYTES: 12, BYTES: 40, OP: 8, TYPE: 16, FUNC: 20 };
export const GroupStatus = { BYTES: 8 };

/** What GROUP_SET_CONTAINER points to: an int. */
const SMALLEST_ARGUMENT = 4;

/** The info flag that says `ddw` is there (`VFIO_IOMMU_SPAPR_INFO_DDW`). */
export const INFO_DDW = 1;

/** A struct where the kernel found it. `undefined` stands for a pointer to nowhere. */
export class Struct {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
  }

  /** Throws a RangeError when `bytes` do not fit: the caller's memory ends, and what lies behind is not ours to touch. */
  need(bytes: number): void {
    if (this.#at + bytes > this.#view.byteLength) {
      const most = this.#view.byteLength - bytes;
      throw argumentRangeError("offset", `at most ${most}, so that the struct of ${bytes} bytes fits`, this.#at);
    }
  }

  get argsz(): number {
    return this.u32(0);
  }

  get flags(): number {
    return this.u32(4);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#at + at, true);
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#at + at);
  }

  i32(at: number): number {
    return this.#view.getInt32(this.#at + at, true);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(this.#at + at, true);
  }

  /** The number of the 4 KiB page that a field of 64 bits points into: below 2^52, so exact. */
  page(at: number): number {
    const view = this.#view;
    const field = this.#at + at;
    return view.getUint32(field + 4, true) * 2 ** 20 + (view.getUint32(field, true) >>> 12);
  }

  /** The low 12 bits of a field of 64 bits. */
  offset(at: number): number {
    return this.#view.getUint32(this.#at + at, true) & 0xfff;
  }

  /** A string that ends with a 0, as the kernel reads it: throws a RangeError where the caller's memory ends first. */
  name(): string {
    let text = "";
    for (let at = 0; ; at++) {
      this.need(at + 1);
      const byte = this.#view.getUint8(this.#at + at);
      if (byte === 0) return text;
      text += String.fromCharCode(byte);
    }
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(this.#at + at, value, true);
  }

  setI32(at: number, value: number): void {
    this.#view.setInt32(this.#at + at, value, true);
  }

  setU8(at: number, value: number): void {
    this.#view.setUint8(this.#at + at, value);
  }

  /** Writes `pages` of 4 KiB, below 2^52, as bytes into a field of 64 bits. */
  setPages(at: number, pages: number): void {
    this.setU32(at, (pages % 2 ** 20) * 4096);
    this.setU32(at + 4, Math.floor(pages / 2 ** 20));
  }

  setU64(at: number, value: bigint): void {
    this.#view.setBigUint64(this.#at + at, value, true);
  }
}

/** Makes Structs in the caller's memory, and checks what the shim checks too: the offset. */
export class StructReader {
  #memory: Uint8Array | undefined;
  #view: DataView = new DataView(new ArrayBuffer(0));

  at(memory: Uint8Array, offset: number): Struct {
    // wasm memory that grew comes as another Uint8Array; the old one has length 0, where no struct fits.
    const most = memory.byteLength - SMALLEST_ARGUMENT;
    if (!Number.isInteger(offset) || offset < 0 || offset % 8 !== 0 || offset > most) {
      throw argumentRangeError("offset", `a multiple of 8, inside memory of ${memory.byteLength} bytes`, offset);
    }
    if (memory !== this.#memory) {
      this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
      this.#memory = memory;
    }
    return new Struct(this.#view, offset);
  }
}
