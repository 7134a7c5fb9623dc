import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";
import { readIomem } from "../../src/system/iomem.ts";
import { physicalAddresses } from "../../src/system/pagemap.ts";
import { failure, refused, thrownBy } from "../support/failure.ts";
import { withTree } from "./temp-tree.ts";

const PRESENT = 1n << 63n;
const SWAPPED = 1n << 62n;
/** Bits 55 to 61, which tell other things about a page that is present. */
const OTHER_FLAGS = 0x7fn << 55n;
const last64 = (1n << 64n) - 1n;

/** Calls `use` with the path of a pagemap that has these entries from page `first` on, and holes before them. */
function withPagemap(first: number, entries: bigint[], use: (path: string) => void): void {
  withTree({ pagemap: "" }, (root) => {
    const path = join(root, "pagemap");
    const fd = openSync(path, "r+");
    ftruncateSync(fd, first * 8);
    if (entries.length > 0) writeSync(fd, new Uint8Array(BigUint64Array.from(entries).buffer), 0, null, first * 8);
    closeSync(fd);
    use(path);
  });
}

test("the address of a page is its frame times the page size, whatever the other bits say", () => {
  withPagemap(0, [PRESENT | 1n, PRESENT | OTHER_FLAGS | 0x123456n, PRESENT | 0x3fffffn], (path) => {
    assert.equal(
      [...physicalAddresses(0n, 3, 4096, { path, cpuPageSize: 4096 })],
      [0x1000n, 0x123456000n, 0x3fffff000n],
    );
  });
});

test("frames count pages of the CPU's size: 64 KiB on POWER", () => {
  withPagemap(2, [PRESENT | 0x7n], (path) => {
    assert.equal([...physicalAddresses(0x20000n, 1, 65536, { path, cpuPageSize: 65536 })], [0x70000n]);
  });
});

test("a hugepage has the address of its first page, wherever its neighbours lie", () => {
  const entries = Array.from({ length: 1025 }, (_, i) => (i % 512 === 0 ? PRESENT | BigInt(0x1000 - i) : 0n));
  withPagemap(512, entries, (path) => {
    const from = { path, cpuPageSize: 4096 };
    assert.equal([...physicalAddresses(0x20_0000n, 3, 2 ** 21, from)], [0x1000000n, 0xe00000n, 0xc00000n]);
    assert.is(failure("ERR_PAGE_NOT_PRESENT", () => physicalAddresses(0n, 4, 2 ** 21, from)).facts?.va, 0n);
    assert.is(
      failure("ERR_PAGE_NOT_PRESENT", () => physicalAddresses(0x40_0000n, 3, 2 ** 21, from)).facts?.va,
      0x80_0000n,
    );
  });
});

test("the CPU's page size is this machine's own where it is not stated", () => {
  const page = ownPage();
  if (page === undefined) return;
  const path = "/nowhere/pagemap";
  refused("ERR_OUT_OF_RANGE", () => physicalAddresses(0n, 1, page.pageSize / 2, { path }));
  failure("ERR_PAGEMAP_UNREADABLE", () => physicalAddresses(0n, 1, page.pageSize, { path }));
  refused("ERR_OUT_OF_RANGE", () => physicalAddresses(0n, 1, 65536, { path, cpuPageSize: 5000 }));
});

test("the entry of a high address is found at its place", () => {
  const page = 0x7f12_3456_7000 / 4096;
  withPagemap(page, [PRESENT | 0xabcn, PRESENT | 0xdefn], (path) => {
    assert.equal(
      [...physicalAddresses(0x7f12_3456_7000n, 2, 4096, { path, cpuPageSize: 4096 })],
      [0xabc000n, 0xdef000n],
    );
    assert.equal([...physicalAddresses(0x7f12_3456_8000n, 1, 4096, { path, cpuPageSize: 4096 })], [0xdef000n]);
  });
});

test("the highest address that 64 bits hold is exact, and a frame beyond it is refused", () => {
  withPagemap(0, [PRESENT | (last64 >> 12n), PRESENT | (1n << 52n)], (path) => {
    assert.equal([...physicalAddresses(0n, 1, 4096, { path, cpuPageSize: 4096 })], [last64 - 0xfffn]);
    const error = failure("ERR_PAGEMAP_MALFORMED", () =>
      physicalAddresses(0x1000n, 1, 4096, { path, cpuPageSize: 4096 }),
    );
    assert.equal(error.facts, { va: 0x1000n, frame: 1n << 52n });
  });
});

