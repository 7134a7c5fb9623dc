/** The disk that the host makes and compares, and what it makes of QEMU's log. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Access, accessesIn, judgeAccesses, MARKS } from "./accesses.ts";
import { BLOCK_BYTES, BY_HOST, fillBlocks, wrongBytesIn } from "./blocks.ts";
import { compareDisk, diskFacts, makeDisk } from "./disk.ts";

const facts = { seed: 7, blocks: 512 };

/** A disk as the guest leaves it. */
function withDisk(change: (bytes: Uint8Array) => void, judge: (path: string) => void): void {
  const at = mkdtempSync(join(tmpdir(), "disk-"));
  try {
    const path = join(at, "disk");
    makeDisk(path, facts);
    const bytes = new Uint8Array(readFileSync(path));
    change(bytes);
    writeFileSync(path, bytes);
    judge(path);
  } finally {
    rmSync(at, { recursive: true });
  }
}

const blockOf = (bytes: Uint8Array, block: number) => bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);

test("a disk that nobody wrote is as it was made, and another seed makes another", () => {
  withDisk(
    () => {},
    (path) => {
      assert.equal(compareDisk(path, facts, []), { wrongBytes: 0, where: [] });
      assert.ok(compareDisk(path, { ...facts, seed: 8 }, []).wrongBytes > (facts.blocks * BLOCK_BYTES * 9) / 10);
    },
  );
});

test("one byte that is wrong is found, with its block", () => {
  withDisk(
    (bytes) => {
      const block = blockOf(bytes, 300);
      block[511] = (block[511] as number) ^ 1;
    },
    (path) => assert.equal(compareDisk(path, facts, []), { wrongBytes: 1, where: [300] }),
  );
});

test("what the guest wrote is expected where it says, the last writing last", () => {
  const written = [
    { first: 10, blocks: 20, by: 1 },
    { first: 20, blocks: 2, by: 2 },
  ];
  withDisk(
    (bytes) => {
      for (const { first, blocks, by } of written) {
        fillBlocks(bytes.subarray(first * BLOCK_BYTES, (first + blocks) * BLOCK_BYTES), first, by, facts.seed);
      }
    },
    (path) => {
      assert.is(compareDisk(path, facts, written).wrongBytes, 0);
      assert.equal(compareDisk(path, facts, written.slice(0, 1)).where, [20, 21]);
      assert.equal(compareDisk(path, facts, []).where, [10, 11, 12, 13, 14, 15, 16, 17]);
    },
  );
});

test("a block that is in the place of another one, or older, is wrong nearly everywhere", () => {
  const block = new Uint8Array(BLOCK_BYTES);
  fillBlocks(block, 5, BY_HOST, 1);
  assert.is(wrongBytesIn(block, 5, BY_HOST, 1), 0);
  for (const [first, by, seed] of [
    [6, BY_HOST, 1],
    [5, 1, 1],
    [5, BY_HOST, 2],
  ] as const) {
    assert.ok(wrongBytesIn(block, first, by, seed) > 480, `${first} ${by} ${seed}`);
  }
});

test("a seed is the environment's, or always the same", () => {
  assert.is(diskFacts({}).seed, diskFacts({}).seed);
  assert.is(diskFacts({ DMA_WINDOW_SEED: "17" }).seed, 17);
});

const mark = (number: number) => `pci_nvme_mmio_read addr 0x${(MARKS + 4 * number).toString(16)} size 4`;

test("accesses are read out of QEMU's log, whatever else stands in it", () => {
  const log = `qemu: something\n${mark(0)}\npci_nvme_mmio_write addr 0x14 data 0x460001 size 4\nnvme: guest error\n`;
  assert.equal(accessesIn(log), [
    { kind: "read", at: MARKS, width: 4 },
    { kind: "write", at: 0x14, width: 4 },
  ]);
});

test("accesses between two marks are the expected ones, in their order and of their widths", () => {
  const [a, b]: readonly Access[] = [
    { kind: "read", at: 8, width: 4 },
    { kind: "write", at: 0x1000, width: 8 },
  ] as const;
  const log = [
    mark(2),
    "pci_nvme_mmio_read addr 0x8 size 4",
    "pci_nvme_mmio_write addr 0x1000 data 0x1 size 8",
    mark(3),
  ];
  const all = accessesIn(log.join("\n"));
  const judged = (expected: object) => judgeAccesses(all, { mark: 2, ...expected });
  assert.is(judged({ accesses: [a, b] }), undefined);
  assert.match(judged({ accesses: [b, a] }) ?? "", /was to see write of 8 at 0x1000, read/);
  assert.match(judged({ accesses: [a] }) ?? "", /and saw read of 4 at 0x8, write of 8 at 0x1000$/);
  assert.is(judged({ widths: [4, 8], least: 2 }), undefined);
  assert.match(judged({ widths: [4] }) ?? "", /1 accesses of other widths: write of 8/);
  assert.match(judged({ widths: [4, 8], least: 3 }) ?? "", /saw 2 accesses, and not 3/);
  assert.match(judgeAccesses(all, { mark: 3 }) ?? "", /has not the marks 3 and 4/);
});

test.run();
