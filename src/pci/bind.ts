/** A device goes to vfio-pci, and back. */

import { Closable } from "../closable.ts";
import { DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { inspectable } from "../inspect.ts";
import { keysOf } from "../known.ts";
import { ownerOf } from "../open-devices.ts";
import type { MachineFiles } from "../syscalls.ts";
import { isVfioDriver } from "../system/groups.ts";
import { boolean, count } from "../validate.ts";
import { pciAddress } from "./address.ts";
import { deviceAt, type PciDevice } from "./devices.ts";
import { checkNotOpen, giveBack } from "./give-back.ts";
import { filesFrom, groupOf, Look, PCI_OPTIONS, type PciOptions } from "./look.ts";
import { driverMissing, isUnsafe, neverTaken, noGroup } from "./problems.ts";
import { type Before, dropRecord, keepRecord, recordOf } from "./record.ts";
import { DriverSwitch } from "./sysfs.ts";

export interface BindOptions extends PciOptions {
  /** Bind it though it is in use: what `inUse` of {@link PciDevice} names is lost. Default: false. */
  readonly force?: boolean;
  /** How long the kernel is waited for after each write, in milliseconds. Default: 5000. */
  readonly timeout?: number;
}

/** As {@link BindOptions}; nothing is lost by giving a device back. */
export type UnbindOptions = Omit<BindOptions, "force">;

const BIND_KEYS = keysOf<BindOptions>({ kernel: true, root: true, force: true, timeout: true });
const UNBIND_KEYS = [...PCI_OPTIONS, "timeout"];
const TIMEOUT = 5000;

const VFIO_PCI = "vfio-pci";

/** What a binding is made with. */
interface Bound {
  readonly device: DriverSwitch;
  readonly files: MachineFiles;
  /** Whose devices are looked for before it is given back. */
  readonly owner: unknown;
  /** `undefined` where VFIO had the device already: then there is no way back. */
  readonly before: Before | undefined;
  readonly group: number;
  readonly previousDriver: string | undefined;
  readonly neighbours: readonly string[];
}

/**
 * A device that is with vfio-pci, and the way back: `restore()`, or `using`. Where the program ends without it the device stays with
 * VFIO, and `dma-window unbind ADDRESS` gives it back.
 */
export class VfioBinding extends Closable {
  /** `0000:01:00.0` */
  readonly address: string;
  /** Its IOMMU group: what `openContainer` takes. */
  readonly group: number;
  /** The driver that had it before: `vfio-pci` where it was bound already. */
  readonly previousDriver: string | undefined;
  /** The addresses of the others in its group. Each has to be with VFIO, without a driver, or a bridge: {@link PciDevice} says what is in the way. */
  readonly neighbours: readonly string[];
  readonly #bound: Bound;
  #closed = false;

  /** @internal */
  constructor(bound: Bound) {
    super();
    this.#bound = bound;
    this.address = bound.device.address;
    this.group = bound.group;
    this.previousDriver = bound.previousDriver;
    this.neighbours = bound.neighbours;
  }

  /** Whether it was given back. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Gives the device back to the driver that it had, and sees that this one has it; to none where it had none. Once more does
   * nothing, and neither does it where VFIO had the device already when it was bound. Blocks until the kernel is done.
   *
   * @throws `ERR_BUSY` while the device is open: the kernel would wait for that for ever. Close it, and call this again.
   * @throws `ERR_KERNEL`, `ERR_BIND_TIMEOUT`: `residue` says who has the device now. The way back is still on record.
   */
  restore(): void {
    if (this.#closed) return;
    exclusively("restore", () => {
      const { device, files, owner, before } = this.#bound;
      if (before !== undefined) putBack(device, files, owner, before);
      this.#closed = true;
    });
  }

  /** As {@link restore}. */
  close(): void {
    this.restore();
  }
}

inspectable(VfioBinding, "VfioBinding", ({ closed, address, group, previousDriver, neighbours }) => ({
  state: closed ? "restored" : undefined,
  address,
  group,
  previousDriver,
  neighbours,
}));

/**
 * Takes a device from its driver and gives it to vfio-pci, so that `openContainer` can have its group: `driver_override`, unbind,
 * probe. Blocks until that is done. Wants root. One that VFIO has already stays as it is, and so it does when it is restored.
 *
 * The others in its group are left alone: where a driver of the kernel has one of them the group cannot be used yet, and each is
 * bound by a call of its own (`neighbours`).
 *
 *     using binding = bindToVfio("0000:01:00.0");
 *     using container = openContainer({ kernel: linuxKernel(), groups: [binding.group] });
 *
 * The node `/dev/vfio/<group>` is made by this, and is root's: give it to the user whose program opens it, who needs no root then.
 *
 * When anything fails the device goes back to its driver; `residue` says where that could not be done either.
 *
 * @throws `ERR_NO_DEVICE`; RangeError `ERR_OUT_OF_RANGE` for what is no address in full.
 * @throws `ERR_IN_USE` (facts: inUse), unless forced: it names what would be lost.
 * @throws `ERR_NOT_FOR_VFIO` for a bridge, and what vfio-pci denies; `ERR_NO_VFIO_PCI` where that driver is not loaded; `ERR_NO_GROUP`
 * where there is no IOMMU.
 * @throws `ERR_KERNEL` with the write and its errno; `ERR_BIND_TIMEOUT` where a driver does not let go, or vfio-pci does not take it.
 */
export function bindToVfio(address: string, options: BindOptions = {}): VfioBinding {
  const wanted = pciAddress("address", address);
  const files = filesFrom(options, BIND_KEYS);
  const force = options.force !== undefined && boolean("force", options.force);
  const device = new DriverSwitch(files, wanted, timeoutFrom(options));
  const owner = ownerOf(options.kernel);
  return exclusively("bindToVfio", () => {
    const look = new Look(files);
    const found = deviceAt(look, wanted);
    if (isVfioDriver(found.driver)) return bindingOf(found, { device, files, owner, before: undefined });
    checkPossible(look, found);
    if (!force) checkFree(found);
    const before = beforeOf(device, () => recordOf(files, wanted));
    keepRecord(files, wanted, before);
    try {
      device.setOverride(VFIO_PCI);
      if (!isVfioDriver(device.driver)) device.unbind(); // else another program was faster, and may have it open by now
      device.probe(VFIO_PCI);
      return bindingOf(deviceAt(new Look(files), wanted), { device, files, owner, before });
    } catch (error) {
      throw undone(error, device, files, before);
    }
  });
}

/**
 * Gives a device back that a program bound to VFIO and did not restore: one that was killed. It goes to the driver that it had when
 * {@link bindToVfio} took it; where nothing is on record, to the one that the kernel chooses. Blocks until that is done. Wants root.
 *
 * @returns the driver that has it now.
 * @throws as {@link VfioBinding.restore}, and `ERR_NO_DEVICE`, `ERR_OUT_OF_RANGE`.
 */
export function unbindFromVfio(address: string, options: UnbindOptions = {}): string | undefined {
  const wanted = pciAddress("address", address);
  const files = filesFrom(options as BindOptions, UNBIND_KEYS);
  const device = new DriverSwitch(files, wanted, timeoutFrom(options));
  return exclusively("unbindFromVfio", () => {
    const { driver } = deviceAt(new Look(files), wanted);
    const record = recordOf(files, wanted);
    if (record !== undefined) putBack(device, files, ownerOf(options.kernel), record);
    else if (isVfioDriver(driver)) {
      checkNotOpen(files, ownerOf(options.kernel), wanted);
      device.setOverride("");
      device.unbind();
      device.offer();
    }
    return device.driver;
  });
}

function putBack(device: DriverSwitch, files: MachineFiles, owner: unknown, before: Before): void {
  checkNotOpen(files, owner, device.address);
  giveBack(device, before);
  dropRecord(files, device.address);
}

/** The error, after all was put back that could be. The record stays as long as something is left. */
function undone(error: unknown, device: DriverSwitch, files: MachineFiles, before: Before): unknown {
  const told = withResidue(
    error,
    leftBy(() => giveBack(device, before, true)),
  );
  if (!(told instanceof DmaWindowError) || told.residue === undefined) dropRecord(files, device.address);
  return told;
}

/**
 * What it goes back to. Where a program was killed in the middle, or another one is in the middle, the record says it: the device is
 * without a driver then, or still to be vfio-pci's. It is read after the device, as it is written before that is changed.
 */
function beforeOf(device: DriverSwitch, recordNow: () => Before | undefined): Before {
  const { driver, override } = device;
  const record = override === VFIO_PCI ? recordNow() : undefined;
  if (record === undefined) return { driver, override };
  return { driver: driver ?? record.driver, override: record.override };
}

function bindingOf(found: PciDevice, bound: Pick<Bound, "device" | "files" | "owner" | "before">): VfioBinding {
  const { address, driver, neighbours } = found;
  const group = groupOf(new Look(bound.files), address);
  if (group === undefined) {
    throw new DmaWindowError(
      "ERR_NO_GROUP",
      `${address} is with ${driver}, and in no group that a container could take`,
      {
        facts: { address },
      },
    );
  }
  const previousDriver = bound.before === undefined ? driver : bound.before.driver;
  return new VfioBinding({ ...bound, group, previousDriver, neighbours });
}

function checkPossible(look: Look, found: PciDevice): void {
  const { address, group } = found;
  const never = neverTaken(look, found);
  const missing = driverMissing(look);
  const refuse = (code: string, message: string) => new DmaWindowError(code, message, { facts: { address } });
  if (never !== undefined) throw refuse("ERR_NOT_FOR_VFIO", never);
  if (group === undefined && !isUnsafe(look)) throw refuse("ERR_NO_GROUP", noGroup(look, address));
  if (missing !== undefined) throw refuse("ERR_NO_VFIO_PCI", missing);
}

function checkFree({ address, inUse }: PciDevice): void {
  if (inUse.length === 0) return;
  throw new DmaWindowError(
    "ERR_IN_USE",
    `${address} is in use: ${inUse.join("; ")}. End that first; with force: true it is bound all the same, and that is lost`,
    { facts: { address, inUse } },
  );
}

function timeoutFrom({ timeout }: UnbindOptions): number {
  return timeout === undefined ? TIMEOUT : count("timeout", timeout);
}
