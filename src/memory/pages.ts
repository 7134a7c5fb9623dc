/**
 * Memory from the operating system: address space kept for a list, and pages put into it.
 *
 * Space for hugepages is kept as hugepages, of which none is taken: it sets none aside (NORESERVE), and nobody can touch it.
 * POWER's hash MMU has one page size in each slice of address space, 256 MiB long below 4 GiB and 1 TiB above. It answers EBUSY to
 * a hugepage in a slice where anything of another size is mapped, even if that is the very space that the hugepage would take
 * (arch/powerpc/mm/book3s64/slice.c: slice_get_unmapped_area).
 */
import { DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";

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
  throw refused("mmap", base, `of ${bytes(length)} of address space for ${bytes(1n << BigInt(pageShift))} pages`);
}

/** Puts pages into kept address space, every one present. @throws `ERR_KERNEL`; the address space stays kept. */
export function populate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const how = MapFlag.FIXED | MapFlag.POPULATE | flags;
  const about = `of ${bytes(length)} in ${bytes(1n << BigInt(pageShift))} pages at ${hex(va)}`;
  let refusal: unknown;
  try {
    const answer = kernel.mmap(va, length, Protection.READ | Protection.WRITE, how, hugePageShift);
    if (answer >= 0n) return;
    refusal = refused("mmap", answer, about);
  } catch (error) {
    refusal = error;
  }
  // A FIXED mmap may have unmapped what was there before it failed, and one that threw may have put pages there.
  throw withResidue(
    refusal,
    leftBy(() => vacate(kernel, va, length, pageShift)),
  );
}

/** Takes pages out again; the address space stays kept. @throws `ERR_KERNEL`. */
export function vacate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number): void {
  const { flags, hugePageShift } = pagesOf(kernel, pageShift);
  const how = MapFlag.FIXED | MapFlag.NORESERVE | flags;
  const about = `of ${bytes(length)} of address space at ${hex(va)}`;
  const answer = naming("mmap", about, () => kernel.mmap(va, length, Protection.NONE, how, hugePageShift));
  if (answer < 0n) throw refused("mmap", answer, about);
}

/** Gives address space back. @throws `ERR_KERNEL`. */
export function release(kernel: Syscalls, va: bigint, length: bigint): void {
  const about = `of ${bytes(length)} at ${hex(va)}`;
  const answer = naming("munmap", about, () => kernel.munmap(va, length));
  if (answer < 0) throw refused("munmap", BigInt(answer), about);
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

function refused(syscall: string, answer: bigint, about: string): DmaWindowError {
  return refusedByKernel(syscall, Number(answer), { about: `${syscall} ${about}` }); // an errno: -4095 to -1
}
