/** Memory from the operating system: address space kept for a list, and pages put into it. */
import { type DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";

/**
 * Keeps `length` bytes of address space at a multiple of `pageSize`, near `near` if it is free there. Nothing is in it:
 * touching it faults. @throws `ERR_KERNEL`.
 */
export function reserveSpace(kernel: Syscalls, length: bigint, pageSize: bigint, near: bigint): bigint {
  // One page more than is needed holds an aligned start wherever the kernel puts it; the rest is given back.
  const whole = length + pageSize;
  const start = kernel.mmap(near, whole, Protection.NONE, MapFlag.NORESERVE, 0);
  if (start < 0n) throw refused("mmap", start, `of ${bytes(whole)} of address space`);
  const base = ((start + pageSize - 1n) / pageSize) * pageSize;
  const end = base + length;
  const wholeEnd = start + whole;
  // What is released is no longer ours: another thread may have it by the next line.
  let ours = start;
  try {
    if (base > start) release(kernel, start, base - start);
    ours = base;
    if (wholeEnd > end) release(kernel, end, wholeEnd - end);
  } catch (error) {
    throw withResidue(
      error,
      leftBy(() => release(kernel, ours, wholeEnd - ours)),
    );
  }
  return base;
}

/** Puts pages into kept address space, every one present. @throws `ERR_KERNEL`; the address space stays kept. */
export function populate(kernel: Syscalls, va: bigint, length: bigint, pageShift: number): void {
  const huge = 1n << BigInt(pageShift) > BigInt(kernel.pageSize);
  const flags = MapFlag.FIXED | MapFlag.POPULATE | (huge ? MapFlag.HUGETLB : 0);
  const answer = kernel.mmap(va, length, Protection.READ | Protection.WRITE, flags, huge ? pageShift : 0);
  if (answer >= 0n) return;
  const refusal = refused(
    "mmap",
    answer,
    `of ${bytes(length)} in ${bytes(1n << BigInt(pageShift))} pages at ${hex(va)}`,
  );
  // A FIXED mmap may have unmapped what was there before it failed.
  throw withResidue(
    refusal,
    leftBy(() => vacate(kernel, va, length)),
  );
}

/** Takes pages out again; the address space stays kept. @throws `ERR_KERNEL`. */
export function vacate(kernel: Syscalls, va: bigint, length: bigint): void {
  const answer = kernel.mmap(va, length, Protection.NONE, MapFlag.FIXED | MapFlag.NORESERVE, 0);
  if (answer < 0n) throw refused("mmap", answer, `of ${bytes(length)} of address space at ${hex(va)}`);
}

/** Gives address space back. @throws `ERR_KERNEL`. */
export function release(kernel: Syscalls, va: bigint, length: bigint): void {
  const answer = kernel.munmap(va, length);
  if (answer < 0) throw refused("munmap", BigInt(answer), `of ${bytes(length)} at ${hex(va)}`);
}

function refused(syscall: string, answer: bigint, about: string): DmaWindowError {
  return refusedByKernel(syscall, Number(answer), { about: `${syscall} ${about}` }); // an errno: -4095 to -1
}
