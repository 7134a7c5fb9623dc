/**
 * The seam: everything that touches the operating system for VFIO passes through this one interface.
 *
 * It is implemented twice, by the real kernel (`src/linux`) and by a software one (`src/model`), which know nothing of
 * each other. Both receive the same bytes: the structs of `<linux/vfio.h>`, laid out in wasm memory by the core.
 *
 * Results follow the kernel's own convention: 0 or a positive number, or a negative errno. Nothing here throws because
 * the kernel said no; deciding what an answer means is the caller's business.
 */

/**
 * An ioctl of VFIO, named as in `<linux/vfio.h>` without its `VFIO_` prefix, as its distance from `VFIO_BASE`.
 *
 * The request number itself differs between architectures (0x3bXX on x86 and Arm, 0x20003bXX on POWER), so it never
 * appears here: the shim adds the distance to the constant of the machine that it was compiled for.
 */
export const VfioCall = {
  GET_API_VERSION: 0,
  CHECK_EXTENSION: 1,
  SET_IOMMU: 2,
  GROUP_GET_STATUS: 3,
  GROUP_SET_CONTAINER: 4,
  GROUP_UNSET_CONTAINER: 5,
  /** Its struct is a string that ends with a 0: the device's name. Gives the device's file descriptor. */
  GROUP_GET_DEVICE_FD: 6,
  /** type1's VFIO_IOMMU_GET_INFO is the same number: which struct the kernel fills depends on the container. */
  IOMMU_SPAPR_TCE_GET_INFO: 12,
  IOMMU_MAP_DMA: 13,
  IOMMU_UNMAP_DMA: 14,
  IOMMU_ENABLE: 15,
  IOMMU_DISABLE: 16,
  IOMMU_SPAPR_REGISTER_MEMORY: 17,
  IOMMU_SPAPR_UNREGISTER_MEMORY: 18,
  IOMMU_SPAPR_TCE_CREATE: 19,
  IOMMU_SPAPR_TCE_REMOVE: 20,
  /** sPAPR: error handling of the groups of a container. */
  EEH_PE_OP: 21,
  /**
   * Calls on a device. From 0x100 on, because the kernel uses a number twice: what is MAP_DMA to a container is PCI_HOT_RESET to a
   * device. What it knows them by is the distance without the 0x100.
   */
  DEVICE_GET_INFO: 0x107,
  DEVICE_GET_REGION_INFO: 0x108,
  DEVICE_GET_IRQ_INFO: 0x109,
  DEVICE_SET_IRQS: 0x10a,
  DEVICE_RESET: 0x10b,
  DEVICE_GET_PCI_HOT_RESET_INFO: 0x10c,
  DEVICE_PCI_HOT_RESET: 0x10d,
  DEVICE_FEATURE: 0x111,
} as const;

export type VfioCall = (typeof VfioCall)[keyof typeof VfioCall];

const callNames = new Map<number, string>(Object.entries(VfioCall).map(([name, call]) => [call, `VFIO_${name}`]));

/** The name under which `<linux/vfio.h>` knows a call, for error messages: `VFIO_IOMMU_MAP_DMA`. */
export function vfioCallName(call: number): string {
  return callNames.get(call) ?? `VFIO_BASE + ${call}`;
}

/** IOMMU types for CHECK_EXTENSION and SET_IOMMU. */
export const IommuType = { TYPE1: 1, SPAPR_TCE: 2, TYPE1v2: 3, SPAPR_TCE_V2: 7, NOIOMMU: 8 } as const;

export const VFIO_API_VERSION = 0;

/** `flags` of GROUP_GET_STATUS. */
export const GroupFlag = { VIABLE: 1, CONTAINER_SET: 2 } as const;

/** What mmapped memory may be used for; bits of our own, translated by the implementation. */
export const Protection = { NONE: 0, READ: 1, WRITE: 2 } as const;

/**
 * How memory is mmapped; bits of our own, translated by the implementation because MAP_NORESERVE and others differ
 * between architectures. The memory is always anonymous, and private.
 */
export const MapFlag = {
  /** Exactly at the address, replacing what is mapped there. */
  FIXED: 1,
  /** Exactly at the address; EEXIST when anything is mapped there. */
  FIXED_NOREPLACE: 2,
  /** Every page present before the call returns. */
  POPULATE: 4,
  /** No swap space is set aside: for address space that is only kept, not used. */
  NORESERVE: 8,
  /** From the hugetlb pool; `hugePageShift` says which. */
  HUGETLB: 16,
} as const;

