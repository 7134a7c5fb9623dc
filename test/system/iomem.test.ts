import { spawnSync } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { parseIomem, readIomem } from "../../src/system/iomem.ts";
import { failure, refused, thrownBy } from "../support/failure.ts";
import { withTree } from "./temp-tree.ts";

const x86 = `00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-000fffff : Reserved
  000a0000-000bffff : PCI Bus 0000:00
  000f0000-000fffff : System ROM
00100000-bfffffff : System RAM
  01000000-02209987 : Kernel code
  02400000-02e09fff : Kernel rodata
  03000000-0327c0ff : Kernel data
  03b34000-03c57fff : Kernel bss
c0000000-febfffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
    fd000000-fdffffff : vfio-pci
fec00000-fec003ff : IOAPIC 0
100000000-63fffffff : System RAM
640000000-643ffffff : RAM buffer
4000000000-7fffffffff : PCI Bus 0000:00
`;

const power = `00000000-3fffffffff : System RAM
200000000000-20003fffffff : System RAM
  200000000000-200000ffffff : reserved by firmware
6000000000000-6003fbfffffff : pciex@600c3c0000000
  6000000000000-60000ffffffff : PCI Bus 0000:01
`;

const arm = `09000000-09000fff : pl011@9000000
40000000-13fffffff : System RAM
  40210000-4165ffff : Kernel code
  41660000-41b1ffff : reserved
  41b20000-41fbffff : Kernel data
  48000000-48009fff : reserved
  13c000000-13dffffff : reserved
8000000000-ffffffffff : PCI Bus 0000:00
`;

const plugged = `00001000-0009ffff : System RAM
00100000-7fffffff : System RAM
100000000-207fffffff : System RAM
2080000000-3fffffffff : Persistent Memory
  2080000000-20ffffffff : namespace0.0
  2100000000-3fffffffff : dax0.0
    2100000000-3fffffffff : System RAM (kmem)
4080000000-607fffffff : CXL Window 0
  4080000000-607fffffff : region0
    4080000000-607fffffff : dax1.0
      4080000000-607fffffff : System RAM (kmem)
8000000000-81ffffffff : virtio0
  8100000000-817fffffff : System RAM (virtio_mem)
a000000000-bfffffffff : Soft Reserved
`;

const hidden = `00000000-00000000 : Reserved
00000000-00000000 : System RAM
00000000-00000000 : System RAM
  00000000-00000000 : Kernel code
00000000-00000000 : PCI Bus 0000:00
`;

const last64 = (1n << 64n) - 1n;

test("a PC: only System RAM counts, and the highest address is the inclusive end of the last of it", () => {
  const iomem = parseIomem(x86);
  assert.equal(iomem.ranges, [
    { start: 0x1000n, last: 0x9fbffn, name: "System RAM", depth: 0 },
    { start: 0x100000n, last: 0xbfffffffn, name: "System RAM", depth: 0 },
    { start: 0x100000000n, last: 0x63fffffffn, name: "System RAM", depth: 0 },
  ]);
  assert.is(iomem.highest, 0x63fffffffn);
  assert.is(iomem.totalBytes, 0x9ec00n + 0xbff00000n + 0x540000000n);
});

test("a POWER machine: memory at 0 is memory, and the second chip's lies far above", () => {
  const iomem = parseIomem(power);
  assert.equal(iomem.ramRanges, [
    { start: 0n, last: 0x3fffffffffn },
    { start: 0x200000000000n, last: 0x20003fffffffn },
  ]);
  assert.is(iomem.highest, 0x20003fffffffn);
  assert.is(iomem.totalBytes, (256n << 30n) + (1n << 30n));
});

test("Arm: what is reserved inside System RAM stays part of it, and is not counted on its own", () => {
  const iomem = parseIomem(arm);
  assert.is(iomem.ranges.length, 1);
  assert.is(iomem.totalBytes, 4n << 30n);
  assert.is(iomem.highest, 0x13fffffffn);
});

test("memory that a driver plugged in counts, however deep its line is indented", () => {
  const iomem = parseIomem(plugged);
  assert.equal(
    iomem.ranges.filter(({ name }) => name !== "System RAM"),
    [
      { start: 0x2100000000n, last: 0x3fffffffffn, name: "System RAM (kmem)", depth: 2 },
      { start: 0x4080000000n, last: 0x607fffffffn, name: "System RAM (kmem)", depth: 3 },
      { start: 0x8100000000n, last: 0x817fffffffn, name: "System RAM (virtio_mem)", depth: 1 },
    ],
  );
  assert.is(iomem.highest, 0x817fffffffn, "above the System RAM of the top level");
});