test("more entries than pages asked for are left alone, and no pages need no file", () => {
  withPagemap(0, [PRESENT | 1n, 0n], (path) =>
    assert.is(physicalAddresses(0n, 1, 4096, { path, cpuPageSize: 4096 }).length, 1),
  );
  assert.is(physicalAddresses(0x1000n, 0, 4096, { path: "/nowhere/pagemap", cpuPageSize: 4096 }).length, 0);
});

test("a page without memory behind it is named, and none of the others is returned as if all were well", () => {
  withPagemap(16, [PRESENT | 5n, 0n, PRESENT | 6n], (path) => {
    const error = failure("ERR_PAGE_NOT_PRESENT", () =>
      physicalAddresses(0x10000n, 3, 4096, { path, cpuPageSize: 4096 }),
    );
    assert.is(error.facts?.va, 0x11000n);
    assert.match(error.message, "0x11000");
    assert.match(error.message, "Write to every page");
  });
});

test("a page in swap has no address, although its entry has other bits where a frame would be", () => {
  withPagemap(0, [SWAPPED | 0x1234n], (path) => {
    assert.match(
      failure("ERR_PAGE_NOT_PRESENT", () => physicalAddresses(0n, 1, 4096, { path, cpuPageSize: 4096 })).message,
      "swapped out",
    );
  });
});

test("addresses beyond the end of the address space are not present: the file just ends there", () => {
  withPagemap(0, [PRESENT | 1n, PRESENT | 2n], (path) => {
    const error = failure("ERR_PAGE_NOT_PRESENT", () => physicalAddresses(0n, 3, 4096, { path, cpuPageSize: 4096 }));
    assert.is(error.facts?.va, 0x2000n);
    failure("ERR_PAGE_NOT_PRESENT", () => physicalAddresses(last64 - 0xfffn, 1, 4096, { path, cpuPageSize: 4096 }));
  });
});

test("frame 0 is not an address: the kernel does not tell, and the error says why", () => {
  withPagemap(0, [PRESENT | OTHER_FLAGS, PRESENT], (path) => {
    for (const va of [0n, 0x1000n]) {
      const error = failure("ERR_PAGEMAP_HIDDEN", () => physicalAddresses(va, 1, 4096, { path, cpuPageSize: 4096 }));
      assert.match(error.message, "CAP_SYS_ADMIN");
      assert.match(error.message, "IOVA mode");
    }
  });
});

test("a file that is missing or is a directory gives the kernel's errno", () => {
  withTree({ "directory/file": "" }, (root) => {
    const missing = failure("ERR_PAGEMAP_UNREADABLE", () =>
      physicalAddresses(0n, 1, 4096, { path: join(root, "none"), cpuPageSize: 4096 }),
    );
    assert.is(missing.errno, -constants.errno.ENOENT);
    const directory = failure("ERR_PAGEMAP_UNREADABLE", () =>
      physicalAddresses(0n, 1, 4096, { path: join(root, "directory"), cpuPageSize: 4096 }),
    );
    assert.is(directory.errno, -constants.errno.EISDIR);
  });
});

test("arguments of the wrong kind are refused before anything is read", () => {
  refused("ERR_INVALID_ARG_TYPE", () => physicalAddresses(4096 as never, 1, 4096));
  refused("ERR_INVALID_ARG_TYPE", () => physicalAddresses(0n, 1n as never, 4096));
  refused("ERR_INVALID_ARG_TYPE", () => physicalAddresses(0n, 1, "4096" as never));
  refused("ERR_INVALID_ARG_TYPE", () => physicalAddresses(0n, 1, 4096, { path: 3 as never }));
});

