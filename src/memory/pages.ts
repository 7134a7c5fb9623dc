/**
 * Memory from the operating system: address space kept for a list, and pages put into it.
 *
 * Space for hugepages is kept as hugepages, of which none is taken: it sets none aside (NORESERVE), and nobody can touch it.
 * POWER's hash MMU has one page size in each slice of address space, 256 MiB long below 4 GiB and 1 TiB above. It answers EBUSY to
 * a hugepage in a slice where anything of another size is mapped, even if that is the very space that the hugepage would take
 * (arch/powerpc/mm/book3s64/slice.c: slice_get_unmapped_area).
 */
import { type DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";
import { bindTo, checkNodePool } from "./node.ts";

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
 * Puts pages into kept address space, every one present; those of a NUMA node, where one is named. @throws `ERR_KERNEL`,
 * `ERR_NODE_FULL`; the address space stays kept.
 */
export function populate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number, node?: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const pageSize = 1n << BigInt(pageShift);
  const facts = { va, length, pageSize, hugetlb: flags !== 0, ...(node === undefined ? {} : { node }) };
  if (node !== undefined && flags !== 0) checkNodePool(kernel, node, pageSize, length);
  // Pages that mmap populates come from any node: they are bound first, and are made present then.
  const how = MapFlag.FIXED | (node === undefined ? MapFlag.POPULATE : 0) | flags;
  const answer = kernel.mmap(va, length, Protection.READ | Protection.WRITE, how, hugePageShift);
  try {
    if (answer < 0n)
      throw refused(kernel, "mmap", answer, `of ${bytes(length)} in ${bytes(pageSize)} pages at ${hex(va)}`, facts);
    if (node === undefined) return;
    bindTo(kernel, va, length, node, facts);
    const absent = kernel.populate?.(va, length) ?? 0;
    if (absent < 0) {
      const about = `not all of ${bytes(length)} at ${hex(va)} can be had from NUMA node ${node}`;
      throw refused(kernel, "madvise", BigInt(absent), about, facts);
    }
  } catch (error) {
    // A FIXED mmap may have unmapped what was there before it failed.
    throw withResidue(
      error,
      leftBy(() => vacate(kernel, va, length, pageShift)),
    );
  }
}

/** Takes pages out again; the address space stays kept. @throws `ERR_KERNEL`. */
export function vacate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const how = MapFlag.FIXED | MapFlag.NORESERVE | flags;
  const answer = kernel.mmap(va, length, Protection.NONE, how, hugePageShift);
  if (answer < 0n)
    throw refused(kernel, "mmap", answer, `of ${bytes(length)} of address space at ${hex(va)}`, {
      va,
      length,
      onlyKept: true,
    });
}

/** Gives address space back. @throws `ERR_KERNEL`. */
export function release(kernel: Syscalls, va: bigint, length: bigint): void {
  const answer = kernel.munmap(va, length);
  if (answer < 0) throw refused(kernel, "munmap", BigInt(answer), `of ${bytes(length)} at ${hex(va)}`, { va, length });
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
