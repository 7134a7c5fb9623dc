import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type MemorySource, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, GiB, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;
const TOP = 0x4000_0000_0000n;
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
  assert.is(kernel.mmap(at + 2n * MiB - page, 2n * page, RW, MapFlag.FIXED, 0), BigInt(-errno.EINVAL));
  assert.is(
    kernel.mmap(at - page, 2n * page, RW, MapFlag.FIXED, 0),
    BigInt(-errno.EINVAL),
    "nor by an edge of other memory",
  );
  const other = kernel.mmap(0n, 4n * MiB, RW, HUGE, 21);
  assert.is(kernel.mmap(other, 2n * MiB, RW, MapFlag.FIXED, 0), other, "a whole one can be replaced");
});

hugepages("go back to the pool one by one, each when neither the process nor a device needs it", () => {
  const kernel = modelKernel({ hugepages: { 21: 4 } });
  const program = new Rig(kernel).start();
  const at = kernel.mmap(0n, 8n * MiB, RW, HUGE, 21);
  const free = () => kernel.snapshot().hugepages[0]?.free;
  program.register(at + 2n * MiB, 2n * MiB);
  // Its edges lie inside hugepages: those are pinned in whole.
  program.register(at + 5n * MiB, 2n * MiB);
  assert.is(kernel.munmap(at, 8n * MiB), 0);
  assert.is(free(), 1);
  program.unregister(at + 2n * MiB, 2n * MiB);
  assert.is(free(), 2);
  program.unregister(at + 5n * MiB, 2n * MiB);
  assert.is(free(), 4);
});

hugepages("stay with a REGISTER that failed no longer than the call", () => {
  const kernel = modelKernel({ hugepages: { 21: 2 } });
  const program = new Rig(kernel).start();
  const at = kernel.mmap(0x3000_0000_0000n, 4n * MiB, RW, HUGE, 21);
  program.register(at, 2n * MiB);
  assert.is(program.register(at, 4n * MiB), -errno.EINVAL);
  assert.is(program.register(at + 2n * MiB, 4n * MiB), 512);
  kernel.munmap(at, 4n * MiB);
  assert.is(kernel.snapshot().hugepages[0]?.free, 1);
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
  const at = kernel.mmap(0x3000_0000_0000n, MiB, RW, 0, 0);
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

views("run over memory that was viewed, or touched by a device, in pieces: nobody looks at those any more", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const at = kernel.mmap(0x3000_0000_0000n, MiB, RW, 0, 0);
  kernel.mmap(at + MiB, MiB, RW, 0, 0);
  program.register(at, 2n * MiB);
  program.map(at, 0n, 2n * MiB);
  kernel.device(26).write(5000n, Uint8Array.of(1));
  const second = kernel.view(at + MiB, page);
  second[3] = 2;
  kernel.unview(second);
  const both = kernel.view(at, 2n * MiB);
  assert.equal([both[5000], both[2 ** 20 + 3]], [1, 2]);
  kernel.device(26).write(2n ** 20n - 1n, Uint8Array.of(3, 4));
  assert.equal([both[2 ** 20 - 1], both[2 ** 20]], [3, 4]);
  assert.is(kernel.view(at + MiB - 1n, 2n)[1], 4);
});

views("of large memory cost only what is looked at, and show what the device wrote there before", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const at = kernel.mmap(0n, 1024n * GiB, RW, 0, 0);
  const far = at + 900n * GiB;
  program.register(far, GiB);
  program.map(far, 0n, GiB);
  const before = process.memoryUsage().arrayBuffers;
  kernel.device(26).write(GiB - 1n, Uint8Array.of(7));
  const view = kernel.view(far + GiB - page, page);
  assert.is(view[4095], 7);
  view[0] = 8;
  const around = () => kernel.view(far + GiB - 2n * MiB, 2n * MiB);
  assert.throws(around, /being viewed on its own/);
  kernel.unview(view);
  const whole = around();
  assert.equal([whole[2 ** 21 - 4096], whole[2 ** 21 - 1]], [8, 7]);
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 2 ** 20);
  assert.throws(() => kernel.view(at, 5n * GiB), /at most 4 GiB/);
});

