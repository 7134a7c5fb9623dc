/**
 * The hugetlb pools of the machine, from /sys/kernel/mm/hugepages (`mm/hugetlb.c: hugetlb_sysfs_add_hstate`):
 *
 *     hugepages-2048kB/nr_hugepages        pages in the pool, in use or not
 *                      free_hugepages      of these, not handed out
 *                      resv_hugepages      of the free ones, promised to mappings that have not touched them yet
 *                      surplus_hugepages   of all, borrowed above the pool's configured size
 *
 * A NUMA node has the same directory, /sys/devices/system/node/node0/hugepages, without resv_hugepages: pages are promised by
 * the machine as a whole (`mm/hugetlb.c: per_node_hstate_attrs`).
 *
 * The directory's name is trusted for the page size, and the files for their numbers. The four are read one after the
 * other while other processes take pages, so together they are a picture, not an account: whether there are enough pages
 * is known when mmap and the first touch have succeeded, and not before.
 */

import { ERRNO } from "../errno.ts";
import { readable } from "../inspect.ts";
import type { MachineFiles } from "../syscalls.ts";
import { checkPath } from "../validate.ts";
import { checkFiles, listed } from "./files.ts";
import { machineFiles } from "./machine-files.ts";
import { join } from "./paths.ts";

/**
 * One pool. The counts are exact as numbers: a hugepage is larger than 4 KiB, so 2^64 bytes hold fewer than 2^52.
 */
export interface HugepagePool {
  /** Bytes of one page: a power of two. */
  readonly pageSize: bigint;
  /** log2 of `pageSize`. */
  readonly pageShift: number;
  /** Pages in the pool. */
  readonly total: number;
  /** Pages that nobody has. */
  readonly free: number;
  /** Free pages that are promised to mappings; absent for a NUMA node's pool, where the kernel does not say whose. */
  readonly reserved?: number;
  /** Pages above the pool's configured size; they leave the pool when they are freed. */
  readonly surplus: number;
  /**
   * Pages that a new mapping can count on: `free - reserved`, never below 0. For a NUMA node the most there can be: `free`, of
   * which others may have been promised some.
   */
  readonly available: number;
}

const ENOENT = -ERRNO.ENOENT;

const POOLS = "/sys/kernel/mm/hugepages";

/**
 * The pools of this machine, ascending by page size; none when the kernel has no hugetlb (the directory does not exist). `root`
 * may be a NUMA node's directory, `/sys/devices/system/node/node0/hugepages`.
 *
 * An entry that is no pool (another name, a size that is not a power of two) is passed over, and so is a pool whose
 * counts are missing, unreadable or no numbers: one odd pool does not cost the others.
 * Throws a DmaWindowError `ERR_HUGEPAGES_UNREADABLE` with the errno when the directory exists and cannot be listed.
 */
export function readHugepages(root?: string): HugepagePool[];
/** The same of the machine that these files belong to: those of a kernel, `kernel.files`. */
export function readHugepages(files: MachineFiles): HugepagePool[];
export function readHugepages(from: string | MachineFiles = POOLS): HugepagePool[] {
  if (typeof from === "object" && from !== null) {
    checkFiles(from);
    return poolsOf(from, POOLS);
  }
  checkPath("root", from);
  return poolsOf(machineFiles, from);
}

/** @internal The pools below a directory of that machine. */
export function poolsOf(files: MachineFiles, root: string): HugepagePool[] {
  const next = "Mount sysfs, or use memory of the CPU's page size.";
  return (listed(files, root, "ERR_HUGEPAGES_UNREADABLE", next) ?? [])
    .map((name) => readPool(files, root, name))
    .filter((pool) => pool !== undefined)
    .sort((a, b) => a.pageShift - b.pageShift);
}

/**
 * @internal The pool of pages of that size, and its directory: facts for an error, so it does not throw. `undefined` where nothing is
 * known of one.
 */
export function poolIn(
  files: MachineFiles,
  pageSize: bigint,
): (HugepagePool & { readonly directory: string }) | undefined {
  const name = `hugepages-${pageSize >> 10n}kB`;
  try {
    const pool = readPool(files, POOLS, name);
    return pool && { ...pool, directory: join(POOLS, name) };
  } catch {
    return undefined;
  }
}

/**
 * @internal Pages that the kernel takes from ordinary memory when the pool is empty, if there are any (`mm/hugetlb.c:
 * alloc_surplus_hugetlb_folio`). The machine's: which node they come from depends on who asks.
 */
export function borrowable(files: MachineFiles, pageSize: bigint): number {
  const name = `hugepages-${pageSize >> 10n}kB`;
  const most = readCount(files, POOLS, name, "nr_overcommit_hugepages") ?? 0;
  return Math.max(0, most - (readCount(files, POOLS, name, "surplus_hugepages") ?? 0));
}

function readPool(files: MachineFiles, root: string, name: string): HugepagePool | undefined {
  const pageSize = pageSizeOf(name);
  if (pageSize === undefined) return undefined;
  const total = readCount(files, root, name, "nr_hugepages");
  const free = readCount(files, root, name, "free_hugepages");
  const surplus = readCount(files, root, name, "surplus_hugepages");
  if (total === undefined || free === undefined || surplus === undefined) return undefined;
  const pageShift = pageSize.toString(2).length - 1;
  const counts = { pageSize, pageShift, total, free, surplus };
  if (files.text(join(root, name, "resv_hugepages")) === ENOENT) return readable({ ...counts, available: free });
  const reserved = readCount(files, root, name, "resv_hugepages");
  if (reserved === undefined) return undefined;
  return readable({ ...counts, reserved, available: Math.max(0, free - reserved) });
}

/** `hugepages-2048kB` is 2 MiB: the kernel's kB are 1024 bytes (`mm/hugetlb.c: hugetlb_add_hstate`). */
function pageSizeOf(name: string): bigint | undefined {
  const match = /^hugepages-([1-9][0-9]{0,16})kB$/.exec(name);
  if (match === null) return undefined;
  const pageSize = BigInt(match[1] as string) * 1024n;
  const possible = pageSize > 4096n && pageSize < 1n << 64n && (pageSize & (pageSize - 1n)) === 0n;
  return possible ? pageSize : undefined;
}

function readCount(files: MachineFiles, root: string, pool: string, file: string): number | undefined {
  const text = files.text(join(root, pool, file));
  if (typeof text === "number" || !/^[0-9]+\n?$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}