/** How much memory this process may lock, as the kernel counts it. All in bytes. */
export interface LockedMemory {
  /** RLIMIT_MEMLOCK (soft); `null` when unlimited. */
  readonly limit: bigint | null;
  /** VmLck: locked and pinned already. */
  readonly used: bigint;
  /** With CAP_IPC_LOCK the limit is not enforced. */
  readonly privileged: boolean;
}

/**
 * One entry of a batch, 16 bytes in the caller's memory, host byte order:
 *
 *     0        4              8        12       16
 *     | call   | argument     | result | unused |
 *       u32      u32 offset     i32
 *
 * `argument` is the offset of the call's struct in the same memory. The implementation writes `result`.
 */
export const BATCH_ENTRY_BYTES = 16;

/**
 * What a machine says of itself in files: those under `/proc`, `/sys` and `/dev`. They belong to a kernel, so that a program
 * on the software kernel is told of that machine, and never of the one that it runs on. Answers are read anew each time; where
 * there is none it is a negative errno, and "not there" (ENOENT) is another one than "may not be read" (EACCES).
 */
export interface MachineFiles {
  /** The whole text of a file, or -errno. */
  text(path: string): string | number;
  /** The names in a directory, sorted, or -errno. */
  names(path: string): readonly string[] | number;
  /** Where a symbolic link leads, as it is written there, or -errno. */
  link(path: string): string | number;
  /**
   * Writes a whole text to a file that is there, in one write(2), as sysfs wants it: 0, or -errno, which is the kernel's answer to
   * the text. A program's own kernel may leave it out: then nothing of its machine can be changed.
   */
  readonly write?: ((path: string, text: string) => number) | undefined;
  /**
   * Keeps a text in a file of the program's own, whole or not at all: makes the directories above it, and replaces what is there. Its
   * owner alone may write it. 0, or -errno. A program's own kernel may leave it out: then nothing outlives the program.
   */
  readonly keep?: ((path: string, text: string) => number) | undefined;
  /** Removes a file that was kept: 0, or -errno. There where `keep` is. */
  readonly remove?: ((path: string) => number) | undefined;
  /**
   * What stands at a path, links followed, or -errno. Nothing is opened. A program's own kernel may leave it out: then nobody knows who may
   * open a node, nor how large a file is before it is read.
   */
  readonly stat?: ((path: string) => FileStatus | number) | undefined;
}

/** What stands at a path (`struct stat`). */
export interface FileStatus {
  readonly kind: "file" | "directory" | "device" | "other";
  /** Who may do what: the lower 12 bits of `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for most of procfs, a page for most of sysfs. */
  readonly size: number;
  /** Of a device: major and minor number. */
  readonly device?: readonly [major: number, minor: number];
}

/**
 * Registers of a device that are mapped: a piece of one of its regions. An object and no memory, because a software device has to
 * notice each access. Each is one access of its width to the device, little-endian as PCI has it, ordered after all that the program
 * wrote to memory before (a write), and before all that it reads behind (a read).
 *
 * `offset` counts from the piece's beginning, is a multiple of the width, and the access lies within the piece: anything else throws
 * a RangeError, and an ended mapping a DmaWindowError `ERR_CLOSED`. Where the device does not answer (its memory is switched off, it
 * is in D3, or gone) a read and a write give -errno (EIO), a negative number; read64 a negative bigint.
 *
 * What registers of a program's own, or a device of its own on the model, throw besides passes as it is to whoever made the access: that is
 * no operation, and nothing of the library's state depends on it. `unmap` is one: what that throws is `ERR_INTERFACE`.
 */
export interface Registers {
  /** Bytes. */
  readonly length: number;
  read8(offset: number): number;
  read16(offset: number): number;
  read32(offset: number): number;
  read64(offset: number): bigint;
  /** 0, or -errno. */
  write8(offset: number, value: number): number;
  write16(offset: number, value: number): number;
  write32(offset: number, value: number): number;
  write64(offset: number, value: bigint): number;
  /**
   * The bytes themselves, for a region that is like memory (a frame buffer, a controller's memory buffer); ended by {@link unmap}.
   * `undefined` where the implementation has none: registers of a software device, or an engine that shows no memory but its own.
   * Touching them while the device does not answer ends the process.
   */
  bytes(): Uint8Array | undefined;
  /** Ends the mapping. 0 or -errno. Idempotent. */
  unmap(): number;
}

