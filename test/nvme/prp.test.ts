/** Lists of pages, walked as a controller walks them. */
import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { copyPrps, describe, IoBuffers, listBytes, pagesOf } from "../../examples/nvme/prp.mjs";

/** The IOVA of each byte's page, as the specification has it: slow, and by its own count of pages. */
function walk(prp1: bigint, prp2: bigint, bytes: number, page: number, read: (iova: bigint) => bigint): bigint[] {
  const size = BigInt(page);
  const runs = [prp1];
  let left = bytes - (page - Number(prp1 % size));
  if (left <= 0) return runs;
  if (left <= page) return [...runs, prp2];
  let at = prp2;
  while (left > 0) {
    const isLast = at % size === size - 8n;
    if (isLast && left > page) {
      at = read(at);
      assert.is(at % size, 0n, "a list goes on at the beginning of a page");
      continue;
    }
    runs.push(read(at));
    left -= page;
    at += 8n;
  }
  return runs;
}

const LIST = 0x7f_0000n;

for (const page of [4096, 65536]) {
  test(`every length and place of memory is described as it is, with pages of ${page} bytes`, () => {
    const perList = page / 8;
    const lengths = [
      1,
      2,
      3,
      4,
      perList - 1,
      perList,
      perList + 1,
      perList + 2,
      2 * perList - 1,
      2 * perList,
      3 * perList,
    ];
    for (const offset of [0, 4, 512, page - 512, page - 4]) {
      for (const pages of lengths) {
        for (const less of [0, 4, 512, page - 4]) {
          const bytes = pages * page - less;
          const count = pagesOf(offset, bytes, page);
          const iova = (1n << 59n) + BigInt(offset);
          const words = new BigUint64Array(listBytes(count, page) / 8);
          const { prp1, prp2 } = describe(iova, bytes, page, { words, iova: LIST });
          const where = walk(prp1, prp2, bytes, page, (at) => {
            const index = Number(at - LIST) / 8;
            assert.ok(index < words.length, `a list of ${words.length} entries has entry ${index}`);
            return words[index] as bigint;
          });
          const first = iova - BigInt(offset);
          const expected = [iova, ...Array.from({ length: count - 1 }, (_, i) => first + BigInt(i + 1) * BigInt(page))];
          assert.equal(where, expected, `${bytes} bytes from offset ${offset} on`);
        }
      }
    }
  });
}

test("memory that begins in the middle of a word, and a list that is too short, are refused in words", () => {
  assert.throws(() => describe(0x1002n, 512, 4096, undefined), /IOVA 0x1002 is no multiple of 4/);
  assert.throws(() => describe(0x1000n, 3 * 4096, 4096, undefined), /a list for 3 pages has 16 bytes; there are 0/);
});

for (const platform of ["powernv", "pseries", "type1"] as const) {
  test(`a device finds every page of a buffer where its entry says, on ${platform}`, () => {
    const kernel = modelKernel({ platform });
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: 2 << 20, maxBytes: 64 << 20 });
    const container = openContainer({ kernel, groups: [26] });
    const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 1n << 30n }));
    container.attach(memory);
    const heap = new DmaHeap({ memory, list, window });
    const page = 4096;
    const buffers = new IoBuffers(heap, { bytes: 128 << 10, count: 40, pageBytes: page });
    const device = kernel.device(26);
    const word = new BigUint64Array(1);
    const read = (iova: bigint) => {
      assert.equal(device.read(iova, new Uint8Array(word.buffer)), { bytes: 8 });
      return word[0] as bigint;
    };
    const seen = new Set<bigint>();
    for (let i = 0; i < 40; i++) {
      const handle = buffers.pool.get();
      const slot = buffers.pool.slot(handle);
      const bytes = buffers.pool.bytes(handle);
      for (let pages = 1; pages <= 32; pages++) {
        const entry = new Uint32Array(4).fill(0xffff_ffff);
        copyPrps(entry, 0, buffers.prps, slot, pages);
        const [prp1, prp2] = new BigUint64Array(entry.buffer) as unknown as [bigint, bigint];
        if (pages === 1) assert.is(prp2, 0n);
        const where = walk(prp1, prp2, pages * page, page, read);
        assert.is(where.length, pages);
        for (const [at, iova] of where.entries()) {
          assert.is.not(iova, 0n);
          assert.equal(device.write(iova, Uint8Array.of(i, at, pages)), { bytes: 3 });
          assert.equal([...bytes.subarray(at * page, at * page + 3)], [i, at, pages]);
          if (pages === 32) seen.add(iova);
        }
      }
    }
    assert.is(seen.size, 40 * 32, "no page belongs to two");
    buffers.close();
    heap.close();
    container.close();
    memory.close();
    assert.equal(kernel.leaks(), []);
  });
}

test("a buffer is no longer than one page of a list describes", () => {
  const kernel = modelKernel({ platform: "type1" });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 64 << 20 });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const heap = new DmaHeap({ memory, list, window });
  const buffers = new IoBuffers(heap, { bytes: 16 << 20, count: 2, pageBytes: 4096 });
  assert.is(buffers.bytes, 2 << 20);
  buffers.close();
  heap.close();
  container.close();
  memory.close();
});

test.run();