test("a device's memory that is not System RAM does not count, although it lies higher", () => {
  assert.ok(parseIomem(plugged).highest < 0xa000000000n);
});

test("a single indented kmem line is enough to be the machine's memory", () => {
  assert.is(parseIomem("    4000000000-7fffffffff : System RAM (kmem)\n").highest, 0x7fffffffffn);
});

test("System RAM inside System RAM is listed twice and counted once", () => {
  const iomem = parseIomem("00000000-0fffffff : System RAM\n  04000000-07ffffff : System RAM (kmem)\n");
  assert.is(iomem.ranges.length, 2);
  assert.equal(iomem.ramRanges, [{ start: 0n, last: 0xfffffffn }]);
  assert.is(iomem.totalBytes, 0x10000000n);
});

test("ranges that touch or overlap become one, ranges with a gap of one byte do not", () => {
  const touching = parseIomem("1000-1fff : System RAM\n2000-2fff : System RAM\n");
  assert.equal(touching.ramRanges, [{ start: 0x1000n, last: 0x2fffn }]);
  const overlapping = parseIomem("1000-27ff : System RAM\n2000-2fff : System RAM\n");
  assert.equal(overlapping.ramRanges, [{ start: 0x1000n, last: 0x2fffn }]);
  assert.is(overlapping.totalBytes, 0x2000n);
  const apart = parseIomem("1000-1fff : System RAM\n2001-2fff : System RAM\n");
  assert.is(apart.ramRanges.length, 2);
});

test("lines out of order come out ascending, and stay as they were in the list of lines", () => {
  const iomem = parseIomem("100000000-1ffffffff : System RAM\n00001000-7fffffff : System RAM\n");
  assert.equal(
    iomem.ramRanges.map(({ start }) => start),
    [0x1000n, 0x100000000n],
  );
  assert.is(iomem.ranges[0]?.start, 0x100000000n);
  assert.is(iomem.highest, 0x1ffffffffn);
});

test("all 64 bits of an address are kept, up to the last byte of the address space", () => {
  const iomem = parseIomem("0000000000000000-ffffffffffffffff : System RAM\n");
  assert.is(iomem.highest, last64);
  assert.is(iomem.totalBytes, 1n << 64n);
  const odd = parseIomem("20000000000001-20000000000003 : System RAM\n");
  assert.is(odd.highest, 9007199254740995n, "2^53 + 3 is no JS number");
  assert.is(odd.totalBytes, 3n);
});

test("a range that ends at 2^64 - 1 takes in what starts inside of it", () => {
  const iomem = parseIomem(
    "fffffffffffff000-ffffffffffffffff : System RAM\n  ffffffffffffffff-ffffffffffffffff : System RAM\n",
  );
  assert.equal(iomem.ramRanges, [{ start: last64 - 0xfffn, last: last64 }]);
});

test("zeros for addresses are not taken for a machine without memory: the reader may not see them", () => {
  const error = failure("ERR_IOMEM_HIDDEN", () => parseIomem(hidden));
  assert.match(error.message, "CAP_SYS_ADMIN");
  assert.match(error.message, "shows them to root alone: run as root");
  assert.match(error.message, "State the highest physical address");
  assert.match(error.message, "IOVA mode");
});

test("one System RAM line of zeros among real ones is refused: a window must not come out too small", () => {
  failure("ERR_IOMEM_HIDDEN", () => parseIomem(`${x86}00000000-00000000 : System RAM (kmem)\n`));
});

test("other things at 0-0 hide nothing, and RAM that starts at 0 is RAM", () => {
  const iomem = parseIomem("00000000-00000000 : PCI Bus 0000:00\n00000000-00000fff : System RAM\n");
  assert.is(iomem.highest, 0xfffn);
});

test("no System RAM at all is an error of its own, whether the file is empty or names other things", () => {
  assert.is(failure("ERR_IOMEM_NO_RAM", () => parseIomem("")).facts?.lines, 0);
  const text = "00000000-00000fff : Reserved\n00001000-00001fff : Not System RAM\n";
  assert.is(failure("ERR_IOMEM_NO_RAM", () => parseIomem(text)).facts?.lines, 2);
});