/** Who hears of events: what {@link Syscalls.listen} gave. It keeps the event loop alive until `unref` or `end`. */
export interface Listening {
  ref(): void;
  unref(): void;
  /** Not told any more from now on, also of what has happened already. Does not close the eventfd. Idempotent. */
  end(): void;
}

/** What may still reach memory whose view has been ended. */
export interface Sight {
  /**
   * True: what lasts as long as the program lets it: JavaScript, through a buffer that was moved into another one (`transfer`, a
   * worker) or that could not be ended, or an open socket that reads into it. Asked after {@link seen}.
   * False: only input and output may that was under way when the view was ended, and ends of itself.
   */
  readonly moved: boolean;
  /** Whether anything may still; false for ever once it was. */
  seen(): boolean;
  /** Has garbage collected now, which may end it. Costs some milliseconds. */
  collect?(): void;
}

/** The sight in what {@link Syscalls.unview} gave, if it is one. */
export function sightIn(answer: unknown): Sight | undefined {
  const isSight = typeof answer === "object" && answer !== null && typeof (answer as Sight).seen === "function";
  return isSight ? (answer as Sight) : undefined;
}

/** The longest view in bytes: what a typed array of Node 20 can hold. */
export const LONGEST_VIEW = 1n << 32n;

export interface Syscalls {
  /** Which kernel answers: `"linux"` or `"model"`. */
  readonly name: string;

  /** The CPU's page size in bytes. */
  readonly pageSize: number;

  /**
   * What stands for the process and the kernel that an interface leads to: two that have the same one share memory and
   * descriptors. Compared by `===`. An interface in front of another one has that one's, or says by `inner` which it is. A
   * program's own kernel may leave out both: then nothing is known.
   */
  readonly identity?: unknown;

  /**
   * Whose memory it is that {@link view} shows, where that is another one's: a software kernel on real memory has that of Linux. As
   * {@link identity}.
   */
  readonly space?: unknown;

  /** The interface behind this one, where there is one. */
  readonly inner?: Syscalls | undefined;

  /** What the machine of this kernel says of itself. A program's own kernel may leave it out: then nothing is known. */
  readonly files?: MachineFiles | undefined;

  /** Opens read-write and close-on-exec. Returns the file descriptor or -errno. */
  open(path: string): number;

  /** Returns 0 or -errno. */
  close(fd: number): number;

  /** An ioctl whose argument is a plain integer, or that has none (0). */
  ioctl(fd: number, call: VfioCall, argument: number): number;

  /** An ioctl whose argument is the struct at `offset` (a multiple of 8) in `memory`; read and written in place. */
  ioctlStruct(fd: number, call: VfioCall, memory: Uint8Array, offset: number): number;

  /**
   * `count` ioctls on `fd` in one crossing, in order. `table` is the offset (a multiple of 8) in `memory` of `count`
   * entries of {@link BATCH_ENTRY_BYTES}. Writes each call's result into its entry and stops after the first result that
   * is not 0. Returns how many calls succeeded: `count`, or the index of the one that did not.
   */
  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number;

  /**
   * Anonymous private memory, or address space alone (`Protection.NONE`). `address` is a hint, or exact with a FIXED
   * flag; 0n lets the kernel choose. `hugePageShift` is read with `MapFlag.HUGETLB` only. Returns the address or -errno.
   */
  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint;

  /** Returns 0 or -errno. */
  munmap(address: bigint, length: bigint): number;

  /**
   * Pages that are not present yet in the mmapped range come from NUMA node `node`, and from no other: where it has none left the
   * page cannot be had. An mmap over the range ends this, so it is called after the mmap and before its pages are present.
   * Returns 0 or -errno. A program's own kernel may leave it out: then no memory is taken from a node of choice.
   */
  readonly bindNode?: ((address: bigint, length: bigint, node: number) => number) | undefined;

  /**
   * Makes every page of the range present and writable, or says why one is not: 0, or -errno. The mmap alone says nothing: with
   * `MapFlag.POPULATE` it succeeds where a page cannot be had, and the first touch ends the process. What the pages hold stays.
   * A program's own kernel may leave it out: then the mmap is believed.
   */
  readonly populate?: ((address: bigint, length: bigint) => number) | undefined;

  /**
   * The bytes of mmapped memory, without a copy: at most {@link LONGEST_VIEW}. The range must stay readable and writable until
   * {@link unview}: touching a view of memory that is gone would crash the process. Throws a RangeError for a range that cannot
   * be, and a DmaWindowError `ERR_NO_EXTERNAL_BUFFERS` where the engine shows no memory but its own.
   */
  view(address: bigint, length: bigint): Uint8Array;

