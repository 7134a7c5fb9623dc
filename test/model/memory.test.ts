import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type MemorySource, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, GiB, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;
const TOP = 0x7fff_ffff_f000n;
const HUGE = MapFlag.HUGETLB;

const placing = suite("simulated memory: where it goes");

placing("downwards from the top, into the highest gap that is large enough", () => {
  const kernel = modelKernel();
  const [a, b, c] = [page, MiB, page].map((size) => kernel.mmap(0n, size, RW, 0, 0)) as [bigint, bigint, bigint];
  assert.is(a, TOP - page);
  assert.is(b, a - MiB);
  assert.is(c, b - page);
  assert.is(kernel.munmap(b, MiB), 0);
  assert.is(kernel.mmap(0n, 2n * MiB, RW, 0, 0), c - 2n * MiB, "too large for the gap");
  assert.is(kernel.mmap(0n, MiB, RW, 0, 0), b);
});

placing("rounds sizes up to whole pages of the CPU", () => {
  const kernel = modelKernel({ pageSize: 65536 });
  const first = kernel.mmap(0n, 1n, RW, 0, 0);
  assert.is(first, 0x7fff_fffe_0000n);
  assert.is(kernel.mmap(0n, 65537n, RW, 0, 0), first - 131072n);
});

placing("at a hint when that is free, elsewhere when not", () => {
  const kernel = modelKernel();
  const hint = 0x1234_0000_0000n;
  assert.is(kernel.mmap(hint, MiB, RW, 0, 0), hint);
  assert.is(kernel.mmap(hint + MiB - page, MiB, RW, 0, 0), TOP - MiB);
  assert.is(kernel.mmap(hint - page + 1n, page, RW, 0, 0), hint - page, "an unaligned hint is no mistake");
  assert.is(kernel.mmap(2n ** 64n - page, page, RW, 0, 0), TOP - MiB - page);
});

placing("exactly with FIXED, replacing what is there; with NOREPLACE answers EEXIST instead", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, 4n * MiB, Protection.NONE, MapFlag.NORESERVE, 0);
  assert.is(kernel.mmap(at + MiB, MiB, RW, MapFlag.FIXED, 0), at + MiB);
  assert.is(kernel.mmap(at + MiB, MiB, RW, MapFlag.FIXED_NOREPLACE, 0), BigInt(-errno.EEXIST));
  assert.is(kernel.mmap(at - MiB, MiB, RW, MapFlag.FIXED_NOREPLACE, 0), at - MiB);
  const program = new Rig(kernel).start();
  assert.is(program.register(at, MiB), -errno.EFAULT);
  assert.is(program.register(at + MiB, 2n * MiB), 256, "what follows is still only reserved");
  assert.is(program.register(at + MiB, MiB), 0);
});

placing("and refuses what cannot be", () => {
  const kernel = modelKernel();
  const fixed = (at: bigint, length = page) => kernel.mmap(at, length, RW, MapFlag.FIXED, 0);
  assert.is(fixed(0x1000_0001n), BigInt(-errno.EINVAL));
  assert.is(fixed(0x1000_0000n, 0n), BigInt(-errno.EINVAL));
  assert.is(fixed(0x1000n), BigInt(-errno.EPERM));
  assert.is(fixed(TOP), BigInt(-errno.ENOMEM));
  assert.is(fixed(TOP - page, 2n * page), BigInt(-errno.ENOMEM));
  assert.is(kernel.mmap(0n, 1n << 47n, RW, 0, 0), BigInt(-errno.ENOMEM));
  assert.is(kernel.mmap(0n, 2n ** 64n - 1n, RW, 0, 0), BigInt(-errno.ENOMEM));
  assert.throws(() => fixed(-1n), /0\.\.2\^64-1/);
  assert.throws(() => kernel.mmap(0n, 1n << 64n, RW, 0, 0), /0\.\.2\^64-1/);
});

placing("munmap cuts areas, and is content with nothing", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, 4n * page, RW, 0, 0);
  assert.is(kernel.munmap(at + page, page), 0);
  assert.is(kernel.munmap(at + page, page), 0);
  const program = new Rig(kernel).start();
  assert.is(program.register(at, 4n * page), 1);
  assert.is(program.register(at + 2n * page, 2n * page), 0);
  assert.is(kernel.munmap(at + 1n, page), -errno.EINVAL);
  assert.is(kernel.munmap(at, 0n), -errno.EINVAL);
  assert.is(kernel.munmap(TOP, page), -errno.EINVAL);
});

