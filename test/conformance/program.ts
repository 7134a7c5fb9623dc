import { IommuType, MapFlag, Protection, VfioCall } from "../../src/syscalls.ts";
import { GiB, Rig } from "../model/rig.ts";
import { DeviceTrial } from "./device-trial.ts";
import { OpenDevice, placeIn, Region } from "./open-device.ts";
import type { Protection as MapProtection, RawCalls, Sharing } from "./raw-calls.ts";
import type { Answer, Beginning, PlatformName } from "./row.ts";
import type { Device, Machine, PlacedDevice, TakenAway } from "./target.ts";
import { size, words } from "./words.ts";

/** Pages of memory that each program has, and how many of them are registered when its row begins so. */
const PAGES = 16n;
const REGISTERED = 8n;

/** O_CLOEXEC, the same on all machines here. */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Where the next program's memory lies: each has a GiB of addresses to itself, because the kernel may keep ranges of a row
 * for as long as the process lives. A process ends at 2^47, on POWER with pages of 4 KiB at 2^46; mmap comes from above.
 *
 *     0x1000_0000_0000                                     + 1 GiB
 *     | 16 pages, readable and writable | nothing ........ | of the next program
 */
let nextHome = 0x1000_0000_0000n;

/** What a row acts through: a program at the kernel's door, which puts away behind itself what it used. */
export class Program extends Rig {
  readonly #machine: Machine;
  readonly #open = new Set<number>();
  readonly #mapped = new Map<bigint, bigint>();
  readonly #devices: Device[] = [];
  readonly #opened: OpenDevice[] = [];
  #takenAway: TakenAway | undefined;
  readonly #home = nextHome;
  #va = 0n;
  #lockedBefore: bigint;
  readonly #trial: DeviceTrial;
  /** Of the first group. */
  group = -1;
  /** Of the second group, once it was opened. */
  second = -1;
  readonly #platform: PlatformName;

  constructor(machine: Machine, platform: PlatformName) {
    super(machine.kernel);
    nextHome += GiB;
    this.#machine = machine;
    this.#platform = platform;
    this.#trial = new DeviceTrial(machine.kernel);
    this.#lockedBefore = this.locked;
  }

  begin(beginning: Beginning): this {
    if (beginning === "nothing") return this;
    this.container = this.openContainer();
    const placed = this.#placedFor(beginning);
    this.group = placed === undefined ? this.openGroup() : this.open(placed.group);
    expect("SET_CONTAINER", this.setContainer(this.group));
    expect("SET_IOMMU", this.setIommu());
    if (placed !== undefined) this.openDevice(placed.name);
    if (beginning === "registered") expect("REGISTER", this.register(this.va, REGISTERED * this.page));
    return this;
  }

