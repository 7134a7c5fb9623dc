import { closeSync, openSync } from "node:fs";
import { test } from "uvu";
import { MapFlag, Protection, VfioCall } from "../../src/syscalls.ts";
import { refuses, withShim } from "./native.ts";

const page = 65536n;

// What each kind of argument must not be. The words are what the message must say.
type Bad = readonly [value: unknown, kind: typeof TypeError | typeof RangeError];

const notNumbers: readonly Bad[] = [undefined, null, "3", 3n, {}, [], true, Symbol("3"), () => 3].map((value) => [
  value,
  TypeError,
]);
const notSmallNumbers: readonly Bad[] = [Number.NaN, -1, 0.5, Infinity, -Infinity, 2 ** 32, 2 ** 53, 1e300, 5e-324].map(
  (value) => [value, RangeError],
);
const badNumbers = [...notNumbers, ...notSmallNumbers];

const badBigints: readonly Bad[] = [
  ...[undefined, null, 4096, "4096", {}].map((value): Bad => [value, TypeError]),
  ...[-1n, -4096n, 1n << 64n, (1n << 64n) + 4096n, -(1n << 70n)].map((value): Bad => [value, RangeError]),
];

const badOffsets: readonly Bad[] = [...badBigints, [1n << 63n, RangeError], [(1n << 64n) - 1n, RangeError]];

/** 2^32 and more may be. */
const badLengths = badNumbers.filter(([value]) => value !== 2 ** 32);

/** Also those that nobody was given. */
const badHandles: readonly Bad[] = [...badLengths, ...[0, 1, 65536, 2 ** 40].map((value): Bad => [value, RangeError])];

const notFunctions: readonly Bad[] = [undefined, null, 0, "listener", {}, []].map((value) => [value, TypeError]);

const badMemory: readonly Bad[] = [
  undefined,
  null,
  0,
  "memory",
  {},
  [0, 0, 0, 0],
  { length: 64, buffer: new ArrayBuffer(64), byteLength: 64 },
  new ArrayBuffer(64),
  new SharedArrayBuffer(64),
  new DataView(new ArrayBuffer(64)),
  new Uint8ClampedArray(64),
  new Int8Array(64),
  new Uint32Array(16),
  new BigUint64Array(8),
  new Proxy(new Uint8Array(64), {}),
  Object.create(Uint8Array.prototype),
].map((value) => [value, TypeError]);

