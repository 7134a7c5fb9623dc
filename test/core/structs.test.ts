/** The structs of <linux/vfio.h>, byte by byte. */
import * as assert from "uvu/assert";
import * as twin from "../reference/structs.ts";
import { eachBuild } from "./support.ts";

const VA = 0x1122_3344_5566_7788n;
const IOVA = 0x99aa_bbcc_ddee_ff01n;
const LENGTH = 0x0203_0405_0607_0809n;

eachBuild("structs", (test, core) => {
  /** Where the structs are written: amid bytes that show what was not written. */
  const at = core.acquireBytes(256) + 64;

  /** Runs `write` on bytes of all 0xee, and fails unless exactly those of `expected` are written. */
  function writes(expected: Uint8Array, write: () => void): void {
    core.bytes().fill(0xee, at - 64, at + 192);
    write();
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
    assert.is(hex(core.bytes().subarray(at, at + expected.length)), hex(expected));
    assert.ok(
      core
        .bytes()
        .subarray(at - 64, at)
        .every((byte) => byte === 0xee),
      "written before the struct",
    );
    const behind = core.bytes().subarray(at + expected.length, at + 192);
    assert.ok(
      behind.every((byte) => byte === 0xee),
      "written behind the struct",
    );
  }

  test("of REGISTER and UNREGISTER have vaddr at 8 and size at 16, of 24 bytes", () => {
    writes(twin.registerStruct(VA, LENGTH), () => core.writeRegister(at, VA, LENGTH));
  });

  test("of CREATE have the page shift at 8, the size at 16, levels at 24 and all else zero, of 40 bytes", () => {
    writes(twin.createStruct(0x0a0b0c0d, LENGTH, 0x0e0f1011), () =>
      core.writeCreate(at, 0x0a0b0c0d, LENGTH, 0x0e0f1011),
    );
  });

  test("of REMOVE have the start at 8, of 16 bytes", () => {
    writes(twin.removeStruct(IOVA), () => core.writeRemove(at, IOVA));
  });

  test("of MAP_DMA have the permission as flags, vaddr at 8, iova at 16 and size at 24, of 32 bytes", () => {
    for (const permission of [1, 2, 3]) {
      writes(twin.mapStruct(permission, VA, IOVA, LENGTH), () => core.writeMap(at, permission, VA, IOVA, LENGTH));
    }
  });

  test("of UNMAP_DMA have iova at 8 and size at 16, of 24 bytes", () => {
    writes(twin.unmapStruct(IOVA, LENGTH), () => core.writeUnmap(at, IOVA, LENGTH));
  });

  test("of UNMAP_DMA are not those of MAP_DMA, with which the kernel would clear everything below the IOVA", () => {
    core.bytes().fill(0, at, at + 40);
    core.writeUnmap(at, 0x1_4000_0000n, 0x20_0000n);
    const view = new DataView(core.memory.buffer, at);
    assert.is(view.getUint32(0, true), 24);
    assert.is(view.getUint32(4, true), 0);
    assert.is(view.getBigUint64(8, true), 0x1_4000_0000n);
    assert.is(view.getBigUint64(16, true), 0x20_0000n);
    assert.is(view.getBigUint64(24, true), 0n);
  });

  test("of GET_INFO ask with 32 bytes, so that the kernel fills in what it says about windows too", () => {
    writes(twin.struct(32), () => core.writeInfo(at));
  });

  test("of GET_INFO are read field by field", () => {
    core
      .bytes()
      .set(
        twin.struct(
          32,
          [4, 4, 0x8123_4567n],
          [8, 4, 0x89ab_cdefn],
          [12, 4, 0xfedc_ba98n],
          [16, 8, 0xf0e1_d2c3_b4a5_9687n],
          [24, 4, 0x8765_4321n],
          [28, 4, 0x9abc_def0n],
        ),
        at,
      );
    assert.is(core.infoFlags(at), 0x8123_4567);
    assert.is(core.infoDefaultStart(at), 0x89ab_cdef);
    assert.is(core.infoDefaultSize(at), 0xfedc_ba98);
    assert.is(core.infoPageSizes(at), 0xf0e1_d2c3_b4a5_9687n);
    assert.is(core.infoWindows(at) >>> 0, 0x8765_4321);
    assert.is(core.infoLevels(at) >>> 0, 0x9abc_def0);
  });

  test("of GROUP_GET_STATUS ask with 8 bytes, and have the flags at 4", () => {
    writes(twin.struct(8), () => core.writeGroupStatus(at));
    core.bytes().set(twin.struct(8, [4, 4, 0x8123_4567n]), at);
    assert.is(core.groupFlags(at), 0x8123_4567);
  });

  test("of GROUP_SET_CONTAINER are a file descriptor and nothing else", () => {
    for (const fd of [0, 3, 0x0102_0304, 2 ** 31 - 1]) {
      writes(new Uint8Array(new Int32Array([fd]).buffer), () => core.writeFile(at, fd));
    }
  });

  test("of CREATE hold the start that the kernel chose at 32, wherever it lies", () => {
    for (const start of [0n, 1n << 59n, 0xf0e1_d2c3_b4a5_9687n]) {
      core.bytes().set(twin.struct(40, [32, 8, start]), at);
      assert.is(core.createdStart(at), start);
    }
  });

  test("written one at a time fit into the scratch space, aligned for the kernel", () => {
    const scratch = core.structScratch();
    assert.is(scratch % 8, 0);
    core.writeCreate(scratch, 16, 1n << 40n, 2);
    assert.equal(core.bytes().slice(scratch, scratch + 40), twin.createStruct(16, 1n << 40n, 2));
  });
});
