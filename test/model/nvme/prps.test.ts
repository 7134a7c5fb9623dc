import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MEMORY, type Transfer } from "./fake-bus.ts";
import { COMPARE, io, PAGE, type Pair, READ, Rig, WRITE } from "./rig.ts";

const test = suite("the software NVMe's PRPs");

interface Machine {
  readonly rig: Rig;
  readonly pair: Pair;
  readonly disk: Uint8Array;
}

/** A disk of which each word is another. */
function machine(mdts = 0, bytes = 1 << 20): Machine {
  const disk = new Uint8Array(bytes);
  const view = new DataView(disk.buffer);
  for (let at = 0; at < disk.length; at += 4) view.setUint32(at, Math.imul(at, 0x9e3779b1), true);
  const rig = new Rig({ disk, mdts }).start();
  return { rig, pair: rig.pair(1), disk };
}

/** What a command moved, besides its entry and its completion. */
function moved(rig: Rig, pair: Pair): Transfer[] {
  const ofQueue = (iova: bigint) =>
    (iova >= pair.sq && iova < pair.sq + 4096n) || (iova >= pair.cq && iova < pair.cq + 4096n);
  return rig.bus.transfers.filter(({ iova }) => !ofQueue(iova));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function list(rig: Rig, at: bigint, prps: readonly bigint[]): bigint {
  const view = rig.view(at, prps.length * 8);
  for (const [index, prp] of prps.entries()) view.setBigUint64(index * 8, prp, true);
  return at;
}

test("are one page, and what is behind the blocks is not touched", () => {
  const { rig, pair, disk } = machine();
  const page = rig.memory(PAGE);
  rig.bytes(page, PAGE).fill(0xaa);
  rig.bus.transfers.length = 0;
  rig.good(io(READ, 3, 2, page + 512n, 0x999n), pair);
  assert.equal(moved(rig, pair), [{ way: "write", iova: page + 512n, bytes: 1024 }]);
  assert.ok(same(rig.bytes(page + 512n, 1024), disk.subarray(3 * 512, 5 * 512)));
  assert.ok(rig.bytes(page, 512).every((byte) => byte === 0xaa));
  assert.ok(rig.bytes(page + 1536n, 2560).every((byte) => byte === 0xaa));
});

test("are two pages, the first of them from the middle on", () => {
  const { rig, pair, disk } = machine();
  const [one, , three] = [rig.memory(PAGE), rig.memory(PAGE), rig.memory(PAGE)];
  rig.bus.transfers.length = 0;
  rig.good(io(READ, 8, 8, one + 0xe04n, three), pair);
  assert.ok(same(rig.bytes(one + 0xe04n, 508), disk.subarray(4096, 4096 + 508)));
  assert.ok(same(rig.bytes(three, 4096 - 508), disk.subarray(4096 + 508, 8192)));
  assert.equal(
    moved(rig, pair).map(({ iova, bytes }) => [iova, bytes]),
    [
      [one + 0xe04n, 508],
      [three, 3588],
    ],
  );
});

test("are a list, of which no more is read than there are pages", () => {
  const { rig, pair, disk } = machine();
  const pages = Array.from({ length: 17 }, () => rig.memory(PAGE)).reverse();
  const at = list(rig, rig.memory(PAGE) + 0x100n, pages.slice(1));
  rig.bus.transfers.length = 0;
  rig.good(io(READ, 0, 128, (pages[0] as bigint) + 4n, at), pair);
  const reads = moved(rig, pair).filter(({ way }) => way === "read");
  assert.equal(reads, [{ way: "read", iova: at, bytes: 16 * 8 }]);
  const found = Buffer.concat(
    pages.map((page, index) => rig.bytes(index === 0 ? page + 4n : page, index === 0 ? 4092 : 4096)),
  );
  assert.ok(found.subarray(0, 65536).equals(disk.subarray(0, 65536)));
  assert.ok(rig.bytes((pages[16] as bigint) + 4n, 4092).every((byte) => byte === 0));
});

test("are a list that goes on in another page, and the place before the end of it leads there", () => {
  const { rig, pair, disk } = machine();
  const pages = Array.from({ length: 8 }, () => rig.memory(PAGE));
  const [first, second] = [rig.memory(PAGE) + 4096n - 24n, rig.memory(PAGE)];
  list(rig, first, [pages[1] as bigint, pages[2] as bigint, second]);
  list(rig, second, pages.slice(3));
  rig.bus.transfers.length = 0;
  rig.good(io(READ, 8, 64, pages[0] as bigint, first), pair);
  assert.ok(Buffer.concat(pages.map((page) => rig.bytes(page, PAGE))).equals(disk.subarray(4096, 4096 + 32768)));
  assert.equal(
    moved(rig, pair)
      .filter(({ way }) => way === "read")
      .map(({ iova, bytes }) => [iova, bytes]),
    [
      [first, 24],
      [second, 40],
    ],
  );
});

test("are a list that ends with its page: the last place is a page then, and leads nowhere", () => {
  const { rig, pair, disk } = machine();
  const pages = Array.from({ length: 4 }, () => rig.memory(PAGE));
  const at = list(rig, rig.memory(PAGE) + 4096n - 24n, pages.slice(1));
  rig.good(io(READ, 8, 32, pages[0] as bigint, at), pair);
  assert.ok(Buffer.concat(pages.map((page) => rig.bytes(page, PAGE))).equals(disk.subarray(4096, 4096 + 16384)));
});

test("are a list of one place that leads to the whole of it", () => {
  const { rig, pair, disk } = machine();
  const pages = Array.from({ length: 4 }, () => rig.memory(PAGE));
  const [first, second] = [rig.memory(PAGE) + 4096n - 8n, rig.memory(PAGE)];
  list(rig, first, [second]);
  list(rig, second, pages.slice(1));
  rig.good(io(READ, 0, 32, pages[0] as bigint, first), pair);
  assert.ok(Buffer.concat(pages.map((page) => rig.bytes(page, PAGE))).equals(disk.subarray(0, 16384)));
});

test("are lists over many pages, and end where they lead to themselves", () => {
  const { rig, pair, disk } = machine(0, 6 << 20);
  const target = rig.memory(PAGE);
  const [first, second] = [rig.memory(PAGE), rig.memory(PAGE)];
  const pages = Array.from({ length: 511 }, () => target);
  list(rig, first, [...pages, second]);
  list(rig, second, [...pages, first]);
  // 6 MiB in 1536 pages: PRP1, three times 511, and 2.
  rig.bus.transfers.length = 0;
  rig.good(io(READ, 0, 12288, target, first), pair);
  assert.ok(same(rig.bytes(target, PAGE), disk.subarray(disk.length - PAGE)));
  const reads = moved(rig, pair).filter(({ way }) => way === "read");
  assert.equal(
    reads.map(({ iova, bytes }) => [iova, bytes]),
    [
      [first, PAGE],
      [second, PAGE],
      [first, PAGE],
      [second, 16],
    ],
  );
});

for (const [what, status, build] of [
  ["PRP1 that is not dword aligned", "0x4013", (at: bigint) => io(READ, 0, 1, at + 2n)],
  ["PRP2 with an offset", "0x4013", (at: bigint) => io(READ, 0, 16, at, at + 4n)],
  ["a list that is not at a multiple of 8", "0x4013", (at: bigint) => io(READ, 0, 24, at, at + 4n)],
  ["a list that is not mapped", "0x4004", (at: bigint) => io(READ, 0, 24, at, 0x1000n)],
  ["a page that is not mapped", "0x4", () => io(READ, 0, 1, 0x1000n)],
  ["a second page that is not mapped", "0x4", (at: bigint) => io(READ, 0, 16, at, 0x1000n)],
  ["a page at the top of all addresses", "0x4", () => io(READ, 0, 1, 0xffff_ffff_ffff_fffcn)],
  ["a page to be read that is not mapped", "0x4", () => io(WRITE, 0, 1, 0x1000n)],
  ["a page to be compared that is not mapped", "0x4", () => io(COMPARE, 0, 1, 0x1000n)],
] as const) {
  test(`fail for ${what}, and only the command does`, () => {
    const { rig, pair } = machine();
    const at = rig.memory(2 * PAGE);
    assert.is(rig.status(build(at), pair), status);
    rig.good(io(READ, 0, 8, at), pair);
  });
}

test("fail for an offset or a hole anywhere in a list, before a byte has moved", () => {
  for (const bad of [1, 2, 6]) {
    const { rig, pair } = machine();
    const pages = Array.from({ length: 8 }, () => rig.memory(PAGE));
    pages[bad] = (pages[bad] as bigint) + 8n;
    const [first, second] = [rig.memory(PAGE) + 4096n - 24n, rig.memory(PAGE)];
    list(rig, first, [pages[1] as bigint, pages[2] as bigint, second]);
    list(rig, second, pages.slice(3));
    rig.bus.transfers.length = 0;
    assert.is(rig.status(io(READ, 0, 64, pages[0] as bigint, first), pair), "0x4013");
    assert.equal(
      moved(rig, pair).filter(({ way }) => way === "write"),
      [],
    );
    list(rig, first + 16n, [second + 8n]);
    assert.is(
      rig.status(io(READ, 0, 64, pages[0] as bigint, first), pair),
      "0x4013",
      "the next page of a list has no offset",
    );
    list(rig, first + 16n, [0x5000n]);
    assert.is(rig.status(io(READ, 0, 64, pages[0] as bigint, first), pair), bad < 3 ? "0x4013" : "0x4004");
  }
});

test("fail where memory ends in the middle of a page, with what lies before it moved", () => {
  const { rig, pair, disk } = machine();
  const end = MEMORY + BigInt(rig.bus.memory.length);
  assert.is(rig.status(io(READ, 0, 16, end - 4096n, end), pair), "0x4");
  assert.ok(same(rig.bytes(end - 4096n, PAGE), disk.subarray(0, PAGE)));
});

test("are pages of the host, as large as CC says", () => {
  const disk = new Uint8Array(1 << 20).map((_, at) => (at >> 9) + at);
  const rig = new Rig({ disk, mdts: 0 }).start({ cc: 0x46_0201, align: 65536 });
  const cq = rig.memory(65536, 65536);
  const sq = rig.memory(65536, 65536);
  rig.good({ opcode: 5, prp1: cq, dw10: 1 | (15 << 16), dw11: 1 });
  assert.is(rig.status({ opcode: 1, prp1: sq + 4096n, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) }), "0x4013");
  rig.good({ opcode: 1, prp1: sq, dw10: 1 | (15 << 16), dw11: 1 | (1 << 16) });
  const pair: Pair = { id: 1, completionId: 1, sq, cq, entries: 16, cqEntries: 16, tail: 0, head: 0, phase: 1 };
  const [one, , two] = [rig.memory(65536, 65536), rig.memory(65536, 65536), rig.memory(65536, 65536)];
  rig.good(io(READ, 1, 128, one + 0x8000n, two), pair);
  assert.ok(same(rig.bytes(one + 0x8000n, 0x8000), disk.subarray(512, 512 + 0x8000)));
  assert.ok(same(rig.bytes(two, 0x8000), disk.subarray(512 + 0x8000, 512 + 0x10000)));
  assert.is(rig.status(io(READ, 1, 256, one + 0x8000n, two + 4096n), pair), "0x4013");
});

test.run();