views("and devices leave alone what others have touched beside them", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const at = kernel.mmap(0x3000_0000_0000n, 8n * GiB, RW, 0, 0);
  program.register(at, 4n * MiB);
  program.map(at, 0n, 4n * MiB);
  const write = (iova: bigint, byte: number) => kernel.device(26).write(iova, Uint8Array.of(byte));
  const touch = (offset: bigint, length: bigint, byte: number) => {
    const view = kernel.view(at + offset, length);
    view[0] = byte;
    kernel.unview(view);
  };
  touch(10n * page, page, 1);
  write(20n * page, 2);
  write(5n * page, 3);
  touch(MiB + 10n * page, page, 4);
  write(MiB + 5n * page, 5);
  write(2n * MiB + 5n * page, 6);
  // Takes the last page of what the device touched and the one behind it; then one before it, and its first.
  touch(3n * MiB - page, 2n * page, 7);
  touch(2n * MiB - page, 2n * page, 8);
  const places = [10n, 20n, 5n, 266n, 261n, 517n, 767n, 511n];
  const byte = new Uint8Array(1);
  for (const [index, place] of places.entries()) {
    kernel.device(26).read(place * page, byte);
    assert.is(byte[0], index + 1, `page ${place}`);
  }
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

source("is where a device's data goes, as long as it is mapped there", () => {
  const bytes = new Uint8Array(16384);
  const asked: string[] = [];
  const base = 0x3000_0000_0000n;
  const memory: MemorySource = {
    mmap: () => base,
    munmap: () => 0,
    view(address, length) {
      asked.push(`view ${address - base} ${length}`);
      return bytes.subarray(Number(address - base), Number(address - base + length));
    },
    unview: () => asked.push("unview"),
    physicalAddresses: (_va, pages) => BigUint64Array.from({ length: pages }, (_, index) => BigInt(100 - index) * page),
  };
  for (const platform of ["powernv", "type1"] as const) {
    bytes.fill(0);
    const kernel = modelKernel({ memory, platform });
    const program = new Rig(kernel).start(26, platform === "type1" ? 3 : 7);
    const va = kernel.mmap(0n, 16384n, RW, 0, 0);
    if (platform === "powernv") program.register(va, 16384n);
    program.map(va, 0n, 16384n);
    asked.length = 0;
    assert.equal(kernel.device(26).write(page + 7n, Uint8Array.of(1, 2)), { bytes: 2 });
    assert.equal([bytes[4103], bytes[4104]], [1, 2]);
    assert.equal(asked, ["view 4096 4096", "unview"]);
    assert.is(kernel.munmap(va, page), 0);
    const touch = (iova: bigint) => kernel.device(26).read(iova, new Uint8Array(1));
    assert.throws(
      () => touch(0n),
      (error: unknown) => error instanceof ModelUnknown && /unmapped since/.test(error.situation),
    );
    assert.is(touch(page).bytes, 1);
    kernel.mmap(0n, 16384n, RW, 0, 0);
    assert.throws(() => touch(page), /unmapped since/);
  }
});

source("tells the model where a device without an IOMMU finds its pages", () => {
  const bytes = new Uint8Array(8192);
  const base = 0x3000_0000_0000n;
  const memory: MemorySource = {
    mmap: () => base,
    munmap: () => 0,
    view: (address, length) => bytes.subarray(Number(address - base), Number(address - base + length)),
    unview() {},
    physicalAddresses: (_va, pages) =>
      BigUint64Array.from({ length: pages }, (_, index) => (index === 0 ? 50n * page : 2n ** 64n - 1n)),
  };
  const kernel = modelKernel({ memory, platform: "noiommu" });
  new Rig(kernel).start("noiommu-26", 8);
  kernel.mmap(0n, 8192n, RW, 0, 0);
  assert.is(kernel.device(26).write(50n * page, Uint8Array.of(1)).fault?.why, "not mapped", "nobody has asked yet");
  kernel.physicalAddresses(base, 2, 4096);
  assert.is(kernel.device(26).write(50n * page + 9n, Uint8Array.of(4)).bytes, 1);
  assert.is(bytes[9], 4);
  assert.is(kernel.device(26).write(2n ** 64n - 1n, Uint8Array.of(4)).bytes, 0);
  kernel.munmap(base, page);
  assert.is(kernel.device(26).write(50n * page, Uint8Array.of(1)).bytes, 0);
});

source.run();
