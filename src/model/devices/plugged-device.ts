import { readable } from "../../inspect.ts";
import type { VfioDevice } from "./vfio-device.ts";

/**
 * A device of the model from outside of all processes: what the machine, or its administrator, does to it.
 *
 *     const device = kernel.plugged("0000:00:1a.0");
 *     device.error(); // the eventfd of ERR is signalled
 *     const gone = device.unbind(); // that of REQ is: the driver in here should close it
 *     await gone; // when the last descriptor and the last map have gone
 */
export interface PluggedDevice {
  readonly address: string;
  readonly group: number;
  /** It is open, by a descriptor or by registers that are mapped. */
  readonly isOpen: boolean;
  /** It is bound to vfio-pci. */
  readonly isBound: boolean;
  /** May it send anything: bus mastering is on, and it is in D0. */
  readonly isBusMaster: boolean;
  /** It reports an error that it could not correct: ERR is signalled where somebody wants to know. */
  error(): void;
  /** REQ is signalled once more, as the kernel does every ten seconds while somebody waits to have the device back. */
  request(): void;
  /**
   * What writing its address to the driver's `unbind` does, in `kernel.files` too where the device is not open: REQ is signalled, and once the device is closed it goes, with its group
   * when it was the last one there, and with that all that was mapped. Settles then; `echo` would wait as long.
   */
  unbind(): Promise<void>;
  /** It is pulled out: it answers nothing from now on (-EIO), sends nothing, and is unbound as by {@link unbind}. */
  unplug(): Promise<void>;
}

/** `around` is told of what happens outside of a process's calls. */
export function pluggedDevice(device: VfioDevice, around: (work: () => void) => void): PluggedDevice {
  const unbind = () => new Promise<void>((gone) => around(() => device.unbind(gone)));
  const plugged: PluggedDevice = {
    address: device.address,
    group: device.group.number,
    get isOpen() {
      return device.isOpen;
    },
    get isBound() {
      return device.isBound;
    },
    get isBusMaster() {
      return device.hardware.isBusMaster;
    },
    error: () => device.fail(),
    request: () => device.ask(),
    unbind,
    unplug() {
      device.hardware.remove();
      return unbind();
    },
  };
  return readable(plugged, "PluggedDevice", ({ address, group, isOpen, isBound, isBusMaster }) => ({
    ...{ address, group, isOpen, isBound, isBusMaster },
  }));
}
