import type { Registers } from "../syscalls.ts";
import { type HeldMap, MappedRegisters } from "./devices/mapped-registers.ts";
import { Region, regionOf } from "./devices/regions.ts";
import type { VfioDevice } from "./devices/vfio-device.ts";
import { EINVAL } from "./errno.ts";
import { type Caller, OpenFile } from "./open-file.ts";
import type { Struct } from "./structs.ts";

/** The group of a device, as the open device knows it. */
export interface DeviceGroup {
  readonly number: number;
  /** How often its devices are open. */
  devicesOpen: number;
  hold(): void;
  release(): void;
}

/** A process that maps registers: its maps go with it. */
export interface MapHolder {
  readonly ended: boolean;
  readonly registerMaps: Set<RegisterMap>;
}

/**
 * An open device. It keeps its group open and in its container: `drivers/vfio/container.c: vfio_group_use_container`. What is mapped of it
 * keeps it open too.
 */
export class Device extends OpenFile {
  readonly group: DeviceGroup;
  readonly device: VfioDevice;

  constructor(group: DeviceGroup, device: VfioDevice) {
    super();
    this.group = group;
    this.device = device;
    group.devicesOpen++;
    group.hold();
    device.opened();
  }

  get path(): string {
    return this.device.address;
  }

  /** `drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl`: the same number as one of a container is another call here. */
  ioctl(call: number, _argument: number, struct: Struct | undefined, caller: Caller): number {
    return this.device.ioctl(call | 0x100, struct, caller);
  }

  override pread(into: Uint8Array, offset: bigint): number {
    return this.device.read(into, offset);
  }

  override pwrite(from: Uint8Array, offset: bigint): number {
    return this.device.write(from, offset);
  }

  /**
   * mmap of a BAR that is memory: whole pages up to where its last one ends.
   * (`drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_mmap`)
   */
  map(offset: bigint, length: number, pageSize: number, holder: MapHolder, around: Around): Registers | number {
    const { index, at } = regionOf(offset);
    if (at % pageSize !== 0 || length <= 0 || index > Region.LAST_BAR) return EINVAL;
    const bar = this.device.hardware.bar(index);
    if (!bar?.isMappable) return EINVAL;
    const pages = (bytes: number) => Math.ceil(bytes / pageSize) * pageSize;
    if (at + pages(length) > pages(bar.bytes)) return EINVAL;
    const held = new RegisterMap(this, { bar: index, offset: at, length }, holder, around);
    return new MappedRegisters(this.device.hardware, bar, at, length, held);
  }

  protected released(): void {
    this.device.released();
    this.group.devicesOpen--;
    this.group.release();
  }
}

/** Makes a call of the kernel of what happens in it. */
export type Around = (work: () => void) => void;

/** What is mapped: a piece of a BAR. */
interface Piece {
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

/** What a map holds of a device: until it is unmapped, or its process ends. */
export class RegisterMap implements HeldMap, Piece {
  readonly file: Device;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
  readonly #holder: MapHolder;
  readonly #around: Around;

  constructor(file: Device, { bar, offset, length }: Piece, holder: MapHolder, around: Around) {
    this.file = file;
    this.bar = bar;
    this.offset = offset;
    this.length = length;
    this.#holder = holder;
    this.#around = around;
    file.hold();
    holder.registerMaps.add(this);
  }

  get processEnded(): boolean {
    return this.#holder.ended;
  }

  end(): void {
    this.#around(() => this.release());
  }

  /** Idempotent. */
  release(): void {
    if (this.#holder.registerMaps.delete(this)) this.file.release();
  }

  /** A child has the same map. */
  copyTo(child: MapHolder): void {
    new RegisterMap(this.file, this, child, this.#around);
  }
}
