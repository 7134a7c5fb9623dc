import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseMemAvailable, readMemAvailable } from "../../src/system/memory.ts";
import { failure, refused } from "../support/failure.ts";
import { withTree } from "./temp-tree.ts";

const meminfo = `MemTotal:       24684092 kB
MemFree:        24479700 kB
MemAvailable:   24403176 kB
Buffers:             784 kB
HugePages_Total:       0
Hugetlb:               0 kB
`;

test("MemAvailable is given in bytes: its kB are 1024 bytes", () => {
  assert.is(parseMemAvailable(meminfo), 24403176n * 1024n);
});

test("0 is an answer", () => {
  assert.is(parseMemAvailable("MemAvailable:          0 kB\n"), 0n);
});

test("a number that no double holds is exact", () => {
  assert.is(parseMemAvailable("MemAvailable: 9007199254740993 kB\n"), 9007199254740993n << 10n);
  assert.is(parseMemAvailable("MemAvailable: 18014398509481983 kB\n"), (1n << 64n) - 1024n);
});

test("a kernel that has no MemAvailable is told from one that says something odd", () => {
  const missing = failure("ERR_MEMINFO_MALFORMED", () => parseMemAvailable("MemTotal: 1 kB\nNotMemAvailable: 5 kB\n"));
  assert.match(missing.message, "no line");
  failure("ERR_MEMINFO_MALFORMED", () => parseMemAvailable(""));
});

for (const value of ["", "kB", "12", "12 MB", "-1 kB", "0x10 kB", "1.5 kB", "12 kB more", "18014398509481984 kB"]) {
  test(`"MemAvailable: ${value}" is malformed`, () => {
    const error = failure("ERR_MEMINFO_MALFORMED", () => parseMemAvailable(`MemAvailable: ${value}\nBuffers: 3 kB\n`));
    assert.match(error.message, `says "MemAvailable: ${value}"`);
  });
}

test("text that is no string is refused", () => {
  refused("ERR_INVALID_ARG_TYPE", () => parseMemAvailable(null as never));
});

test("a file is read, and one that is missing gives the kernel's errno", () => {
  withTree({ meminfo }, (root) => {
    assert.is(readMemAvailable(join(root, "meminfo")), 24403176n * 1024n);
    const error = failure("ERR_MEMINFO_UNREADABLE", () => readMemAvailable(join(root, "other")));
    assert.is(error.errno, -constants.errno.ENOENT);
  });
});

test("a path that is no string is refused, and one that cannot be a path is passed on as Node refuses it", () => {
  refused("ERR_INVALID_ARG_TYPE", () => readMemAvailable(0 as never));
  refused("ERR_INVALID_ARG_VALUE", () => readMemAvailable("/proc/mem\0info"));
});

test("this machine has some memory available", () => {
  assert.ok(readMemAvailable() > 1n << 20n);
});

test.run();
