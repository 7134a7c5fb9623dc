/** What snapshots tell, as plain data. */

/** A DMA window of sPAPR. */
export interface WindowSnapshot {
  readonly start: bigint;
  /** What its table covers, which can be more than was asked for. */
  readonly size: bigint;
  readonly pageShift: number;
  readonly levels: number;
  /** Those that a MAP wrote behind the window's end count too. */
  readonly liveTces: number;
  readonly tableBytes: bigint;
  /** Whose locked memory the table counts against. */
  readonly process: number;
}

/** One REGISTER. */
export interface RegistrationSnapshot {
  readonly va: bigint;
  readonly size: bigint;
  /** Live TCEs that point into it, in all containers. */
  readonly mapped: number;
}

/** A map of type1: one MAP_DMA. */
export interface MapSnapshot {
  readonly iova: bigint;
  readonly va: bigint;
  readonly size: bigint;
  readonly read: boolean;
  readonly write: boolean;
}

/** A container that is open, or that a group holds. */
export interface ContainerSnapshot {
  /** Counts the containers that this model opened, from 0. */
  readonly id: number;
  /** The lowest descriptor of this process that leads to it; `null` when none does: a group, or another process, keeps it alive. */
  readonly fd: number | null;
  readonly groups: readonly number[];
  /** By start. */
  readonly windows: readonly WindowSnapshot[];
  /** By address. One range can be in several containers. */
  readonly registrations: readonly RegistrationSnapshot[];
  /** type1, by IOVA. */
  readonly maps: readonly MapSnapshot[];
}

/** An IOMMU group, and the device in it. */
export interface GroupSnapshot {
  readonly number: number;
  /** By a descriptor, or by its open device. */
  readonly open: boolean;
  /** The id of the container that it is in. */
  readonly container: number | null;
  /** Its device's name, as GET_DEVICE_FD wants it; of several the first one's. */
  readonly device: string;
  /** How often its devices are open. */
  readonly devicesOpen: number;
}

/** A device. */
export interface DeviceSnapshot {
  /** `0000:00:1a.0` */
  readonly address: string;
  readonly group: number;
  /** By a descriptor, or by registers that are mapped, of any process. */
  readonly open: boolean;
  /** False once it was unbound from vfio-pci. */
  readonly bound: boolean;
  /** Whether it may do DMA: bus mastering is on. */
  readonly busMaster: boolean;
  /** Which of its interrupts are on. */
  readonly interrupts: "none" | "intx" | "msi" | "msix";
}

/** Registers that a process has mapped. */
export interface RegistersSnapshot {
  readonly device: string;
  readonly bar: number;
  /** Where in the BAR they begin, and how many bytes. */
  readonly offset: number;
  readonly length: number;
}

/** A process that has not ended. */
export interface ProcessSnapshot {
  /** Counts the processes of this model, from 0: the first is the one that `modelKernel` gives. */
  readonly id: number;
  /** Its VmLck. */
  readonly lockedBytes: bigint;
}

/** What is there, as plain data, in an order that does not depend on how it came about. */
export interface ModelSnapshot {
  /** Whose snapshot it is: descriptors, zombies, charges and locked bytes are its own, all else is the machine's. */
  readonly process: number;
  readonly processes: readonly ProcessSnapshot[];
  /** By number. */
  readonly descriptors: readonly { readonly fd: number; readonly path: string }[];
  /** By number. */
  readonly groups: readonly GroupSnapshot[];
  /** By group, as they were plugged in. */
  readonly devices: readonly DeviceSnapshot[];
  /** Registers that this process has mapped. */
  readonly registers: readonly RegistersSnapshot[];
  /** Of this process: how many listen for eventfds. */
  readonly listening: number;
  /** By id. */
  readonly containers: readonly ContainerSnapshot[];
  /** Memory that was given up while mapped, by address. It is charged until the process ends, and stays pinned even then. */
  readonly zombies: readonly RegistrationSnapshot[];
  /** The hugetlb pool, by size. Hugepages that are pinned are not free, mapped or not. */
  readonly hugepages: readonly { readonly pageShift: number; readonly free: number }[];
  /** What `lockedBytes` is made of. */
  readonly charges: {
    /** For the tables of windows. */
    readonly tableBytes: bigint;
    /** For registered memory, zombies too, each range once; on type1 for each map, however often its memory is mapped. */
    readonly pinnedBytes: bigint;
    /** For tables that were never made. Nothing gives it back but the end of the process. */
    readonly leakedBytes: bigint;
  };
  /** VmLck. 0 once the process has ended. */
  readonly lockedBytes: bigint;
}