placing.run();

const hugepages = suite("simulated memory: hugepages");

hugepages("lie on their own size, and come out of the pool until it is empty", () => {
  const kernel = modelKernel({ hugepages: { 21: 3, 30: 1 } });
  kernel.mmap(0n, page, RW, 0, 0);
  const at = kernel.mmap(0n, 3n * MiB, RW, HUGE, 21);
  assert.is(at % (2n * MiB), 0n);
  assert.is(kernel.mmap(0n, 4n * MiB, RW, HUGE, 21), BigInt(-errno.ENOMEM), "3 MiB took two of three");
  assert.ok(kernel.mmap(0n, 2n * MiB, RW, HUGE, 21) > 0n);
  assert.is(kernel.munmap(at, 4n * MiB), 0);
  assert.ok(kernel.mmap(0n, 4n * MiB, RW, HUGE, 21) > 0n);
  assert.is(kernel.mmap(0n, GiB, RW, HUGE, 30) % GiB, 0n);
});

hugepages("of a size that the machine does not have answer EINVAL; of none are unknown", () => {
  const kernel = modelKernel({ hugepages: { 21: 1 } });
  assert.is(kernel.mmap(0n, GiB, RW, HUGE, 30), BigInt(-errno.EINVAL));
  assert.throws(
    () => kernel.mmap(0n, GiB, RW, HUGE, 0),
    (error: unknown) => error instanceof ModelUnknown,
  );
});

hugepages("are not taken by address space that is only kept", () => {
  const kernel = modelKernel({ hugepages: { 21: 1 } });
  const at = kernel.mmap(0n, GiB, Protection.NONE, HUGE | MapFlag.NORESERVE, 21);
  assert.ok(at > 0n);
  assert.is(kernel.mmap(at, 2n * MiB, RW, HUGE | MapFlag.FIXED, 21), at);
  assert.is(kernel.mmap(at + 2n * MiB, 2n * MiB, RW, HUGE | MapFlag.FIXED, 21), BigInt(-errno.ENOMEM));
  assert.is(kernel.munmap(at, GiB), 0);
  assert.ok(kernel.mmap(0n, 2n * MiB, RW, HUGE, 21) > 0n);
});

hugepages("cannot be cut", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, 4n * MiB, RW, HUGE, 21);
  assert.is(kernel.munmap(at, page), -errno.EINVAL);
  assert.is(kernel.munmap(at + page, 2n * MiB), -errno.EINVAL);
  assert.is(kernel.munmap(at + 2n * MiB, 2n * MiB), 0);
  assert.is(kernel.mmap(at + page, 2n * MiB, RW, HUGE | MapFlag.FIXED, 21), BigInt(-errno.EINVAL));
});

hugepages.run();

const views = suite("simulated memory: its bytes");

views("are zero at first, the same in every view, and outlive a view", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, 4n * MiB, RW, HUGE, 21);
  const whole = kernel.view(at, 4n * MiB);
  assert.is(whole.length, 4194304);
  assert.ok(whole.every((byte) => byte === 0));
  whole[2 ** 21 + 5] = 7;
  kernel.unview(whole);
  assert.is(kernel.view(at + 2n * MiB + 5n, 1n)[0], 7);
});

views("have length 0 once they are ended, as on Linux, when no other view shares their storage", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, MiB, RW, 0, 0);
  const [one, other] = [kernel.view(at, MiB), kernel.view(at + page, page)];
  one[4096] = 5;
  kernel.unview(one);
  assert.is(other[0], 5);
  kernel.unview(other);
  assert.equal([one.length, other.length], [0, 0]);
  assert.is(kernel.view(at + page, page)[0], 5);
});

views("are ended once, and by the kernel that made them", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, MiB, RW, 0, 0);
  const view = kernel.view(at, MiB);
  assert.throws(() => modelKernel().unview(view), /a view that this kernel made and has not ended/);
  assert.throws(() => kernel.unview(view.subarray(1)), /a view that this kernel made/);
  assert.throws(() => kernel.unview(undefined as never), /a view that this kernel made/);
  kernel.unview(view);
  assert.throws(() => kernel.unview(view), /has not ended/);
});

