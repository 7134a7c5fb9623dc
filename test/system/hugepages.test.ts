import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readHugepages } from "../../src/system/hugepages.ts";
import { failure, refused } from "../support/failure.ts";
import { type Entry, withTree } from "./temp-tree.ts";

/** The files of a pool as sysfs has them; each number followed by a line feed. */
function pool(name: string, total: number | string, free: number, reserved = 0, surplus = 0): Record<string, Entry> {
  return {
    [`${name}/nr_hugepages`]: `${total}\n`,
    [`${name}/free_hugepages`]: `${free}\n`,
    [`${name}/resv_hugepages`]: `${reserved}\n`,
    [`${name}/surplus_hugepages`]: `${surplus}\n`,
    [`${name}/nr_overcommit_hugepages`]: "0\n",
  };
}

const twoMegabytes = pool("hugepages-2048kB", 512, 500, 12, 3);

test("a pool's counts are read, and what is promised to others is not available", () => {
  withTree(twoMegabytes, (root) => {
    assert.equal(readHugepages(root), [
      { pageSize: 2n << 20n, pageShift: 21, total: 512, free: 500, reserved: 12, surplus: 3, available: 488 },
    ]);
  });
});

test("a NUMA node's pools have no resv_hugepages: what is promised is not known, and what is free is the most there can be", () => {
  const { "hugepages-2048kB/resv_hugepages": _, ...ofNode } = twoMegabytes;
  withTree(ofNode, (root) => {
    assert.equal(readHugepages(root), [
      { pageSize: 2n << 20n, pageShift: 21, total: 512, free: 500, surplus: 3, available: 500 },
    ]);
  });
});

test("a count of promised pages that is there and cannot be read is not a node's pool", () => {
  withTree({ ...twoMegabytes, "hugepages-2048kB/resv_hugepages": { link: "resv_hugepages" } }, (root) =>
    assert.equal(readHugepages(root), []),
  );
});

test("pools come ascending by page size, not by name: the four of Arm and the two of POWER's hash MMU", () => {
  const names = [64, 2048, 32768, 1048576, 16384, 16777216].map((size) => `hugepages-${size}kB`);
  withTree(Object.assign({}, ...names.map((name) => pool(name, 1, 1))), (root) => {
    const pools = readHugepages(root);
    assert.equal(
      pools.map(({ pageShift }) => pageShift),
      [16, 21, 24, 25, 30, 34],
    );
    for (const { pageSize, pageShift } of pools) assert.is(pageSize, 1n << BigInt(pageShift));
  });
});

test("an empty pool is still a pool", () => {
  withTree(pool("hugepages-1048576kB", 0, 0), (root) => {
    assert.is(readHugepages(root)[0]?.total, 0);
    assert.is(readHugepages(root)[0]?.available, 0);
  });
});

test("more promised than free, seen while another process takes pages, leaves none available and not fewer", () => {
  withTree(pool("hugepages-2048kB", 10, 2, 5), (root) => assert.is(readHugepages(root)[0]?.available, 0));
});

test("a kernel without hugetlb has no pools", () => {
  withTree({}, (root) => assert.equal(readHugepages(join(root, "hugepages")), []));
});

test("a directory that is there and cannot be listed is an error, not a machine without hugepages", () => {
  withTree({ loop: { link: "loop" }, file: "" }, (root) => {
    const loop = failure("ERR_HUGEPAGES_UNREADABLE", () => readHugepages(join(root, "loop")));
    assert.is(loop.errno, -constants.errno.ELOOP);
    const file = failure("ERR_HUGEPAGES_UNREADABLE", () => readHugepages(join(root, "file")));
    assert.is(file.errno, -constants.errno.ENOTDIR);
  });
});

const odd: Record<string, Record<string, Entry>> = {
  "an entry with another name": pool("transparent", 1, 1),
  "a name with more behind it": pool("hugepages-2048kB.old", 1, 1),
  "a size in other units": pool("hugepages-2MB", 1, 1),
  "a size that is no power of two": pool("hugepages-3000kB", 1, 1),
  "a size of 0": pool("hugepages-0kB", 1, 1),
  "a size with leading zeros": pool("hugepages-02048kB", 1, 1),
  "a size below a hugepage": pool("hugepages-4kB", 1, 1),
  "a size of 2^64 bytes": pool("hugepages-18014398509481984kB", 1, 1),
  "a file in a pool's place": { "hugepages-16384kB": "" },
  "a pool without its counts": { "hugepages-16384kB/other": "" },
  "a count that is no number": pool("hugepages-16384kB", "many", 1),
  "a negative count": pool("hugepages-16384kB", -1, 1),
  "an empty count": { ...pool("hugepages-16384kB", 1, 1), "hugepages-16384kB/resv_hugepages": "" },
  "a count beyond what a number holds": pool("hugepages-16384kB", "9007199254740993", 1),
  "a count that cannot be read": {
    "hugepages-16384kB/nr_hugepages": { link: "nr_hugepages" },
    "hugepages-16384kB/free_hugepages": "1\n",
    "hugepages-16384kB/resv_hugepages": "0\n",
    "hugepages-16384kB/surplus_hugepages": "0\n",
  },
};
for (const [what, entries] of Object.entries(odd)) {
  test(`${what} is passed over, and does not cost the other pools`, () => {
    withTree({ ...entries, ...twoMegabytes }, (root) => {
      assert.equal(
        readHugepages(root).map(({ pageShift }) => pageShift),
        [21],
      );
    });
  });
}

test("the largest page size that 64 bits can hold is a pool", () => {
  withTree(pool("hugepages-9007199254740992kB", 1, 1), (root) =>
    assert.is(readHugepages(root)[0]?.pageSize, 1n << 63n),
  );
});

test("a root that is no string is refused", () => {
  refused("ERR_INVALID_ARG_TYPE", () => readHugepages(7 as never));
});

test("this machine's own pools make sense", () => {
  for (const { pageSize, pageShift, total, free } of readHugepages()) {
    assert.is(pageSize, 1n << BigInt(pageShift));
    assert.ok(free <= total);
  }
});

test.run();
