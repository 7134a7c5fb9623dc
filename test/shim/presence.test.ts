/** populate on real memory: what it answers, on kernels with MADV_POPULATE_WRITE and without, and under a hugetlb cgroup. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, refuses, withShim } from "./native.ts";

const RW = Protection.READ | Protection.WRITE;
const shimPath =
  process.env.DMA_WINDOW_SHIM || fileURLToPath(new URL("../../build/Release/vfio_shim.node", import.meta.url));

/** madvise as before Linux 5.14: it does not know the advice. */
const OLD_MADVISE = `
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
int madvise(void* address, unsigned long length, int advice) {
  if (advice == 23) { errno = EINVAL; return -1; }
  return (int)syscall(SYS_madvise, address, length, advice);
}`;

/** What a program that uses the shim alone says, as JSON; `preload`: a library before libc. */
function said(body: string, preload?: string): Record<string, unknown> {
  const program = `
    const { readFileSync } = require("node:fs");
    const shim = require(${JSON.stringify(shimPath)});
    const page = BigInt(shim.pageSize());
    const resident = (va) => Number(readFileSync("/proc/self/smaps", "utf8").split(va.toString(16) + "-")[1].match(/Rss: +(\\d+) kB/)[1]);
    ${body}`;
  const env = { ...process.env, ...(preload === undefined ? {} : { LD_PRELOAD: preload }) };
  const child = spawnSync(process.execPath, ["-e", program], { encoding: "utf8", env });
  assert.equal([child.signal, child.status], [null, 0], child.stderr);
  return JSON.parse(child.stdout);
}

// Between pages that nobody may touch: next to other memory the kernel would make one area of both, with what is present there.
const ordinary = `
  const va = shim.mmap(shim.mmap(0n, 18n * page, 0, 8, 0) + page, 16n * page, 3, 1, 0);
  const before = resident(va);
  shim.write(va + page, Uint8Array.of(9));
  const populated = shim.populate(va, 16n * page);
  const bytes = new Uint8Array(Number(16n * page));
  shim.read(va, bytes);
  shim.mmap(va + 4n * page, page, 1, 1, 0);
  shim.munmap(va + 8n * page, page);
  console.log(JSON.stringify({ before, populated, after: resident(va), kept: bytes[Number(page)], sum: bytes.reduce((a, b) => a + b, 0),
    unaligned: shim.populate(va + 1n, page), readOnly: shim.populate(va + 3n * page, 2n * page), hole: shim.populate(va + 7n * page, 2n * page),
    none: shim.populate(va, 0n), last: shim.populate((1n << 64n) - page, page) }));`;

function checkOrdinary(found: Record<string, unknown>, isOld: boolean): void {
  const { readOnly, hole, last, ...rest } = found;
  assert.equal(rest, { before: 0, populated: 0, after: 16, kept: 9, sum: 9, unaligned: errno("EINVAL"), none: 0 });
  // A read-only page is another errno before and after 5.14, and never a promise.
  assert.is(readOnly, errno(isOld ? "EFAULT" : "EINVAL"));
  assert.is(hole, errno(isOld ? "EFAULT" : "ENOMEM"));
  assert.ok((last as number) < 0);
}

withShim(
  (shim) => {
    test("pages are present afterwards, and hold what they held; what is no memory is refused", () => {
      const isOld = shim.populate(shim.mmap(0n, 4096n, Protection.READ, 0, 0), 4096n) === errno("EFAULT");
      checkOrdinary(said(ordinary), isOld);
    });

    const directory = mkdtempSync(join(tmpdir(), "dma-window-madvise-"));
    writeFileSync(join(directory, "madvise.c"), OLD_MADVISE);
    const old = join(directory, "madvise.so");
    const compiled = spawnSync("cc", ["-shared", "-fPIC", "-o", old, join(directory, "madvise.c")]);
    if (compiled.status === 0) {
      test("so too on a kernel that does not know MADV_POPULATE_WRITE", () => checkOrdinary(said(ordinary, old), true));
    }

    test("addresses that are none are refused", () => {
      refuses(() => shim.populate(-1n, 4096n), RangeError, /address/);
      refuses(() => shim.populate(4096n, 1n << 64n), RangeError, /length/);
    });

    for (const preload of compiled.status === 0 ? [undefined, old] : [undefined]) {
      test(`hugepages beyond a cgroup's limit: mmap succeeds, populate says EFAULT${preload ? ", by touch" : ""}`, () => {
        const pool = "/proc/sys/vm/nr_hugepages";
        const total = readFileSync(pool, "utf8");
        const group = `dma-window-${process.pid}`;
        const root = process.getuid?.() === 0;
        const undo: (() => unknown)[] = [];
        try {
          if (!root) return;
          const mounted = mkdtempSync(join(tmpdir(), "hugetlb-"));
          undo.push(() => rmSync(mounted, { recursive: true }));
          if (spawnSync("mount", ["-t", "cgroup", "-o", "hugetlb", "none", mounted]).status !== 0) return;
          undo.push(() => spawnSync("umount", [mounted]));
          writeFileSync(pool, String(Number(total) + 4));
          undo.push(() => writeFileSync(pool, total));
          spawnSync("mkdir", [join(mounted, group)]);
          undo.push(() => spawnSync("rmdir", [join(mounted, group)]));
          writeFileSync(join(mounted, group, "hugetlb.2MB.limit_in_bytes"), String(2 << 20));
          const body = `
            require("node:fs").writeFileSync(${JSON.stringify(join(mounted, group, "cgroup.procs"))}, String(process.pid));
            const huge = 2n << 20n;
            const va = shim.mmap(0n, 2n * huge, ${RW}, ${MapFlag.HUGETLB | MapFlag.POPULATE}, 21);
            console.log(JSON.stringify({ mapped: va > 0n, one: shim.populate(va, huge), two: shim.populate(va, 2n * huge) }));`;
          const found = said(body, preload);
          // A machine whose memory is in pieces may have no hugepages to give.
          if (found.mapped) assert.equal(found, { mapped: true, one: 0, two: errno("EFAULT") });
        } finally {
          for (const one of undo.reverse()) one();
        }
      });
    }

    test("and the library for old kernels is gone again", () => rmSync(directory, { recursive: true }));
  },
  "populate()",
  (kernel) => kernel.populate?.(4096n, 4096n),
);

test.run();