withShim(
  (shim) => {
    const memory = new Uint8Array(256);
    const call = VfioCall.IOMMU_MAP_DMA;
    // An fd on which a call that slipped through would fail, not harm.
    const fd = openSync("/dev/null", "r+");
    test.after(() => closeSync(fd));

    // Each line: the function and its argument, the bad values, and the call with one of them in its place.
    const table: readonly [string, readonly Bad[], RegExp, (bad: never) => unknown][] = [
      ["open: path", notNumbers.filter(([value]) => value !== "3"), /path/, (bad) => shim.open(bad)],
      ["close: fd", [...badNumbers, [2 ** 31, RangeError]], /fd/, (bad) => shim.close(bad)],
      ["ioctl: fd", [...badNumbers, [2 ** 31, RangeError]], /fd/, (bad) => shim.ioctl(bad, 0, 0)],
      ["ioctl: call", badNumbers, /call/, (bad) => shim.ioctl(fd, bad, 0)],
      ["ioctl: argument", badNumbers, /argument/, (bad) => shim.ioctl(fd, VfioCall.SET_IOMMU, bad)],
      ["ioctlStruct: fd", badNumbers, /fd/, (bad) => shim.ioctlStruct(bad, call, memory, 0)],
      ["ioctlStruct: call", badNumbers, /call/, (bad) => shim.ioctlStruct(fd, bad, memory, 0)],
      ["ioctlStruct: memory", badMemory, /memory/, (bad) => shim.ioctlStruct(fd, call, bad, 0)],
      ["ioctlStruct: offset", badNumbers, /offset/, (bad) => shim.ioctlStruct(fd, call, memory, bad)],
      ["ioctlBatch: fd", badNumbers, /fd/, (bad) => shim.ioctlBatch(bad, memory, 0, 0)],
      ["ioctlBatch: memory", badMemory, /memory/, (bad) => shim.ioctlBatch(fd, bad, 0, 0)],
      ["ioctlBatch: table", badNumbers, /table/, (bad) => shim.ioctlBatch(fd, memory, bad, 0)],
      ["ioctlBatch: count", badNumbers, /count/, (bad) => shim.ioctlBatch(fd, memory, 0, bad)],
      ["mmap: address", badBigints, /address/, (bad) => shim.mmap(bad, page, 0, 0, 0)],
      ["mmap: length", badBigints, /length/, (bad) => shim.mmap(0n, bad, 0, 0, 0)],
      ["mmap: protection", badNumbers, /protection/, (bad) => shim.mmap(0n, page, bad, 0, 0)],
      ["mmap: flags", badNumbers, /flags/, (bad) => shim.mmap(0n, page, 0, bad, 0)],
      ["mmap: hugePageShift", badNumbers, /hugePageShift/, (bad) => shim.mmap(0n, page, 0, 0, bad)],
      ["munmap: address", badBigints, /address/, (bad) => shim.munmap(bad, page)],
      ["munmap: length", badBigints, /length/, (bad) => shim.munmap(page, bad)],
      ["bindNode: address", badBigints, /address/, (bad) => shim.bindNode(bad, page, 0)],
      ["bindNode: length", badBigints, /length/, (bad) => shim.bindNode(page, bad, 0)],
      ["bindNode: node", [...badNumbers, [1024, RangeError]], /node/, (bad) => shim.bindNode(page, page, bad)],
      ["ioctlLater: fd", badNumbers, /fd/, (bad) => shim.ioctlLater(bad, call, memory, 0)],
      ["ioctlLater: call", badNumbers, /call/, (bad) => shim.ioctlLater(fd, bad, memory, 0)],
      ["ioctlLater: struct", badMemory, /memory/, (bad) => shim.ioctlLater(fd, call, bad, 0)],
      [
        "ioctlLater: argument",
        badNumbers,
        /argument/,
        (bad) => shim.ioctlLater(fd, VfioCall.SET_IOMMU, undefined, bad),
      ],
      ["pread: fd", badNumbers, /fd/, (bad) => shim.pread(bad, memory, 0n)],
      ["pread: memory", badMemory, /memory/, (bad) => shim.pread(fd, bad, 0n)],
      ["pread: offset", badOffsets, /offset/, (bad) => shim.pread(fd, memory, bad)],
      ["pwrite: fd", badNumbers, /fd/, (bad) => shim.pwrite(bad, memory, 0n)],
      ["pwrite: memory", badMemory, /memory/, (bad) => shim.pwrite(fd, bad, 0n)],
      ["pwrite: offset", badOffsets, /offset/, (bad) => shim.pwrite(fd, memory, bad)],
      ["mapRegisters: fd", badNumbers, /fd/, (bad) => shim.mapRegisters(bad, 0n, 4096)],
      ["mapRegisters: offset", badOffsets, /offset/, (bad) => shim.mapRegisters(fd, bad, 4096)],
      ["mapRegisters: length", badLengths, /length/, (bad) => shim.mapRegisters(fd, 0n, bad)],
      ["unmapRegisters: registers", badHandles, /registers/, (bad) => shim.unmapRegisters(bad, 0)],
      ["addressOfRegisters: registers", badHandles, /registers/, (bad) => shim.addressOfRegisters(bad)],
      ["takeEvents: fd", badNumbers, /fd/, (bad) => shim.takeEvents(bad)],
      ["listen: fd", badNumbers, /fd/, (bad) => shim.listen(bad, () => {})],
      ["listen: listener", notFunctions, /listener/, (bad) => shim.listen(fd, bad)],
      ["endListening: listening", badLengths, /listening/, (bad) => shim.endListening(bad)],
      ["holdLoop: listening", badLengths, /listening/, (bad) => shim.holdLoop(bad, 0)],
      ["holdLoop: holds", badNumbers, /holds/, (bad) => shim.holdLoop(1, bad)],
      ["view: address", badBigints, /address/, (bad) => shim.view(bad, page)],
      ["view: length", badBigints, /length/, (bad) => shim.view(page, bad)],
      [
        "detach: buffer",
        badMemory.filter(([value]) => !(value instanceof ArrayBuffer)),
        /buffer/,
        (bad) => shim.detach(bad),
      ],
    ];
    for (const [argument, bads, words, make] of table) {
      test(`${argument} of a wrong kind or value is refused`, () => {
        for (const [bad, kind] of bads) refuses(() => make(bad as never), kind, words);
      });
    }

    test("a function called with nothing refuses before anything happens", () => {
      for (const [name, make] of Object.entries(shim)) {
        if (["pageSize", "layout", "eventfd", "execOwnMounts"].includes(name)) continue;
        refuses(() => (make as () => unknown)(), TypeError, /must be/);
      }
    });

    test("a path with a NUL byte, or of more bytes than the kernel takes, is refused", () => {
      refuses(() => shim.open("/dev/null\0/etc"), RangeError, /NUL/);
      refuses(() => shim.open(`/${"a".repeat(4095)}`), RangeError, /shorter than 4096/);
      refuses(() => shim.open("é".repeat(2048)), RangeError, /shorter than 4096/);
    });

    test("a call that is not in VfioCall is refused, also the neighbours of those that are", () => {
      for (const unknown of [7, 8, 9, 10, 11, 22, 23, 100, 0x100, 0x106, 0x10e, 0x110, 0x112, 0x3b64, 2 ** 32 - 1]) {
        refuses(() => shim.ioctl(fd, unknown, 0), RangeError, /one of VfioCall/);
        refuses(() => shim.ioctlStruct(fd, unknown, memory, 0), RangeError, /one of VfioCall/);
      }
    });

    test("a call with a struct is refused as an integer's, and the other way round", () => {
      const plain = ["GET_API_VERSION", "CHECK_EXTENSION", "SET_IOMMU", "GROUP_UNSET_CONTAINER", "DEVICE_RESET"];
      for (const [name, distance] of Object.entries(VfioCall)) {
        if (plain.includes(name) || name === "IOMMU_ENABLE" || name === "IOMMU_DISABLE") {
          refuses(() => shim.ioctlStruct(fd, distance, memory, 0), TypeError, /takes no struct/);
        } else {
          refuses(() => shim.ioctl(fd, distance, 0), TypeError, /takes a struct/);
        }
      }
    });

    test("a later call has its struct, or none, as the others have", () => {
      refuses(() => shim.ioctlLater(fd, VfioCall.DEVICE_RESET, memory, 0), TypeError, /takes no struct/);
      refuses(() => shim.ioctlLater(fd, VfioCall.DEVICE_RESET, undefined, 1), RangeError, /argument/);
      refuses(() => shim.ioctlLater(fd, call, new Uint8Array(31), 0), RangeError, /bytes/);
      refuses(
        () => shim.ioctlLater(fd, VfioCall.GROUP_GET_DEVICE_FD, new Uint8Array(8).fill(1), 0),
        RangeError,
        /name/,
      );
    });

    test("a call that has no argument takes 0 only", () => {
      refuses(() => shim.ioctl(fd, VfioCall.GET_API_VERSION, 1), RangeError, /argument/);
      refuses(() => shim.ioctl(fd, VfioCall.IOMMU_ENABLE, 0xffffffff), RangeError, /argument/);
    });

    test("mmap refuses bits that are not in Protection or MapFlag", () => {
      const everyFlag = Object.values(MapFlag).reduce((all, bit) => all | bit, 0);
      refuses(() => shim.mmap(0n, page, (Protection.READ | Protection.WRITE) + 1, 0, 0), RangeError, /protection/);
      refuses(() => shim.mmap(0n, page, 0, everyFlag + 1, 0), RangeError, /flags/);
      refuses(() => shim.mmap(0n, page, 0, 0x20, 0), RangeError, /flags/);
    });

    test("mmap refuses a page shift that has no place in the flags", () => {
      refuses(() => shim.mmap(0n, page, 0, MapFlag.HUGETLB, 64), RangeError, /hugePageShift/);
    });

    test("view refuses address 0, no bytes, more than 4 GiB, and a range that wraps", () => {
      refuses(() => shim.view(0n, page), RangeError, /address/);
      refuses(() => shim.view(page, 0n), RangeError, /length/);
      refuses(() => shim.view(page, (1n << 32n) + 1n), RangeError, /length/);
      refuses(() => shim.view((1n << 64n) - page, page + 1n), RangeError, /2\^64/);
      refuses(() => shim.view((1n << 64n) - 1n, 2n), RangeError, /2\^64/);
    });
  },
  "close()",
  (kernel) => kernel.close(0),
);

test.run();