views("cover neighbours that were mmapped one by one", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, GiB, Protection.NONE, MapFlag.NORESERVE, 0);
  for (const offset of [0n, MiB]) kernel.mmap(at + offset, MiB, RW, MapFlag.FIXED, 0);
  const both = kernel.view(at, 2n * MiB);
  both[2 ** 20] = 9;
  assert.is(kernel.view(at + MiB, page)[0], 9);
});

views("refuse memory that is not there, may not be touched, or was viewed in parts before", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0x7000_0000_0000n, MiB, RW, 0, 0);
  kernel.mmap(at + MiB, MiB, RW, 0, 0);
  for (const [from, size] of [
    [at - page, page],
    [at + MiB, 2n * MiB],
    [at, 0n],
    [kernel.mmap(0n, page, Protection.READ, 0, 0), page],
    [kernel.mmap(0n, page, Protection.NONE, 0, 0), page],
  ] as const) {
    assert.throws(
      () => kernel.view(from, size),
      (error: unknown) => error instanceof RangeError,
    );
  }
  kernel.view(at, page);
  assert.throws(() => kernel.view(at, 2n * MiB), /viewed on its own/);
  assert.is(kernel.view(at, MiB).length, 2 ** 20, "a view makes the whole area's bytes");
});

views("are zero again after munmap and mmap", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, MiB, RW, 0, 0);
  kernel.view(at, MiB).fill(1);
  kernel.munmap(at, MiB);
  kernel.mmap(at, MiB, RW, MapFlag.FIXED, 0);
  assert.is(kernel.view(at, MiB)[0], 0);
});

views("outlive a cut of their area", () => {
  const kernel = modelKernel();
  const at = kernel.mmap(0n, 4n * page, RW, 0, 0);
  kernel.view(at, 4n * page)[3 * 4096] = 5;
  kernel.munmap(at + page, page);
  assert.is(kernel.view(at + 3n * page, page)[0], 5);
  assert.throws(
    () => kernel.view(at, 4n * page),
    (error: unknown) => error instanceof RangeError,
  );
});

views.run();

const source = suite("memory of another source");

/** Hands out addresses, and notes what it is asked. */
function noting(): MemorySource & { readonly asked: unknown[] } {
  const asked: unknown[] = [];
  let next = 0x5555_0000_0000n;
  return {
    asked,
    mmap(...parameters) {
      asked.push(["mmap", ...parameters]);
      if (parameters[1] > GiB) return BigInt(-errno.ENOMEM);
      next += GiB;
      return next;
    },
    munmap(address, length) {
      asked.push(["munmap", address, length]);
      return address === 1n ? -errno.EINVAL : 0;
    },
    view: (_address, length) => new Uint8Array(Number(length)),
    unview: (view) => asked.push(["unview", view.length]),
    physicalAddresses: (_va, pages) => new BigUint64Array(pages),
  };
}

source("does the work, and the model keeps the record that REGISTER needs", () => {
  const memory = noting();
  const kernel = modelKernel({ memory });
  const program = new Rig(kernel).start();
  const va = kernel.mmap(7n, 100n, RW, HUGE, 21);
  assert.equal(memory.asked, [["mmap", 7n, 100n, RW, HUGE, 21]]);
  assert.is(program.register(va, 2n * MiB), 0, "one hugepage");
  program.remove(0n);
  program.create(21, GiB);
  assert.is(program.map(va, 0n, 2n * MiB), 0);
  assert.is(kernel.munmap(va, 2n * MiB), 0);
  program.unmap(0n, 2n * MiB);
  program.unregister(va, 2n * MiB);
  assert.is(program.register(va, 2n * MiB), -errno.EFAULT);
});

source("that says no changes nothing in the record", () => {
  const memory = noting();
  const kernel = modelKernel({ memory });
  const program = new Rig(kernel).start();
  assert.is(kernel.mmap(0n, 2n * GiB, RW, 0, 0), BigInt(-errno.ENOMEM));
  const va = kernel.mmap(0n, page, RW, 0, 0);
  assert.is(kernel.munmap(1n, page), -errno.EINVAL);
  assert.is(program.register(va, page), 0);
  assert.is(kernel.view(va, page).length, 4096);
  kernel.unview(kernel.view(va, 8n));
  assert.equal(memory.asked.at(-1), ["unview", 8]);
});

source.run();
