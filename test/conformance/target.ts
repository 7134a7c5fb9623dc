import type { LinuxVersion } from "../../src/linux-version.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import type { RawCalls } from "./raw-calls.ts";
import type { Needs, PlatformName } from "./row.ts";

/** A kernel to run rows on. */
export interface Target {
  /** For the report: `powernv 64K`. */
  readonly name: string;
  readonly platform: PlatformName;
  /** The CPU's page in bytes. */
  readonly pageSize: number;
  /** The kernel's version: rows may depend on it. */
  readonly linux: LinuxVersion;
  /** Why a row that needs this cannot be run here; `undefined` when it can. */
  cannot(needs: Needs): string | undefined;
  /** Makes ready for one row: a kernel of its own, or one on which nothing of the row before can be seen. */
  begin(needs: Needs): Machine;
}

/** What a row has to itself. */
export interface Machine {
  readonly kernel: Syscalls;
  /** Paths of the groups that may be opened: `/dev/vfio/26`. */
  readonly groups: readonly string[];
  /** The name of the device in the n-th of them, for GROUP_GET_DEVICE_FD. */
  deviceName?(index: number): string;
  /** The device in the n-th group, once its group is in a container that has its IOMMU. */
  device?(index: number, group: number): Device;
  /** QEMU's NVMe controller, or the software one: the path of its group, and its name. */
  readonly nvme?: PlacedDevice | undefined;
  /** QEMU's network card, or what the model has instead. */
  readonly card?: PlacedDevice | undefined;
  /** An NVMe controller behind a root port, likewise. */
  readonly port?: PlacedDevice | undefined;
  /** Calls that the seam does not have. */
  readonly raw?: RawCalls | undefined;
  /** Reads of a BAR by a device's descriptor, in another process, as `without-memory.ts` does: how that ended. */
  readWithoutMemory?(fd: number): string;
  /** Somebody begins to unbind the NVMe controller, as an administrator does, who waits until it is closed. */
  takeAway?(): TakenAway;
  /** Where 16 pages of the device's memory are mmapped into the process. */
  deviceMemory?(index: number): bigint;
  /** Does an errand in another process that has these descriptors. Gives its answer in words. */
  elsewhere?(errand: string, descriptors: { readonly container: number; readonly group: number }): string;
  /** Whether this was thrown because the kernel crashed. */
  crashed?(error: unknown): boolean;
}

/** A device, with the path of its group. */
export interface PlacedDevice {
  readonly group: string;
  readonly name: string;
}

/** An unbind that is under way. */
export interface TakenAway {
  /** Waits until it is through, which takes as long as the device is open: whether it came to that. */
  isThrough(): boolean;
  /** Time passes, and nobody gives it back: the kernel asks once more. A real one does so by itself. */
  goOn(): void;
  /** Gives the device to vfio-pci again. */
  bindAgain(): void;
}

/** A device with a buffer inside, which it fills from memory and empties into memory. It does not know what became of it. */
export interface Device {
  /** Reads memory at an IOVA into its buffer. */
  load(iova: bigint, length: number): void;
  /** Writes its buffer to memory at an IOVA. */
  store(iova: bigint, length: number): void;
  close(): void;
}
