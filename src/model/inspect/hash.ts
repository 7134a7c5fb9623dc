import { builtin } from "../../builtin.ts";
import { Container } from "../container.ts";
import { Device } from "../device.ts";
import { Eventfd } from "../eventfd.ts";
import { Group } from "../group.ts";
import type { Machine } from "../machine.ts";
import type { Area } from "../memory/address-space.ts";
import type { MemoryOwner } from "../memory-owner.ts";
import type { OpenFile } from "../open-file.ts";
import type { Process } from "../process.ts";
import { registrationOf } from "../spapr/registrations.ts";
import { joined } from "./live.ts";

/**
 * A name for all that decides what the machine will answer: two machines with the same one answer alike from now on. What it
 * is made of says nothing about how it came about, so nothing is called by when it was made:
 *
 *     process      its place among those that have not ended
 *     container    the first descriptor that leads to it, or the first group in it
 *
 * The bytes of memory are not in it, nor the physical addresses that pages have got.
 *
 * Where there is no `node:crypto`, as in a browser, the text itself is the name: no function there digests at once. So
 * that module is asked for here and not imported.
 */
export function hashOf(machine: Machine): string {
  const text = canonical(stateOf(machine));
  const crypto = builtin("node:crypto");
  return crypto === undefined ? text : crypto.createHash("sha256").update(text).digest("hex");
}

function stateOf(machine: Machine): unknown {
  const { processes, containers, groups, devices, pool } = machine;
  const names = new Names(processes, containers);
  return {
    machine: machine.fixed,
    hugepages: pool.shifts.map((shift) => ({
      shift,
      free: Array.from({ length: pool.nodes }, (_, node) => pool.free(shift, node)),
    })),
    drivers: machine.slots.map(({ state }) => state),
    devices: [...devices.values()].map((device) => device.state((eventfd) => names.ofEventfd(eventfd))),
    groups: groups.map((group) => ({
      number: group.number,
      open: group.isOpen,
      container: group.container === undefined ? null : names.ofFile(group.container),
      refusedByFirmware: group.refusedByFirmware,
    })),
    containers: Object.fromEntries(
      containers.map((container) => [names.ofFile(container), containerState(container, names)]),
    ),
    processes: processes.map((process) => processState(process, names)),
  };
}

function containerState({ isOpen, driver }: Container, names: Names): unknown {
  if (driver === undefined) return { isOpen };
  const { windows, registrations, maps } = driver.holdings();
  // Processes are called by number there, which is when they began; `state` names them.
  const tables = windows.map(({ process: _, ...table }) => table);
  const state = driver.state((process) => names.ofProcess(process));
  return { isOpen, tables, registrations, maps, live: joined(driver.live()), state };
}

function processState(process: Process, names: Names): unknown {
  const { descriptors, registrations, locked, space, registerMaps } = process;
  const { used, limit, privileged } = locked.report();
  return {
    descriptors: descriptors.all.map(([fd, file]) => [fd, names.ofFile(file)]),
    registerMaps: [...registerMaps].map(({ file }) => names.ofFile(file)).sort(),
    memory: joinedAreas(space.areas),
    registrations: [...registrations.ranges].map((registration) => ({
      ...registrationOf(registration),
      pageShift: registration.pageShift,
      holders: registration.holders,
      zombie: registration.zombie,
      gone: registration.memory.gone(registration.start, registration.end),
    })),
    locked: { used, limit, privileged },
  };
}

/** Neighbouring areas of one kind as one: no call tells them apart. */
function joinedAreas(areas: Iterable<Area>): unknown[] {
  const found: {
    start: number;
    end: number;
    protection: number;
    pinnable: boolean;
    ofDevice: boolean;
    kind: string;
  }[] = [];
  for (const { start, end, protection, pinnable, ofDevice, backing } of areas) {
    const kind = backing.kind;
    const last = found[found.length - 1];
    const continues =
      last?.end === start &&
      last.protection === protection &&
      last.pinnable === pinnable &&
      last.ofDevice === ofDevice &&
      last.kind === kind;
    if (continues) last.end = end;
    else found.push({ start, end, protection, pinnable, ofDevice, kind });
  }
  return found;
}

/** What files and processes are called. */
class Names {
  readonly #places: Map<MemoryOwner, number>;
  readonly #containers = new Map<OpenFile, string>();
  readonly #eventfds = new Map<OpenFile, string>();

  constructor(processes: readonly Process[], containers: readonly Container[]) {
    this.#places = new Map<MemoryOwner, number>(processes.map((process, place) => [process, place]));
    for (const [place, { descriptors }] of processes.entries()) {
      for (const [fd, file] of descriptors.all) {
        if (file instanceof Container && !this.#containers.has(file))
          this.#containers.set(file, `process ${place}, ${fd}`);
        if (file instanceof Eventfd && !this.#eventfds.has(file)) this.#eventfds.set(file, `process ${place}, ${fd}`);
      }
    }
    for (const container of containers) {
      if (this.#containers.has(container)) continue;
      const first = Math.min(...container.groups.map(({ number }) => number));
      this.#containers.set(container, `group ${first}'s`);
    }
  }

  ofProcess(process: MemoryOwner): string {
    const place = this.#places.get(process);
    return place === undefined ? "one that has ended" : `process ${place}`;
  }

  /** One that no descriptor leads to any more hears events, and nobody hears it. */
  ofEventfd(eventfd: Eventfd): string {
    const name = this.#eventfds.get(eventfd);
    return name === undefined ? "an eventfd that is closed" : `eventfd of ${name}, at ${eventfd.count}`;
  }

  ofFile(file: OpenFile): string {
    if (file instanceof Eventfd) return this.ofEventfd(file);
    if (file instanceof Group) return `group ${file.number}`;
    if (file instanceof Device) return `device ${file.path} of group ${file.group.number}`;
    return `container of ${this.#containers.get(file)}`;
  }
}

/** One text for one value: keys in order, bigint and number apart. */
function canonical(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join()}}`;
}