  /**
   * Ends a view: it has length 0 from then on. Comes before the munmap of its memory. Gives a {@link Sight} where something may
   * reach the memory all the same: until that ends, harmless memory has to stay at its address. Whatever else it gives, or
   * nothing, means that nothing may.
   */
  unview(view: Uint8Array): unknown;

  /**
   * Copies mmapped memory into `into`, as many bytes as that has. Works on every engine; the range must be readable. A program's
   * own kernel may leave it out: then a view is used.
   */
  readonly read?: ((address: bigint, into: Uint8Array) => void) | undefined;

  /** Copies `from` to mmapped memory, likewise; the range must be writable. */
  readonly write?: ((address: bigint, from: Uint8Array) => void) | undefined;

  /** How much may be locked, and is. Reads the limits anew on every call. */
  lockedMemory(): LockedMemory;

  /**
   * The physical address of each of `pages` pages of `pageSize` bytes from `va` on; 2^64 - 1 where it is not known. Until a
   * page is pinned it may move. Throws a DmaWindowError where the operating system does not say (`ERR_PAGEMAP_HIDDEN`), or
   * no page is there (`ERR_PAGE_NOT_PRESENT`).
   */
  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array;

  // What a device needs. A program's own kernel may leave these out, all or one: then no device can be opened through it.

  /** pread(2) of a descriptor, as many bytes as `into` has: how many were read, or -errno. */
  readonly pread?: ((fd: number, into: Uint8Array, offset: bigint) => number) | undefined;

  /** pwrite(2), likewise. */
  readonly pwrite?: ((fd: number, from: Uint8Array, offset: bigint) => number) | undefined;

  /**
   * Maps `length` bytes at `offset` of a device's descriptor, both whole pages of the CPU or ending where its region does, or gives
   * -errno. Kept until {@link Registers.unmap}, whatever becomes of the descriptor: the kernel keeps the device open as long.
   */
  readonly registers?: ((fd: number, offset: bigint, length: number) => Registers | number) | undefined;

  /** A new eventfd (2): close-on-exec, non-blocking, its count 0. Its descriptor, or -errno. */
  readonly eventfd?: (() => number) | undefined;

  /** What an eventfd counted since it was taken last, and 0 then; -errno. Never blocks. Cost: one system call, no garbage. */
  readonly takeEvents?: ((fd: number) => number) | undefined;

  /**
   * Calls `listener` in this thread's event loop with what an eventfd counted, taken, whenever that is not 0. What came together is
   * one call. -errno where it cannot.
   */
  readonly listen?: ((fd: number, listener: (count: number) => void) => Listening | number) | undefined;

  /**
   * {@link ioctlStruct}, or without a struct {@link ioctl}, on a thread of its own, for calls that take seconds: opening a device, and
   * its reset. The struct's memory, and the descriptor, stay as they are until it has answered. A program's own kernel may leave it
   * out: then these calls block.
   */
  readonly ioctlLater?:
    | ((fd: number, call: VfioCall, struct: Uint8Array | undefined, argument: number) => Promise<number>)
    | undefined;
}

/** Whether two interfaces lead to one process of one kernel, as far as they say so: where one says nothing, nothing is known. */
export function isSameKernel(one: Syscalls, other: Syscalls): boolean {
  const [first, second] = [identityOf(one), identityOf(other)];
  return first === undefined || second === undefined || first === second;
}

/** Interfaces in front of each other; no program has more. */
const DEPTH_MAX = 100;

/** What stands for the process and the kernel that an interface leads to; `undefined` where it does not say. */
export function identityOf(kernel: Syscalls): unknown {
  return first(kernel, ({ identity }) => identity);
}

/** Whose memory an interface shows; `undefined` where it does not say. */
export function spaceOf(kernel: Syscalls): unknown {
  return first(kernel, ({ space, identity }) => space ?? identity);
}

/** What the first interface has to say that says something, of this one and those behind it. */
function first(kernel: Syscalls, say: (kernel: Syscalls) => unknown): unknown {
  let at: Syscalls | undefined = kernel;
  for (let depth = 0; at !== undefined && at !== null && depth < DEPTH_MAX; depth++) {
    const said = say(at);
    if (said !== undefined) return said;
    at = at.inner;
  }
  return undefined;
}