  #placedFor(beginning: Beginning): PlacedDevice | undefined {
    if (beginning === "device") return this.#nvme;
    if (beginning === "card") return this.#card;
    return beginning === "port" ? this.#port : undefined;
  }

  /** Bytes in a page of the CPU. */
  get page(): bigint {
    return BigInt(this.kernel.pageSize);
  }

  /** The first of 16 pages that can be pinned, with nothing behind them. */
  get va(): bigint {
    if (this.#va === 0n) this.#va = this.mmapAt(this.#home, PAGES * this.page);
    return this.#va;
  }

  /** A page of the 16 that no registration of the beginning covers. */
  get unregistered(): bigint {
    return this.va + REGISTERED * this.page;
  }

  /** Addresses that nothing is mapped at. */
  get nowhere(): bigint {
    return this.#home + GiB / 2n;
  }

  mmapAt(address: bigint, length: bigint, protection = Protection.READ | Protection.WRITE): bigint {
    const got = this.kernel.mmap(address, length, protection, MapFlag.FIXED_NOREPLACE, 0);
    if (got !== address) throw new Error(`mmap of ${size(length)} at 0x${address.toString(16)}: ${words(Number(got))}`);
    this.#mapped.set(address, length);
    return address;
  }

  /**
   * Hugepages, where the kernel finds room: POWER's hash MMU wants a TiB for pages of one size, and each size is asked for
   * in TiBs of its own (`arch/powerpc/mm/book3s64/slice.c`).
   */
  hugepages(length: bigint, shift: number): bigint {
    const hint = this.#home + (BigInt(shift) << 40n);
    const va = this.kernel.mmap(hint, length, Protection.READ | Protection.WRITE, MapFlag.HUGETLB, shift);
    if (va < 0n) throw new Error(`mmap of ${size(length)} in hugepages: ${words(Number(va))}`);
    this.#mapped.set(va, length);
    return va;
  }

  /** Writes to memory, so that pages of its own are there: a first pin for reading only might find the zero page. */
  touch(va: bigint): void {
    this.#trial.fill(va);
  }

  munmap(address: bigint, length: bigint): number {
    return this.kernel.munmap(address, length);
  }

  /** A file descriptor or an errno; closed at the row's end. */
  open(path: string): number {
    const fd = this.kernel.open(path);
    if (fd >= 0) this.#open.add(fd);
    return fd;
  }

  /** `opened`, or the errno. */
  opens(path: string): Answer {
    const fd = this.open(path);
    return fd >= 0 ? "opened" : fd;
  }

  openContainer(): number {
    return this.open("/dev/vfio/vfio");
  }

  /** The path of the n-th group. */
  groupPath(index = 0): string {
    return this.#machine.groups[index] as string;
  }

  openGroup(index = 0): number {
    return this.open(this.groupPath(index));
  }

  /** The second group, opened and put into this container: its descriptor. */
  joinSecond(): number {
    this.second = this.openGroup(1);
    return this.setContainer(this.second);
  }

  /** A second container with the second group in it, ready as the first. */
  another(): Program {
    const other = new Program(this.#machine, this.#platform);
    other.container = this.openContainer();
    other.group = this.openGroup(1);
    expect("SET_CONTAINER", other.setContainer(other.group));
    expect("SET_IOMMU", other.setIommu());
    return other;
  }

  close(fd: number): number {
    this.#open.delete(fd);
    return this.kernel.close(fd);
  }

  setIommu(type: number = iommuTypes[this.#platform], container = this.container): number {
    return this.kernel.ioctl(container, VfioCall.SET_IOMMU, type);
  }

  unset(group = this.group): number {
    return this.kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
  }

  checkExtension(type: number): number {
    return this.kernel.ioctl(this.container, VfioCall.CHECK_EXTENSION, type);
  }

  /** GROUP_GET_STATUS: its flags, or its errno. */
  status(group = this.group, argsz = 8): Answer {
    const result = this.groupStatus(group, argsz);
    return result === 0 ? `flags ${this.u32(4)}` : result;
  }

  /** GROUP_GET_DEVICE_FD of the n-th group's device, or of a name: `opened`, or the errno. */
  getDevice(name = this.deviceName, group = this.group): Answer {
    const fd = this.deviceDescriptor(name, group);
    return fd >= 0 ? "opened" : fd;
  }

  deviceDescriptor(name = this.deviceName, group = this.group): number {
    const fd = this.#getDeviceFd(name, group);
    if (fd >= 0) this.#open.add(fd);
    return fd;
  }

  #getDeviceFd(name: string, group: number): number {
    const struct = new Uint8Array(Math.max(name.length + 1, 8));
    struct.set(new TextEncoder().encode(name));
    return this.kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, struct, 0);
  }

  /** The NVMe controller, or another device of the group, opened: once more, each time. */
  openDevice(name = this.#nvme.name): OpenDevice {
    const fd = this.#getDeviceFd(name, this.group);
    if (fd < 0) throw new Error(`GROUP_GET_DEVICE_FD of ${name}: ${words(fd)}`);
    const device = new OpenDevice(this.kernel, fd);
    this.#opened.push(device);
    return device;
  }

  /** Somebody begins to unbind the controller: it is bound again when the row has ended. */
  takeAway(): TakenAway {
    const away = this.#machine.takeAway?.();
    if (away === undefined) throw new Error("nobody unbinds a device here");
    this.#takenAway = away;
    return away;
  }

  /** The one that was opened first. */
  get device(): OpenDevice {
    const [first] = this.#opened;
    if (first === undefined) throw new Error("no device is open: the section begins without one");
    return first;
  }

  /** The controller's name, for GROUP_GET_DEVICE_FD. */
  get nvmeName(): string {
    return this.#nvme.name;
  }

  get cardName(): string {
    return this.#card.name;
  }

  get portName(): string {
    return this.#port.name;
  }

  /** What sysfs says of a device, without the line's end. */
  sysfs(file: string, name = this.nvmeName): Answer {
    const text = this.kernel.files?.text(`/sys/bus/pci/devices/${name}/${file}`) ?? "no files";
    return typeof text === "string" ? text.trim() : text;
  }

  /** What of these files sysfs has of a device. */
  sysfsHas(files: readonly string[], name = this.nvmeName): Answer {
    const names = this.kernel.files?.names(`/sys/bus/pci/devices/${name}`) ?? "no files";
    return typeof names === "object" ? files.filter((file) => names.includes(file)).join(" ") : names;
  }

  /** The number of a device's group, as sysfs has it. */
  groupOf(name: string): number {
    const link = this.kernel.files?.link(`/sys/bus/pci/devices/${name}/iommu_group`);
    return Number(String(link).split("/").at(-1));
  }

  /** How a descriptor was opened, as `/proc` says: `close-on-exec, for reading and writing`. */
  openedHow(fd: number): string {
    const text = this.kernel.files?.text(`/proc/self/fdinfo/${fd}`);
    const flags = Number.parseInt(/^flags:\s+(\d+)$/m.exec(String(text))?.[1] ?? "", 8);
    const mode = ["reading", "writing", "reading and writing"][flags & 3];
    return `${(flags & CLOSE_ON_EXEC) !== 0 ? "close-on-exec" : "kept by exec"}, for ${mode}`;
  }

  /** A call on the device by its number alone: 0 is a pointer to nowhere. */
  callsRaw(distance: number, argument: number): number {
    return this.#raw.ioctl(this.device.fd, distance, argument);
  }

  /** pread into NULL. */
  readsNowhere(region: number, offset: number, bytes: number): Answer {
    return this.#raw.readNowhere?.(this.device.fd, placeIn(region, offset), bytes) ?? "not here";
  }

  /** mmap in ways in which a program maps no registers. */
  mmapsRaw(protection: MapProtection, sharing: Sharing, { region = Region.BAR0 as number, offset = 0 } = {}): Answer {
    const bytes = Number(this.page);
    return this.#raw.mmap?.(this.device.fd, placeIn(region, offset), bytes, protection, sharing) ?? "not here";
  }

  /** What becomes of another process that has the device, and reads a byte of a BAR while memory is off. */
  readWithoutMemory(): string {
    const run = this.#machine.readWithoutMemory;
    if (run === undefined) throw new Error("this machine has no second process");
    return run.call(this.#machine, this.device.fd);
  }

  get #raw(): RawCalls {
    const { raw } = this.#machine;
    if (raw === undefined) throw new Error("nobody makes calls past the seam here");
    return raw;
  }

  get #port(): PlacedDevice {
    const { port } = this.#machine;
    if (port === undefined) throw new Error("this machine has no NVMe controller behind a root port");
    return port;
  }

  get #card(): PlacedDevice {
    const { card } = this.#machine;
    if (card === undefined) throw new Error("this machine has no network card");
    return card;
  }

  get #nvme(): PlacedDevice {
    const { nvme } = this.#machine;
    if (nvme === undefined) throw new Error("this machine has no NVMe controller");
    return nvme;
  }

  /** Where 16 pages of the device's memory are mmapped. */
  get deviceMemory(): bigint {
    const at = this.#machine.deviceMemory?.(0);
    if (at === undefined) throw new Error("this machine mmaps no device's memory");
    return at;
  }

  /** EEH_PE_OP, with an error for the operation that injects one. */
  eeh(op: number, { argsz = 40, flags = 0, type = 0, func = 0 } = {}): number {
    const struct = new Uint8Array(40);
    const fields = new DataView(struct.buffer);
    for (const [index, value] of [argsz, flags, op].entries()) fields.setUint32(index * 4, value, true);
    fields.setUint32(16, type, true);
    fields.setUint32(20, func, true);
    return this.kernel.ioctlStruct(this.container, VfioCall.EEH_PE_OP, struct, 0);
  }

  get deviceName(): string {
    return this.#machine.deviceName?.(0) ?? "";
  }

  /** CREATE, then the window's start, or what `start_addr` was before. */
  creates(pageShift: number, bytes: bigint, levels = 1): string {
    const result = this.create(pageShift, bytes, levels);
    return `${words(result)}, ${result === 0 ? "start " : "start_addr "}${words(this.startAddress)}`;
  }

  /** What VmLck has grown by since the row began, or since this was last asked: `VmLck +8 MiB`. */
  charged(): string {
    return `VmLck ${signed(this.#grown(), size)}`;
  }

  /** The same in pages of the CPU. */
  chargedPages(): string {
    return `VmLck ${signed(this.#grown(), (bytes) => `${bytes / this.page} ${bytes === this.page ? "page" : "pages"}`)}`;
  }

  #grown(): bigint {
    const before = this.#lockedBefore;
    this.#lockedBefore = this.locked;
    return this.#lockedBefore - before;
  }

  /** Whether a device's write at `iova` changes memory at `va`. */
  stores(iova: bigint, va: bigint, index = 0): string {
    return this.#trial.stores(this.#device(index), iova, va);
  }

  /** Whether a device that reads at `iova` gets what is at `va`; it shows what it got at `scratch`. */
  loads(iova: bigint, va: bigint, scratchIova: bigint, scratch: bigint, index = 0): string {
    return this.#trial.loads(this.#device(index), iova, va, scratchIova, scratch);
  }

  #device(index: number): Device {
    const make = this.#machine.device;
    if (make === undefined) throw new Error("this machine has no device that does as it is told");
    const group = index === 0 ? this.group : this.second;
    this.#devices[index] ??= make.call(this.#machine, index, group);
    return this.#devices[index];
  }

  /** What another process answers that has the container and the group too; `errands.ts` says what it does. */
  elsewhere(errand: string): string {
    const run = this.#machine.elsewhere;
    if (run === undefined) throw new Error("this machine has no second process");
    return run.call(this.#machine, errand, { container: this.container, group: this.group });
  }

  /** Closes all descriptors, the container's first, and gives the memory back. */
  leave(): void {
    for (const device of this.#devices) device?.close();
    for (const device of this.#opened) device.leave();
    for (const fd of this.#open) this.kernel.close(fd);
    this.#open.clear();
    this.#takenAway?.bindAgain();
    this.#takenAway = undefined;
    for (const [address, length] of this.#mapped) this.kernel.munmap(address, length);
  }
}

const iommuTypes = {
  powernv: IommuType.SPAPR_TCE_V2,
  pseries: IommuType.SPAPR_TCE_V2,
  "type1 v2": IommuType.TYPE1v2,
  "type1 v1": IommuType.TYPE1,
  noiommu: IommuType.NOIOMMU,
} as const;

function signed(amount: bigint, text: (bytes: bigint) => string): string {
  return amount < 0n ? `-${text(-amount)}` : `+${text(amount)}`;
}

/** What every row of a section takes for granted. */
function expect(call: string, result: number): void {
  if (result !== 0) throw new Error(`${call}, before the row began: ${words(result)}`);
}
