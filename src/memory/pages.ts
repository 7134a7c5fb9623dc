/**
 * Memory from the operating system: address space kept for a list, and pages put into it.
 *
 * Space for hugepages is kept as hugepages, of which none is taken: it sets none aside (NORESERVE), and nobody can touch it.
 * POWER's hash MMU has one page size in each slice of address space, 256 MiB long below 4 GiB and 1 TiB above. It answers EBUSY to
 * a hugepage in a slice where anything of another size is mapped, even if that is the very space that the hugepage would take
 * (arch/powerpc/mm/book3s64/slice.c: slice_get_unmapped_area).
 */
import { DmaWindowError } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { guards, sentence } from "../guards.ts";
import { bytes, hex } from "../hex.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";
import { hugetlbLimit, memoryLimit } from "../system/cgroups.ts";
import { poolIn } from "../system/hugepages.ts";
import { bindTo, checkNodePool } from "./node.ts";

const READ_WRITE = Protection.READ | Protection.WRITE;

/** From here on it is looked at whether a memory cgroup has room: less of it is not what gets a process killed. */
const LARGE = 1n << 20n;

/** How mmap is told of a list's pages. */
function pagesOf(kernel: Syscalls, pageShift: number): { readonly flags: number; readonly hugePageShift: number } {
  const huge = 1n << BigInt(pageShift) > BigInt(kernel.pageSize);
  return huge ? { flags: MapFlag.HUGETLB, hugePageShift: pageShift } : { flags: 0, hugePageShift: 0 };
}

/**
 * Keeps `length` bytes of address space for pages of 2^`pageShift` bytes, near `near` if it is free there. Nothing is in it:
 * touching it faults. It begins with a page wherever the kernel puts it: hugepages lie on their own size
 * (mm/hugetlb.c: hugetlb_get_unmapped_area). @throws `ERR_KERNEL`.
 */
export function reserveSpace(kernel: Syscalls, length: bigint, pageShift: number, near: bigint): bigint {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const base = kernel.mmap(near, length, Protection.NONE, MapFlag.NORESERVE | flags, hugePageShift);
  if (base >= 0n) return base;
  const about = `of ${bytes(length)} of address space for ${bytes(1n << BigInt(pageShift))} pages`;
  const facts = { length, pageSize: 1n << BigInt(pageShift), hugetlb: flags !== 0, onlyKept: true };
  throw refused(kernel, "mmap", base, about, facts);
}

/**
 * Refuses what cannot be there, before anything is changed. @throws `ERR_NODE_FULL`; `ERR_MEMORY_LIMIT` where a memory cgroup would
 * have the process killed (facts: length, limit).
 */
export function checkRoom(kernel: Syscalls, length: bigint, pageShift: number, node?: number): void {
  const isHuge = pagesOf(kernel, pageShift).flags !== 0;
  if (!isHuge) checkMemoryLimit(kernel, length);
  else if (node !== undefined) checkNodePool(kernel, node, 1n << BigInt(pageShift), length);
}

/**
 * Puts pages into kept address space, every one present; those of a NUMA node, where one is named. Not by the word of mmap, which
 * succeeds where a cgroup allows fewer hugepages than the pool has, but by that of a call that answers. When it throws the caller
 * makes address space of the range again.
 *
 * @throws `ERR_KERNEL` of mmap, of mbind, or of madvise where not all are present (facts: va, length, pageSize, pool, limit).
 */
export function populate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number, node?: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const isHuge = flags !== 0;
  const pageSize = 1n << BigInt(pageShift);
  const facts = { va, length, pageSize, hugetlb: isHuge, ...(node === undefined ? {} : { node }) };
  // Pages that mmap populates come from any node: they are bound first, and are made present then.
  const how = MapFlag.FIXED | (node === undefined ? MapFlag.POPULATE : 0) | flags;
  const about = `of ${bytes(length)} in ${bytes(pageSize)} pages at ${hex(va)}`;
  const answer = naming("mmap", about, () => kernel.mmap(va, length, READ_WRITE, how, hugePageShift));
  if (answer < 0n) throw refused(kernel, "mmap", answer, about, facts);
  if (node !== undefined) bindTo(kernel, va, length, node, facts);
  const absent = kernel.populate?.(va, length) ?? 0;
  if (absent >= 0) return;
  replace(kernel, va, length); // so that pages which came before it are not counted as another's
  throw notPresent(kernel, absent, facts);
}

