/** A heap over memory of this machine, behind the model's IOMMU: the very bytes, shown without a copy, also across segments. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel, shimAvailable } from "../../src/linux/index.ts";
import { KiB, MiB } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { dmaRead, dmaWrite, type Ready, ready } from "./ready.ts";

if (shimAvailable()) {
  const real = (options = {}): Ready & { heap: ReturnType<typeof ready>["heap"] } => {
    const memory = linuxKernel();
    return ready(options, { platform: "type1", memory }, { pageSize: BigInt(memory.pageSize), maxBytes: 64n * MiB });
  };

  test("blocks of real memory are shown, and read and written by the model's device", () => {
    const all = real({ grow: { step: 256n * KiB, max: 16n * MiB } });
    const { heap } = all;
    const random = new Random(31);
    const live = new Map<number, number>();
    for (let step = 0; step < 4000; step++) {
      if (live.size > 0 && random.below(100) < 46) {
        const handle = random.pick([...live.keys()]);
        const seed = live.get(handle) as number;
        const bytes = heap.bytes(handle);
        assert.ok(bytes[0] === seed && bytes[bytes.length - 1] === seed);
        live.delete(handle);
        heap.free(handle);
        if (random.once(100)) heap.trim();
        continue;
      }
      const handle = heap.tryAlloc(1 + random.below(60_000));
      if (handle < 0) continue;
      const length = heap.sizeOf(handle);
      if (random.once(2)) heap.bytes(handle).fill(step & 255);
      else dmaWrite(all, heap.iovaOf(handle), new Uint8Array(length).fill(step & 255));
      assert.is(dmaRead(all, heap.iovaOf(handle) + BigInt(length - 1), 1)[0], step & 255);
      live.set(handle, step & 255);
    }
    const one = heap.bytes([...live.keys()][0] as number);
    heap.close({ force: true });
    assert.is(one.length, 0);
    all.container.close();
    all.memory.close();
    assert.equal(all.model.leaks(), []);
  });

  test("an array over two segments shows what those of each do, ends with them, and nothing crashes", () => {
    const all = real({ grow: false });
    const { heap } = all;
    heap.grow(256n * KiB);
    const small = heap.alloc(64);
    heap.bytes(small)[0] = 5;
    heap.grow(256n * KiB);
    const handle = heap.alloc(400 * 1024);
    const bytes = heap.bytes(handle);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i & 255;
    assert.equal(dmaRead(all, heap.iovaOf(handle), bytes.length), bytes);
    assert.is(heap.bytes(small)[0], 5);
    heap.free(handle);
    const parts = Array.from({ length: 100 }, () => heap.alloc(4096 + 64));
    for (const [i, part] of parts.entries()) heap.bytes(part).fill(i);
    for (const [i, part] of parts.entries()) assert.ok(heap.bytes(part).every((byte) => byte === i));
    for (const part of [...parts, small]) heap.free(part);
    assert.is(heap.trim().returned, 512n * KiB);
    assert.is(bytes.length, 0, "the memory is gone, and so is what showed it");
    heap.grow(256n * KiB);
    heap.bytes(heap.alloc(64))[0] = 1;
    heap.close({ force: true });
  });
} else {
  test("without the shim there is no real memory", () => assert.not(shimAvailable()));
}

test.run();
