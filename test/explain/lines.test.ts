/** Lines of logs: what people paste finds its call, answer and cause; what nobody should paste does no harm. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { explainLine } from "../../src/explain/lines/explain.ts";
import { LINE_MAX, plain } from "../../src/explain/lines/plain.ts";
import { causes } from "../../src/explain/table.ts";
import { machine } from "./machine.ts";
import { publicLines } from "./public-lines.ts";

/** In how many of the ranks the cause that a thread came to must be, where the line itself does not name it. */
const RANKS = 5;

for (const { thread, expected, line } of publicLines) {
  test(`https://github.com/${thread}: ${expected}`, () => {
    const found = explainLine(line);
    const check = expected.split(" ").at(-1) ?? "";
    assert.is(`${found?.call} ${found?.answer} ${check}`, expected);
    const rank = found?.causes.find((cause) => cause.check === check)?.rank ?? Number.POSITIVE_INFINITY;
    assert.ok(rank <= RANKS, `${check} is ${rank}`);
  });
}

test("at least 40 lines of public threads; most have the thread's cause first", () => {
  const first = publicLines.filter(({ line, expected }) =>
    expected.endsWith(` ${explainLine(line)?.causes[0]?.check}`),
  );
  process.stdout.write(`  ${publicLines.length} lines, ${first.length} of them with the thread's cause first\n`);
  assert.ok(publicLines.length >= 40);
  assert.ok(first.length / publicLines.length >= 0.8, `${first.length} first`);
  const known = new Set(causes.map(({ call, errno, id }) => `${call} ${errno} ${id}`));
  assert.equal(
    publicLines.filter(({ expected }) => !known.has(expected)),
    [],
  );
});

/** Forms of the same in the words of different programs: call, answer, and operands. */
const forms: readonly (readonly [line: string, expected: string, found: Readonly<Record<string, unknown>>])[] = [
  [
    "ioctl(11, VFIO_IOMMU_MAP_DMA, {argsz=32, flags=VFIO_DMA_MAP_FLAG_READ|VFIO_DMA_MAP_FLAG_WRITE, vaddr=0x7f0000001000, iova=0x1001, size=0x1000}) = -1 EINVAL (Invalid argument)",
    "VFIO_IOMMU_MAP_DMA EINVAL whole-pages",
    { iova: 0x1001n, size: 0x1000n, vaddr: 0x7f0000001000n, argsz: 32n, flags: 3n },
  ],
  [
    "[pid  12] ioctl(11, _IOC(_IOC_NONE, 0x3b, 0x71, 0), 0x7ffd) = -1 ENOMEM (Cannot allocate memory)",
    "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    {},
  ],
  [
    "12:00:01.123 ioctl(11, 0x3b71, 0x7ffd) = -1 ENOMEM (Cannot allocate memory)",
    "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    {},
  ],
  [
    'openat(AT_FDCWD, "/dev/vfio/26", O_RDWR) = -1 EBUSY (Device or resource busy)',
    "open group EBUSY other-opener",
    { group: 26 },
  ],
  ['open("/dev/vfio/vfio", O_RDWR) = -1 ENOENT (No such file or directory)', "open /dev/vfio/vfio ENOENT module", {}],
  [
    "EAL:   cannot set up DMA remapping, error 12 (Cannot allocate memory)",
    "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    {},
  ],
  [
    "EAL: Cannot create new DMA window, error 12 (Cannot allocate memory)",
    "VFIO_IOMMU_SPAPR_TCE_CREATE ENOMEM default-window",
    {},
  ],
  [
    "qemu-system-ppc64: vfio_container_dma_map(0x1, 0x800000000000000, 0x10000, 0x7fff0000) = -12 (Cannot allocate memory)",
    "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    { iova: 0x800000000000000n, size: 0x10000n, vaddr: 0x7fff0000n },
  ],
  [
    "vfio 0000:01:00.0: failed to setup container for group 1: No available IOMMU models",
    "VFIO_CHECK_EXTENSION success not-there",
    { group: 1 },
  ],
  ["vfio 0000:01:00.0: failed to open /dev/vfio/26: Permission denied", "open group EACCES mode", { group: 26 }],
  [
    "ioctl(13, _IOC(_IOC_NONE, 0x3b, 0xc7, 0), 0) = -1 ENOTTY (Inappropriate ioctl for device)",
    "ioctl ENOTTY no-such-call",
    {},
  ],
  ["ioctl(13, VFIO_DEVICE_GET_INFO, NULL) = -1 EFAULT (Bad address)", "VFIO_DEVICE_GET_INFO EFAULT memory", {}],
];

for (const [line, expected, operands] of forms) {
  test(`form: ${line.slice(0, 90)}`, () => {
    const found = explainLine(line);
    assert.ok(found !== undefined);
    assert.is(`${found.call} ${found.answer}`, expected.slice(0, expected.lastIndexOf(" ")));
    const open = found.causes.slice(0, RANKS).map(({ check }) => check);
    assert.ok(open.includes(expected.slice(expected.lastIndexOf(" ") + 1)), `${open}`);
    for (const [name, value] of Object.entries(operands)) assert.equal(found.found[name], value, name);
  });
}

