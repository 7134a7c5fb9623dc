import type { Machine } from "../machine.ts";
import { bytesOf } from "../pages.ts";
import type { Process } from "../process.ts";
import { registrationOf } from "../spapr/registrations.ts";
import type { ContainerSnapshot, ModelSnapshot } from "./snapshot.ts";

/** What `process` sees of the machine. */
export function snapshotOf(machine: Machine, process: Process): ModelSnapshot {
  const { descriptors, locked, registrations, pinnedByMaps, registerMaps, listening } = process;
  const ranges = [...registrations.ranges];
  const open = descriptors.all;
  const containers = machine.containers.map(
    (container): ContainerSnapshot => ({
      id: container.id,
      fd: open.find(([, file]) => file === container)?.[0] ?? null,
      groups: container.groups.map(({ number }) => number).sort((a, b) => a - b),
      ...(container.driver?.holdings() ?? { windows: [], registrations: [], maps: [] }),
    }),
  );
  // An account ends with its process, whatever outlives that.
  const tables = containers.flatMap(({ windows }) => windows.filter((window) => window.process === process.id));
  const charged = process.ended ? { tables: [], ranges: [], maps: 0 } : { tables, ranges, maps: pinnedByMaps };
  return {
    process: process.id,
    processes: machine.processes.map(({ id, locked }) => ({ id, lockedBytes: locked.report().used })),
    descriptors: open.map(([fd, { path }]) => ({ fd, path })),
    groups: machine.groups.map(({ number, isOpen, container, device, devicesOpen }) => ({
      number,
      open: isOpen,
      container: container?.id ?? null,
      device,
      devicesOpen,
    })),
    devices: machine.deviceList.map(({ address, group, isOpen, isBound, hardware, mode }) => ({
      address,
      group: group.number,
      open: isOpen,
      bound: isBound,
      busMaster: hardware.isBusMaster,
      interrupts: mode,
    })),
    registers: [...registerMaps].map(({ file, bar, offset, length }) => ({ device: file.path, bar, offset, length })),
    listening: listening.size,
    containers,
    zombies: ranges.filter(({ zombie }) => zombie).map(registrationOf),
    hugepages: machine.pool.all,
    charges: {
      tableBytes: charged.tables.reduce((sum, { tableBytes }) => sum + tableBytes, 0n),
      pinnedBytes: charged.ranges.reduce((sum, { start, end }) => sum + bytesOf(end - start), bytesOf(charged.maps)),
      leakedBytes: locked.leakedBytes,
    },
    lockedBytes: locked.report().used,
  };
}
