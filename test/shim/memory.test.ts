import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel, linuxMemory } from "../../src/linux/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, refuses, withShim } from "./native.ts";

const readWrite = Protection.READ | Protection.WRITE;

/** What /proc/self/smaps says of the mapping that holds the address: its permissions, resident kB, and flags. */
function mappingAt(address: bigint) {
  const text = readFileSync("/proc/self/smaps", "utf8");
  for (const entry of text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start, end, permissions] = entry.match(/^([0-9a-f]+)-([0-9a-f]+) (\S+)/) ?? [];
    if (start === undefined || address < BigInt(`0x${start}`) || address >= BigInt(`0x${end}`)) continue;
    const residentKilobytes = Number(entry.match(/^Rss:\s*(\d+) kB/m)?.[1]);
    return {
      permissions,
      residentKilobytes,
      flags: entry
        .match(/^VmFlags: (.*)$/m)?.[1]
        ?.trim()
        .split(" "),
    };
  }
  return undefined;
}

withShim(
  (shim) => {
    const page = BigInt(shim.pageSize());
    const length = 16n * page;

    test("memory can be mmapped, written through a view, read through another one, and given back", () => {
      const address = shim.mmap(0n, length, readWrite, 0, 0);
      assert.ok(address > 0n && address % page === 0n);
      const written = shim.view(address, length);
      assert.is(written.byteLength, Number(length));
      const bytes = new Uint8Array(written);
      assert.ok(bytes.every((byte) => byte === 0));
      bytes.set([1, 2, 3], Number(page));
      // A second view, of a part: both are the same memory, not copies.
      const part = shim.view(address + page, 3n);
      assert.equal([...new Uint8Array(part)], [1, 2, 3]);
      new Uint8Array(part)[0] = 9;
      assert.is(bytes[Number(page)], 9);
      shim.detach(part);
      shim.detach(written);
      assert.is(shim.munmap(address, length), 0);
      assert.is(mappingAt(address), undefined);
    });

    test("a view that has ended has length 0, can be ended again, and its memory stays until munmap", () => {
      const address = shim.mmap(0n, page, readWrite, 0, 0);
      const buffer = shim.view(address, page);
      const bytes = new Uint8Array(buffer);
      bytes[0] = 7;
      shim.detach(buffer);
      assert.is(buffer.byteLength, 0);
      assert.is(bytes.length, 0);
      assert.is(bytes[0], undefined);
      shim.detach(buffer);
      const again = shim.view(address, page);
      assert.is(new Uint8Array(again)[0], 7);
      shim.detach(again);
      assert.is(shim.munmap(address, page), 0);
    });

    test("address space can be kept without memory, and pages put into it exactly where they are wanted", () => {
      const kept = shim.mmap(0n, length, Protection.NONE, MapFlag.NORESERVE, 0);
      assert.is(mappingAt(kept)?.permissions, "---p");
      assert.ok(mappingAt(kept)?.flags?.includes("nr"));

      const inside = kept + 4n * page;
      assert.is(shim.mmap(inside, 4n * page, readWrite, MapFlag.FIXED | MapFlag.POPULATE, 0), inside);
      assert.is(mappingAt(inside)?.permissions, "rw-p");
      assert.is(
        mappingAt(inside)?.residentKilobytes,
        Number((4n * page) >> 10n),
        "populated before anything touched it",
      );
      assert.is(mappingAt(kept)?.permissions, "---p");
      assert.is(mappingAt(inside + 4n * page)?.permissions, "---p");
      assert.is(shim.munmap(kept, length), 0);
    });

    test("without POPULATE no page is there until it is touched", () => {
      // Between pages that nobody may touch: beside other memory it would be one mapping with that.
      const around = shim.mmap(0n, length, Protection.NONE, 0, 0);
      const address = shim.mmap(around + page, page, readWrite, MapFlag.FIXED, 0);
      assert.is(address, around + page);
      assert.is(mappingAt(address)?.residentKilobytes, 0);
      assert.is(shim.munmap(around, length), 0);
    });

    test("FIXED_NOREPLACE says -EEXIST where something is mapped, and takes the place where nothing is", () => {
      const address = shim.mmap(0n, length, readWrite, 0, 0);
      assert.is(shim.mmap(address, page, readWrite, MapFlag.FIXED_NOREPLACE, 0), BigInt(errno("EEXIST")));
      assert.is(shim.munmap(address, length), 0);
      assert.is(shim.mmap(address, page, readWrite, MapFlag.FIXED_NOREPLACE, 0), address);
      assert.is(shim.munmap(address, page), 0);
    });

    test("memory can be readable only", () => {
      const address = shim.mmap(0n, page, Protection.READ, 0, 0);
      assert.is(mappingAt(address)?.permissions, "r--p");
      assert.is(shim.munmap(address, page), 0);
    });

    test("what the kernel does not do it says as -errno", () => {
      const address = shim.mmap(0n, page, readWrite, 0, 0);
      assert.is(shim.mmap(0n, 0n, readWrite, 0, 0), BigInt(errno("EINVAL")));
      assert.is(shim.mmap(address + 1n, page, readWrite, MapFlag.FIXED, 0), BigInt(errno("EINVAL")));
      assert.is(shim.mmap(0n, (1n << 64n) - 1n, readWrite, 0, 0), BigInt(errno("ENOMEM")));
      assert.is(shim.munmap(address, 0n), errno("EINVAL"));
      assert.is(shim.munmap(address + 1n, page), errno("EINVAL"));
      assert.is(shim.munmap((1n << 64n) - page, page), errno("EINVAL"));
      assert.is(shim.munmap(address, page), 0);
    });

    test("a page shift that no hugetlb pool has is the kernel's to refuse", () => {
      // 2^63 bytes: no machine has such pages.
      const answer = shim.mmap(0n, page, readWrite, MapFlag.HUGETLB, 63);
      assert.ok(answer === BigInt(errno("EINVAL")) || answer === BigInt(errno("ENOSYS")), String(answer));
      // Without HUGETLB the shift means nothing, and ordinary memory comes.
      const address = shim.mmap(0n, page, readWrite, 0, 63);
      assert.ok(address > 0n);
      assert.is(shim.munmap(address, page), 0);
    });

    test("the page shift reaches the kernel: each of its hugetlb pools gives memory, or says -ENOMEM", () => {
      const pools = "/sys/kernel/mm/hugepages";
      const names = existsSync(pools) ? readdirSync(pools) : [];
      for (const name of names) {
        const kilobytes = BigInt(name.match(/^hugepages-(\d+)kB$/)?.[1] ?? 0);
        const shift = 10 + kilobytes.toString(2).length - 1;
        const address = shim.mmap(0n, kilobytes << 10n, readWrite, MapFlag.HUGETLB, shift);
        if (address > 0n) {
          assert.is(address % (kilobytes << 10n), 0n);
          assert.is(shim.munmap(address, kilobytes << 10n), 0);
        } else {
          assert.is(address, BigInt(errno("ENOMEM")), name);
        }
      }
    });

    test("a view may be 4 GiB long", () => {
      const most = 1n << 32n;
      const address = shim.mmap(0n, most, readWrite, MapFlag.NORESERVE, 0);
      const buffer = shim.view(address, most);
      const bytes = new Uint8Array(buffer);
      assert.is(bytes.length, 2 ** 32);
      bytes[2 ** 32 - 1] = 1;
      shim.detach(buffer);
      assert.is(shim.munmap(address, most), 0);
    });

    test("an ArrayBuffer of wasm memory cannot be detached", () => {
      const { WebAssembly } = globalThis as unknown as {
        WebAssembly: { Memory: new (pages: { initial: number }) => { buffer: ArrayBuffer } };
      };
      const memory = new WebAssembly.Memory({ initial: 1 });
      refuses(() => shim.detach(memory.buffer), TypeError, /detached/);
      assert.is(memory.buffer.byteLength, 65536);
    });

    test("linuxMemory() maps, shows, and ends", () => {
      const memory = linuxMemory();
      assert.ok(memory);
      const address = memory.mmap(0n, page, readWrite, MapFlag.POPULATE, 0);
      const view = memory.view(address, page);
      view.fill(0xaa);
      assert.instance(view, Uint8Array);
      assert.is(memory.view(address, page)[Number(page) - 1], 0xaa);
      memory.unview(view);
      assert.is(view.length, 0);
      assert.is(memory.munmap(address, page), 0);
    });

    test("unview ends only views that this kernel made, once each", () => {
      const kernel = linuxKernel();
      const address = kernel.mmap(0n, page, readWrite, 0, 0);
      const view = kernel.view(address, page);
      const foreign = new Uint8Array(64);
      refuses(() => kernel.unview(foreign), TypeError, /view/);
      refuses(() => kernel.unview(undefined as unknown as Uint8Array), TypeError, /view/);
      refuses(() => linuxKernel().unview(view), TypeError, /view/);
      assert.is(foreign.length, 64);
      kernel.unview(view.subarray(8));
      assert.is(view.length, 0);
      refuses(() => kernel.unview(view), TypeError, /view/);
      assert.is(kernel.munmap(address, page), 0);
    });
  },
  "mmap()",
  (kernel) => kernel.mmap(0n, 4096n, Protection.READ, 0, 0),
);

test.run();