test("lines that say nothing of VFIO's calls, or that went well, mean nothing", () => {
  const harmless = [
    "",
    "hello world",
    'openat(AT_FDCWD, "/dev/vfio/vfio", O_RDWR) = 11',
    "ioctl(11, VFIO_IOMMU_MAP_DMA, 0x7ffd) = 0",
    'openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = -1 ENOENT (No such file or directory)',
    "EAL: Using IOMMU type 1 (Type 1)",
    "vfio-pci 0000:02:00.0: reset done",
    "libbpf: map 'processes': failed to create: Cannot allocate memory(-12)",
    "constructor(__proto__, toString) = -1 EINVAL",
    // A call of /dev/iommu: IOMMU_IOAS_ALLOC.
    "ioctl(3, _IOC(_IOC_NONE, 0x3b, 0x81, 0), 0x7ffd) = -1 ENOTTY (Inappropriate ioctl for device)",
  ];
  for (const line of harmless) assert.is(explainLine(line), undefined, line);
});

const checks = (found: ReturnType<typeof explainLine>, verdict: string) =>
  found?.causes.filter((cause) => cause.verdict === verdict).map(({ check }) => check);

test("a message that programs print for several reasons makes none of them sure, and says them side by side", () => {
  const found = explainLine("EAL: 0000:03:00.0 not managed by VFIO driver, skipping");
  assert.equal(checks(found, "sure"), []);
  assert.equal(checks(found, "likely"), ["not-bound", "iommu-off", "not-in-container"]);
  const one = explainLine("vfio 0000:01:00.0: no iommu_group found: No such file or directory");
  assert.equal(checks(one, "sure"), ["iommu-off"]);
});

test("what the machine says counts more than a message that has several reasons", () => {
  const files = machine({});
  const off = { ...files, names: (path: string) => (path === "/sys/kernel/iommu_groups" ? [] : files.names(path)) };
  const found = explainLine("EAL: 0000:03:00.0 not managed by VFIO driver, skipping", { files: off });
  assert.is(found?.causes[0]?.check, "iommu-off");
  assert.equal(checks(found, "sure"), ["iommu-off"]);
});

test("where a line does not say the answer, what is met more often comes first", () => {
  const group = explainLine("EAL: Failed to open VFIO group 49");
  assert.is(group?.answer, "unknown");
  const open = (group?.causes ?? []).map(({ answer, check }) => `${answer} ${check}`);
  assert.equal(open.slice(0, 3), ["ENOENT not-bound", "ENOENT iommu-off", "ENOENT not-in-container"]);
  const answers = [...new Set((group?.causes ?? []).map(({ answer }) => answer))];
  assert.equal(answers.slice(0, 5), ["ENOENT", "EACCES", "EPERM", "EBUSY", "ENODEV"]);
  const container = explainLine("EAL: cannot open VFIO container");
  assert.is(`${container?.causes[0]?.answer} ${container?.causes[0]?.check}`, "ENOENT module");
  const map = explainLine("EAL:   cannot set up DMA remapping");
  assert.is(`${map?.causes[0]?.answer} ${map?.causes[0]?.check}`, "ENOMEM locked-memory");
});

/** A second is a thousand times what a line takes, and a small part of what a regular expression that explodes would. */
const SECOND = 1000;

test("hostile lines: bounded, quick, and nothing of them reaches a terminal", () => {
  const many = (text: string, count = 200_000) => text.repeat(count);
  const hostile = [
    many("("),
    many("ioctl("),
    many("ioctl(1, VFIO_IOMMU_MAP_DMA, {argsz=", 10_000),
    `ioctl(1, VFIO_IOMMU_MAP_DMA, ${many("{", 9000)}`,
    `ioctl(1, VFIO_IOMMU_MAP_DMA, ${many("a=1, ", 9000)}) = -1 EINVAL`,
    `vfio_dma_map(${many("0x1, ", 9000)}) = -22`,
    `vfio_dma_map(${many(" ", 9000)}`,
    many("failed to open /dev/vfio/", 9000),
    many("error ", 9000),
    many("error 1", 9000),
    `failed to setup container for group ${many("9", 9000)}`,
    `/dev/vfio/${many("9", 9000)}: No such file or directory`,
    `RLIMIT_MEMLOCK (${many("1", 9000)}) exceeded`,
    many("VFIO_MAP_DMA failed: -", 9000),
    `${many(" ", 9000)}EINVAL`,
    many("\u001b[31m", 9000),
    many("\u0000", 9000),
    many("\ud800", 9000),
    many("\u202e", 9000),
    many("=-1", 9000),
    many("_IOC(", 9000),
    many("0x", 9000),
    many("[Errno ", 9000),
  ];
  for (const line of hostile) {
    const before = performance.now();
    const found = explainLine(line);
    const took = performance.now() - before;
    assert.ok(took < SECOND, `${took} ms for ${line.slice(0, 40)}`);
    assert.ok(
      JSON.stringify(found ?? null, (_, one) => (typeof one === "bigint" ? `${one}` : one)).length < 64 * LINE_MAX,
    );
  }
});

test("escapes of a line never reach what is shown", () => {
  const line =
    "\u001b]0;title\u0007vfio 0000:01:00.0: failed to open /dev/vfio/\u001b[2J26\u202e: Permission denied\u0000\r";
  const shown = plain(line);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.not.match(shown, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  const found = explainLine(line);
  assert.not.match(JSON.stringify(found), /\\u00[01]|[\u202a-\u202e]/);
});

test.run();
