/** What the kernel wrote is read without trust: nothing outside of the struct, and no chain for ever. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { capabilitiesOf } from "../../src/device/capabilities.ts";
import {
  hotResetCount,
  hotResetInfo,
  irqSetFiles,
  readDeviceInfo,
  readHotResetInfo,
  readIrqInfo,
  readRegionInfo,
  regionInfo,
} from "../../src/device/structs.ts";
import { Random } from "../support/random.ts";

const structs = suite("structs of a device");

const words = (bytes: Uint8Array, ...values: readonly (readonly [number, number])[]) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [at, value] of values) view.setUint32(at, value, true);
  return bytes;
};

/** Of a region: flags CAPS and READ, and where the chain begins. */
const chained = (bytes: number, first: number) => words(regionInfo(0, bytes), [4, 0x9], [12, first]);

structs("a chain of capabilities is read: what may be mapped, and that the MSI-X table may", () => {
  const info = chained(32 + 8 + 48, 32);
  words(info, [32, 0x1_0003], [36, 40]); // MSIX_MAPPABLE, then
  words(info, [40, 0x1_0001], [44, 0], [48, 2], [52, 0]); // SPARSE_MMAP with two areas, one of them empty
  words(info, [56, 0x1000], [60, 0], [64, 0x3000], [68, 0], [72, 0x8000], [76, 0], [80, 0], [84, 0]);
  const { msixMappable, sparse, readable, mappable } = readRegionInfo(info);
  assert.equal({ msixMappable, readable, mappable }, { msixMappable: true, readable: true, mappable: false });
  assert.equal(sparse, [{ offset: 0x1000n, bytes: 0x3000n }]);
});

structs("a chain that leads back, into the struct's head, or out of it, ends there", () => {
  for (const [first, next] of [
    [32, 32],
    [32, 8],
    [32, 44],
    [32, 0xffff_fff0],
    [4, 0],
    [40, 32],
    [0xffff_ffff, 0],
  ] as const) {
    const info = chained(48, first);
    words(info, [32, 3], [36, next], [40, 3], [44, 32]);
    assert.ok([true, false].includes(readRegionInfo(info).msixMappable), `${first} ${next}`);
  }
  const area = words(chained(56, 32), [32, 1], [36, 0], [40, 0xffff_ffff]);
  assert.is(readRegionInfo(area).sparse?.length, 0); // one area would fit, and is empty
});

structs("whatever bytes the kernel writes, they are read to an end", () => {
  const seed = 20261130;
  const random = new Random(seed);
  const next = (end: number) => random.below(end);
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: 8 * (4 + next(30)) }, () => next(256));
    if (round % 2 === 0) words(bytes, [4, 0xf], [12, 32 + 4 * next(8)]);
    readRegionInfo(bytes);
    readDeviceInfo(bytes);
    readIrqInfo(bytes);
    assert.ok(readHotResetInfo(bytes).length <= bytes.length / 8, `seed ${seed}, round ${round}`);
    const config = new Uint8Array(next(2) === 0 ? 256 : 4096).map(() => next(256));
    config[6] = 0x10;
    const found = capabilitiesOf(config);
    assert.is(new Set(found.map(({ offset }) => offset)).size, found.length, `seed ${seed}, round ${round}`);
  }
});

structs("devices of a bus are named by segment, bus, slot and function", () => {
  const info = words(hotResetInfo(2), [8, 2], [12, 26], [16, 0x0901_0001], [20, 27], [24, 0xff1f_abcd]);
  assert.equal(readHotResetInfo(info), [
    { group: 26, address: "0001:01:01.1" },
    { group: 27, address: "abcd:1f:1f.7" },
  ]);
  assert.is(hotResetCount(words(hotResetInfo(0), [8, 3])), 3);
  assert.equal(readHotResetInfo(words(hotResetInfo(0), [8, 3])), []);
});

structs("descriptors of vectors stand behind the head, none as -1", () => {
  const set = irqSetFiles(2, 3, [9, -1]);
  assert.equal([...new Int32Array(set.buffer, 0, 7)], [28, 0x24, 2, 3, 2, 9, -1]);
});

structs.run();

const lists = suite("capabilities");

/** A configuration space with these bytes. */
function config(length: number, ...put: readonly (readonly [number, ...number[]])[]): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes[6] = 0x10;
  for (const [at, ...values] of put) bytes.set(values, at);
  return bytes;
}

const found = (bytes: Uint8Array) => capabilitiesOf(bytes).map(({ id, offset, name }) => `${id}@${offset} ${name}`);

lists("are found in the order of the list, and named", () => {
  const space = config(256, [0x34, 0x43], [0x40, 0x11, 0x80], [0x80, 0x10, 0x60], [0x60, 0x01, 0]);
  assert.equal(found(space), ["17@64 MSI-X", "16@128 PCI Express", "1@96 power management"]);
});

lists("end where they lead back, to nobody, or into the header; and there are none where none are announced", () => {
  assert.equal(found(config(256, [0x34, 0x40], [0x40, 5, 0x50], [0x50, 9, 0x40])), [
    "5@64 MSI",
    "9@80 vendor-specific",
  ]);
  assert.equal(found(config(256, [0x34, 0x40], [0x40, 5, 0x10])), ["5@64 MSI"]);
  assert.equal(found(config(256, [0x34, 0x40], [0x40, 0xff, 0xff])), []);
  assert.equal(found(config(256, [0x34, 0xff])), []); // 0xfc, with nothing in it
  const silent = config(256, [0x34, 0x40], [0x40, 5, 0]);
  silent[6] = 0;
  assert.equal(found(silent), []);
  assert.equal(found(new Uint8Array(256).fill(0xff)), []);
});

lists("extended: one that VFIO emptied at the beginning does not end the list, and loops do", () => {
  const space = config(4096, [0x100, 0, 0, 0x80, 0x14], [0x148, 3, 0, 1, 0x20], [0x200, 0x10, 0, 1, 0x14 | 0x80]);
  const more = (next: number) => [(next & 0xf) << 4, next >> 4];
  space.set(more(0x148), 0x102);
  space.set([1 | (more(0x200)[0] as number), more(0x200)[1] as number], 0x14a);
  space.set([1 | (more(0x148)[0] as number), more(0x148)[1] as number], 0x202);
  assert.equal(found(space), ["3@328 serial number", "16@512 SR-IOV"]);
  assert.equal(found(config(4096, [0x100, 0xff, 0xff, 0xff, 0xff])), []);
});

lists.run();