const malformed: Record<string, string> = {
  "a blank line": "",
  "no name": "00001000-0009fbff",
  "no blank before the name": "00001000-0009fbff :System RAM",
  "no last address": "00001000 : System RAM",
  "digits that are not hexadecimal": "0000g000-0009fbff : System RAM",
  "a first address of more than 16 digits": "00000000000001000-0009fbff : System RAM",
  "a last address of more than 64 bits": "00001000-1ffffffffffffffff : System RAM",
  "a prefix": "0x1000-0x9fbff : System RAM",
  "a sign": "-1000-9fbff : System RAM",
  "an indentation of one blank": " 00001000-0009fbff : System RAM",
  "a tab": "\t00001000-0009fbff : System RAM",
  "RAM that ends before it starts": "00002000-00001fff : System RAM",
};
for (const [what, line] of Object.entries(malformed)) {
  test(`${what} is malformed, and the error names the line`, () => {
    const text = `00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n${line}\n00100000-7fffffff : System RAM\n`;
    const error = failure("ERR_IOMEM_MALFORMED", () => parseIomem(text));
    assert.is(error.facts?.line, 3);
    assert.match(error.message, "line 3");
  });
}

test("a file that is cut off within a line is malformed", () => {
  failure("ERR_IOMEM_MALFORMED", () => parseIomem(x86.slice(0, x86.indexOf("63fffffff") + 4)));
});

test("a long malformed line is not repeated in full in the message", () => {
  const error = failure("ERR_IOMEM_MALFORMED", () => parseIomem("z".repeat(5000)));
  assert.ok(error.message.length < 200);
});

test("an empty resource of something else, which ends before it starts, does no harm", () => {
  assert.is(parseIomem("00001000-00000fff : nothing\n00001000-00001fff : System RAM\n").highest, 0x1fffn);
});

test("text that is no string is refused", () => {
  refused("ERR_INVALID_ARG_TYPE", () => parseIomem(undefined as never));
  refused("ERR_INVALID_ARG_TYPE", () => parseIomem(Buffer.from(x86) as never));
});

test("a file is read like the text in it", () => {
  withTree({ iomem: x86 }, (root) => assert.equal(readIomem(join(root, "iomem")), parseIomem(x86)));
});

test("a file that is missing or is a directory gives the kernel's errno, and what to do without it", () => {
  withTree({ "directory/file": "" }, (root) => {
    const missing = failure("ERR_IOMEM_UNREADABLE", () => readIomem(join(root, "iomem")));
    assert.is(missing.errno, -constants.errno.ENOENT);
    assert.is(missing.syscall, "open");
    assert.match(missing.message, "ENOENT");
    assert.match(missing.message, "IOVA mode");
    const directory = failure("ERR_IOMEM_UNREADABLE", () => readIomem(join(root, "directory")));
    assert.is(directory.errno, -constants.errno.EISDIR);
  });
});

test("a path that is no string is refused: a number would be read as a file descriptor", () => {
  refused("ERR_INVALID_ARG_TYPE", () => readIomem(0 as never));
  refused("ERR_INVALID_ARG_TYPE", () => readIomem(null as never));
  refused("ERR_INVALID_ARG_TYPE", () => readIomem({} as never));
});

test("a kernel's files say what its machine has, or why not", () => {
  const of = (answer: string | number): MachineFiles => ({
    text: (path) => (path === "/proc/iomem" ? answer : -2),
    names: () => -2,
    link: () => -2,
  });
  assert.equal(readIomem(of(x86)), parseIomem(x86));
  const error = failure("ERR_IOMEM_UNREADABLE", () => readIomem(of(-constants.errno.EACCES)));
  assert.equal([error.errno, error.facts], [-constants.errno.EACCES, { path: "/proc/iomem" }]);
});

test("this machine's own file gives memory, or says that it is hidden", () => {
  let iomem: ReturnType<typeof readIomem>;
  try {
    iomem = readIomem();
  } catch (error) {
    assert.instance(error, DmaWindowError);
    assert.ok(
      ["ERR_IOMEM_HIDDEN", "ERR_IOMEM_NO_RAM", "ERR_IOMEM_UNREADABLE"].includes((error as DmaWindowError).code),
    );
    return;
  }
  assert.ok(iomem.totalBytes > 64n << 20n);
  assert.is(iomem.highest, iomem.ramRanges.at(-1)?.last);
  assert.ok(iomem.totalBytes <= iomem.highest + 1n);
});

test("what an unprivileged reader of this machine gets is recognised as hidden", () => {
  if (process.getuid?.() !== 0) return;
  const text = spawnSync("cat", ["/proc/iomem"], { uid: 65534, gid: 65534, encoding: "utf8" }).stdout;
  if (!text?.includes("System RAM")) return;
  assert.is((thrownBy(() => parseIomem(text)) as DmaWindowError).code, "ERR_IOMEM_HIDDEN");
});

test.run();