/** What was asked for, as the facts of a refusal say it. */
interface Wanted {
  readonly va: bigint;
  readonly length: bigint;
  readonly pageSize: bigint;
  readonly hugetlb: boolean;
  readonly node?: number;
}

/** Pages of which one is not there: how many the pool has, and how many a cgroup allows. */
function notPresent({ files }: Syscalls, answer: number, wanted: Wanted): DmaWindowError {
  const { va, length, pageSize, hugetlb, node } = wanted;
  const pool = files && hugetlb ? poolIn(files, pageSize) : undefined;
  const limit = files && (hugetlb ? hugetlbLimit(files, pageSize) : memoryLimit(files));
  const known = [
    ...(pool ? [`the pool (${pool.directory}) has ${pool.free} of ${pool.total} free`] : []),
    ...(limit ? [`${limit.file} allows ${bytes(limit.limit)}, of which ${bytes(limit.used)} are used`] : []),
  ];
  const facts = { ...wanted, ...(pool ? { pool } : {}), ...(limit ? { limit } : {}) };
  const numbers = known.length === 0 ? "" : ` (${known.join("; ")})`;
  const from = node === undefined ? "" : ` from NUMA node ${node}`;
  const about = `not all of ${length / pageSize} pages of ${bytes(pageSize)} at ${hex(va)} can be had${from}${numbers}`;
  return refusedByKernel("madvise", answer, { about, files, facts });
}

/** More than a memory cgroup allows is not refused by the kernel: it kills (`mm/oom_kill.c: out_of_memory`). */
function checkMemoryLimit({ files }: Syscalls, length: bigint): void {
  if (length < LARGE || files === undefined) return;
  const limit = memoryLimit(files);
  if (limit === undefined || limit.limit - limit.used + limit.reclaimable >= length) return;
  throw new DmaWindowError(
    "ERR_MEMORY_LIMIT",
    `${bytes(length)} are more than the memory cgroup has room for: ${limit.file} allows ${bytes(limit.limit)}, of which ` +
      `${bytes(limit.used)} are used; the kernel would kill a process. ${sentence(guards.memoryCgroup)}: allocate less, or raise it`,
    { facts: { length, limit } },
  );
}

/**
 * Puts ordinary memory where pages were, none of it taken before it is touched: what still leads there stays harmless. Gives
 * whether the kernel did so; where not, the pages stay.
 */
export function replace(kernel: Syscalls, va: bigint, length: bigint): boolean {
  return kernel.mmap(va, length, READ_WRITE, MapFlag.FIXED | MapFlag.NORESERVE, 0) >= 0n;
}

/** Takes pages out again; the address space stays kept. @throws `ERR_KERNEL`. */
export function vacate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const how = MapFlag.FIXED | MapFlag.NORESERVE | flags;
  const about = `of ${bytes(length)} of address space at ${hex(va)}`;
  const answer = naming("mmap", about, () => kernel.mmap(va, length, Protection.NONE, how, hugePageShift));
  if (answer < 0n) throw refused(kernel, "mmap", answer, about, { va, length, onlyKept: true });
}

/** Gives address space back. @throws `ERR_KERNEL`. */
export function release(kernel: Syscalls, va: bigint, length: bigint): void {
  const about = `of ${bytes(length)} at ${hex(va)}`;
  const answer = naming("munmap", about, () => kernel.munmap(va, length));
  if (answer < 0) throw refused(kernel, "munmap", BigInt(answer), about, { va, length });
}

/** An interface that throws does not know what it was asked about. */
function naming<R>(syscall: string, about: string, call: () => R): R {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof DmaWindowError) || error.code !== "ERR_INTERFACE") throw error;
    const { code, message, cause } = error;
    throw new DmaWindowError(code, `${syscall} ${about}: ${message}`, { syscall, cause });
  }
}

function refused(
  { files }: Syscalls,
  syscall: string,
  answer: bigint,
  about: string,
  facts: Readonly<Record<string, unknown>>,
): DmaWindowError {
  return refusedByKernel(syscall, Number(answer), { about: `${syscall} ${about}`, files, facts }); // an errno: -4095 to -1
}