const outOfRange: Record<string, [va: bigint, pages: number, pageSize: number]> = {
  "a va within a page": [0x1001n, 1, 4096],
  "a va aligned to a smaller page": [0x1000n, 1, 65536],
  "a va aligned to the CPU's page, of a hugepage": [0x1000n, 1, 2 ** 21],
  "a negative va": [-0x1000n, 1, 4096],
  "a va of 2^64": [1n << 64n, 1, 4096],
  "a va of 2^64, even for no pages": [1n << 64n, 0, 4096],
  "pages that run past 2^64": [last64 - 0xfffn, 2, 4096],
  "fewer than no pages": [0n, -1, 4096],
  "half a page": [0n, 0.5, 4096],
  "NaN pages": [0n, Number.NaN, 4096],
  "more pages than one read moves": [0n, 2 ** 27 + 1, 4096],
  "a page size of 0": [0n, 1, 0],
  "a negative page size": [0n, 1, -4096],
  "a page size that is no power of two": [0n, 1, 12288],
  "a page size with a fraction": [0n, 1, 4096.000000000001],
  "a page size of NaN": [0n, 1, Number.NaN],
  "a page size below the CPU's": [0n, 1, 2048],
  "a page size that no machine has": [0n, 1, 2 ** 41],
};
for (const [what, [va, pages, pageSize]] of Object.entries(outOfRange)) {
  test(`${what} is out of range`, () => {
    refused("ERR_OUT_OF_RANGE", () =>
      physicalAddresses(va, pages, pageSize, { path: "/nowhere/pagemap", cpuPageSize: 4096 }),
    );
  });
}

/** The CPU's page size, and the heap's first page: the allocator keeps its books there, so it is always in memory. */
function ownPage(): { va: bigint; pageSize: number } | undefined {
  const heap = /^([0-9a-f]+)-.*\[heap\]$/m.exec(readFileSync("/proc/self/maps", "utf8"));
  const pageSize = /^KernelPageSize: +([0-9]+) kB$/m.exec(readFileSync("/proc/self/smaps", "utf8"));
  if (heap === null || pageSize === null) return undefined;
  return { va: BigInt(`0x${heap[1]}`), pageSize: Number(pageSize[1]) * 1024 };
}

test("a page of this process lies in the machine's System RAM, where both are shown", () => {
  const page = ownPage();
  if (process.getuid?.() !== 0 || page === undefined) return;
  let ram: ReturnType<typeof readIomem>;
  try {
    ram = readIomem();
  } catch (error) {
    // Both files ask for the same capability, so what hides one hides the other.
    if ((error as DmaWindowError).code !== "ERR_IOMEM_HIDDEN") return;
    failure("ERR_PAGEMAP_HIDDEN", () => physicalAddresses(page.va, 1, page.pageSize));
    return;
  }
  const [address = 0n] = physicalAddresses(page.va, 1, page.pageSize);
  assert.ok(ram.ramRanges.some(({ start, last }) => start <= address && address <= last));
});

test("the first page of the address space is not present in this process", () => {
  const error = thrownBy(() => physicalAddresses(0n, 1, ownPage()?.pageSize ?? 4096));
  assert.instance(error, DmaWindowError);
  assert.ok(["ERR_PAGE_NOT_PRESENT", "ERR_PAGEMAP_UNREADABLE"].includes((error as DmaWindowError).code));
});

test("the entry that an unprivileged process gets of its own page is recognised as hidden", () => {
  const page = ownPage();
  if (process.getuid?.() !== 0 || page === undefined) return;
  const script = `
    const fs = require("node:fs");
    const start = BigInt("0x" + /^([0-9a-f]+)-.*\\[heap\\]$/m.exec(fs.readFileSync("/proc/self/maps", "utf8"))[1]);
    const entry = Buffer.alloc(8);
    fs.readSync(fs.openSync("/proc/self/pagemap"), entry, 0, 8, start / ${page.pageSize}n * 8n);
    fs.writeSync(1, entry);`;
  const entry = spawnSync(process.execPath, ["-e", script], { uid: 65534, gid: 65534, cwd: "/" }).stdout;
  if (entry?.length !== 8) return;
  withTree({ pagemap: entry }, (root) => {
    failure("ERR_PAGEMAP_HIDDEN", () =>
      physicalAddresses(0n, 1, 4096, { path: join(root, "pagemap"), cpuPageSize: 4096 }),
    );
  });
});

test.run();
