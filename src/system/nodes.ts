/**
 * The NUMA nodes of the machine, from sysfs (`drivers/base/node.c`):
 *
 *     /sys/devices/system/node/online                       0-1,3
 *     /sys/devices/system/node/node0/meminfo                Node 0 MemTotal:       16384 kB
 *                                   /cpulist                0-7,16-23
 *                                   /hugepages              its pools: see hugepages.ts
 *     /sys/bus/pci/devices/0000:01:00.0/numa_node           0, or -1 where firmware does not say
 */

import { ERRNO } from "../errno.ts";
import { argumentTypeError, DmaWindowError, errnoName } from "../errors.ts";
import { readable } from "../inspect.ts";
import type { MachineFiles } from "../syscalls.ts";
import { checkFiles } from "./files.ts";
import { type HugepagePool, poolsOf } from "./hugepages.ts";
import { machineFiles } from "./machine-files.ts";

const ROOT = "/sys/devices/system/node";
const ENOENT = -ERRNO.ENOENT;

export interface NumaNode {
  /** Its number: what `addList({ node })` takes. */
  readonly id: number;
  /** Bytes; absent where the kernel does not say. A node may have none. */
  readonly memory?: { readonly total: bigint; readonly free: bigint };
  /** The numbers of its CPUs, ascending. A node may have none. */
  readonly cpus: readonly number[];
  /** Its pools, ascending by page size. The kernel does not say which node's pages are promised: they have no `reserved`. */
  readonly hugepages: readonly HugepagePool[];
}

/**
 * The nodes that are in use, ascending; none where the kernel has no NUMA (the directory does not exist), which is one node
 * without a number.
 *
 * Throws a DmaWindowError `ERR_NODES_UNREADABLE` with the errno when the directory exists and cannot be listed.
 *
 * @param files Of the machine that is asked: `kernel.files`. Default: this one's.
 */
export function readNodes(files: MachineFiles = machineFiles): NumaNode[] {
  checkFiles(files);
  const names = files.names(ROOT);
  if (names === ENOENT) return [];
  if (typeof names === "number") {
    throw new DmaWindowError("ERR_NODES_UNREADABLE", `cannot read ${ROOT}: ${errnoName(names)}. Mount sysfs.`, {
      errno: names,
      facts: { path: ROOT },
    });
  }
  const ids = names.map((name) => /^node(\d{1,4})$/.exec(name)?.[1]).filter((id) => id !== undefined);
  return ids
    .map(Number)
    .sort((a, b) => a - b)
    .map((id) => readNode(`${ROOT}/node${id}`, id, files));
}

function readNode(directory: string, id: number, files: MachineFiles): NumaNode {
  const meminfo = files.text(`${directory}/meminfo`);
  const [total, free] = ["MemTotal", "MemFree"].map((field) => bytesIn(meminfo, field));
  const cpus = files.text(`${directory}/cpulist`);
  return readable({
    id,
    ...(total === undefined || free === undefined ? {} : { memory: { total, free } }),
    cpus: typeof cpus === "string" ? numbersIn(cpus) : [],
    hugepages: poolsOf(files, `${directory}/hugepages`),
  });
}

/**
 * The NUMA node of a device of PCI (`0000:01:00.0`), or of all devices of an IOMMU group (its number); `undefined` where the
 * machine has only one, does not say, or the group's devices differ. Throws a TypeError `ERR_INVALID_ARG_TYPE`.
 */
export function numaNodeOf(device: string | number, files: MachineFiles = machineFiles): number | undefined {
  checkFiles(files);
  if (typeof device === "string") return nodeIn(files.text(`/sys/bus/pci/devices/${device}/numa_node`));
  if (typeof device !== "number") throw argumentTypeError("device", "an address of PCI, or a group's number", device);
  const names = files.names(`/sys/kernel/iommu_groups/${device}/devices`);
  if (typeof names === "number") return undefined;
  const [node, ...others] = new Set(names.map((name) => numaNodeOf(name, files)));
  return others.length === 0 ? node : undefined;
}

function nodeIn(text: string | number): number | undefined {
  return typeof text === "string" && /^\d+\n?$/.test(text) ? Number(text) : undefined; // -1 is none
}

/** `Node 0 MemTotal:       16384 kB`; the kernel's kB are 1024 bytes. */
function bytesIn(text: string | number, field: string): bigint | undefined {
  if (typeof text !== "string") return undefined;
  const kilobytes = new RegExp(`^Node \\d+ ${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  return kilobytes === undefined ? undefined : BigInt(kilobytes) << 10n;
}

/** More CPUs than any Linux is built for: a list that names more is not one. */
const CPUS_MAX = 1 << 16;

/** `0-3,8` is 0, 1, 2, 3, 8 (`lib/bitmap.c: bitmap_print_to_pagebuf`). */
function numbersIn(list: string): number[] {
  const numbers: number[] = [];
  for (const part of list.trim().split(",")) {
    const [, first, last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (first === undefined || last === undefined || Number(last) >= CPUS_MAX) continue;
    for (let at = Number(first); at <= Number(last); at++) numbers.push(at);
  }
  return numbers;
}
