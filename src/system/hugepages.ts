/**
 * The hugetlb pools of the machine, from /sys/kernel/mm/hugepages (`mm/hugetlb.c: hugetlb_sysfs_add_hstate`):
 *
 *     hugepages-2048kB/nr_hugepages        pages in the pool, in use or not
 *                      free_hugepages      of these, not handed out
 *                      resv_hugepages      of the free ones, promised to mappings that have not touched them yet
 *                      surplus_hugepages   of all, borrowed above the pool's configured size
 *
 * The directory's name is trusted for the page size, and the files for their numbers. The four are read one after the
 * other while other processes take pages, so together they are a picture, not an account: whether there are enough pages
 * is known when mmap and the first touch have succeeded, and not before.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkPath, isAbsent, isSystemError, unreadable } from "./files.ts";

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
  /** Free pages that are promised to mappings. */
  readonly reserved: number;
  /** Pages above the pool's configured size; they leave the pool when they are freed. */
  readonly surplus: number;
  /** Pages that a new mapping can count on: `free - reserved`, never below 0. */
  readonly available: number;
}

/**
 * The pools, ascending by page size; none when the kernel has no hugetlb (the directory does not exist).
 *
 * An entry that is no pool (another name, a size that is not a power of two) is passed over, and so is a pool whose
 * counts are missing, unreadable or no numbers: one odd pool does not cost the others.
 * Throws a DmaWindowError `ERR_HUGEPAGES_UNREADABLE` with the errno when the directory exists and cannot be listed.
 */
export function readHugepages(root = "/sys/kernel/mm/hugepages"): HugepagePool[] {
  checkPath("root", root);
  return list(root)
    .map((name) => readPool(root, name))
    .filter((pool) => pool !== undefined)
    .sort((a, b) => a.pageShift - b.pageShift);
}

function list(root: string): string[] {
  try {
    return readdirSync(root);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw unreadable("ERR_HUGEPAGES_UNREADABLE", root, "Mount sysfs, or use memory of the CPU's page size.", error);
  }
}

function readPool(root: string, name: string): HugepagePool | undefined {
  const pageSize = pageSizeOf(name);
  if (pageSize === undefined) return undefined;
  const total = readCount(root, name, "nr_hugepages");
  const free = readCount(root, name, "free_hugepages");
  const reserved = readCount(root, name, "resv_hugepages");
  const surplus = readCount(root, name, "surplus_hugepages");
  if (total === undefined || free === undefined || reserved === undefined || surplus === undefined) return undefined;
  const pageShift = pageSize.toString(2).length - 1;
  return { pageSize, pageShift, total, free, reserved, surplus, available: Math.max(0, free - reserved) };
}

/** `hugepages-2048kB` is 2 MiB: the kernel's kB are 1024 bytes (`mm/hugetlb.c: hugetlb_add_hstate`). */
function pageSizeOf(name: string): bigint | undefined {
  const match = /^hugepages-([1-9][0-9]{0,16})kB$/.exec(name);
  if (match === null) return undefined;
  const pageSize = BigInt(match[1] as string) * 1024n;
  const possible = pageSize > 4096n && pageSize < 1n << 64n && (pageSize & (pageSize - 1n)) === 0n;
  return possible ? pageSize : undefined;
}

function readCount(root: string, pool: string, file: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(join(root, pool, file), "utf8");
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
  if (!/^[0-9]+\n?$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}
