/** What type1 says of itself: the chain of capabilities, and chains that cannot be. */
import * as assert from "uvu/assert";
import { Status } from "../../src/core.ts";
import { capability, info, infoCapability } from "../reference/type1-info.ts";
import { agree, eachBuild, forSeeds, show } from "./support.ts";

const MALFORMED = -Status.MALFORMED_INFO;
const RANGES = 1;
const AVAILABLE = 3;

eachBuild("type1's info", (test, core) => {
  const room = 4096;
  const at = core.acquireBytes(room);

  /** Puts bytes there, amid others that would be read as endless chains. */
  function place(bytes: Uint8Array): void {
    core.bytes().fill(0x18, at, at + room);
    core.bytes().set(bytes, at);
  }

  function found(bytes: Uint8Array, id: number): number {
    place(bytes);
    const where = core.infoCapability(at, bytes.length, id);
    agree(where, infoCapability(bytes, id), () => show(bytes));
    return where;
  }

  /** An info with capabilities at these places. */
  function infoWith(bytes: number, first: number, ...capabilities: (readonly [number, Uint8Array])[]): Uint8Array {
    const result = info(bytes, 3, 0x1000n, first);
    for (const [offset, one] of capabilities) result.set(one, offset);
    return result;
  }

  test("is asked for with zeroes and its size, and nothing is written behind it", () => {
    for (const bytes of [24, 32, 112]) {
      core.bytes().fill(0xee, at, at + room);
      core.writeType1Info(at, bytes);
      assert.equal(core.bytes().slice(at, at + bytes), info(bytes, 0, 0n, 0));
      assert.ok(
        core
          .bytes()
          .subarray(at + bytes, at + room)
          .every((byte) => byte === 0xee),
      );
    }
  });

  test("is read field by field", () => {
    place(info(0x1234, 0x8765_4321, 0xf0e1_d2c3_b4a5_9687n, 24));
    assert.is(core.infoBytes(at), 0x1234);
    assert.is(core.infoFlags(at), 0x8765_4321);
    assert.is(core.type1PageSizes(at), 0xf0e1_d2c3_b4a5_9687n);
    core.bytes().fill(0xff, at, at + 4);
    assert.is(core.infoBytes(at), 0xffff_ffff);
  });

  test("has ranges and a number of maps, in any order, behind whatever else is there", () => {
    const ranges = (next: number) =>
      capability(RANGES, next, [4, 2n], [4, 0n], [8, 0n], [8, 0xfedf_ffffn], [8, 0xfef0_0000n], [8, (1n << 64n) - 1n]);
    const available = (next: number) => capability(AVAILABLE, next, [4, 65535n], [4, 0n]);
    const migration = (next: number) => capability(2, next, [4, 0n], [4, 0n], [8, 0x1000n], [8, 1n << 30n]);
    for (const [bytes, where] of [
      [infoWith(72, 24, [24, ranges(0)]), [24, 0]],
      [infoWith(88, 24, [24, ranges(72)], [72, available(0)]), [24, 72]],
      [infoWith(120, 24, [24, migration(56)], [56, available(72)], [72, ranges(0)]), [72, 56]],
      [infoWith(120, 72, [24, migration(0)], [56, available(24)], [72, ranges(56)]), [72, 56]],
      [infoWith(40, 24, [24, capability(0xffff, 32)], [32, capability(0, 0)]), [0, 0]],
    ] as const) {
      assert.equal([found(bytes, RANGES), found(bytes, AVAILABLE)], where, show(bytes));
    }
    place(infoWith(88, 24, [24, ranges(72)], [72, available(0)]));
    assert.is(core.capabilityCount(at + 24), 2);
    assert.is(core.capabilityCount(at + 72), 65535);
    assert.equal(
      [0, 1].map((i) => [core.rangeStart(at + 24, i), core.rangeLast(at + 24, i)]),
      [
        [0n, 0xfedf_ffffn],
        [0xfef0_0000n, (1n << 64n) - 1n],
      ],
    );
  });

  test("of the same capability twice takes the first", () => {
    const twice = infoWith(56, 24, [24, capability(AVAILABLE, 40, [4, 1n])], [40, capability(AVAILABLE, 0, [4, 2n])]);
    assert.is(found(twice, AVAILABLE), 24);
  });

  test("that begins or goes on outside of itself is malformed, whatever else is found in it", () => {
    for (const first of [0, 1, 8, 16, 23, 33, 34, 40, 41, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1]) {
      assert.is(found(infoWith(40, first), RANGES), MALFORMED, `${first}`);
    }
    for (const next of [1, 16, 23, 42, 48, 2 ** 31 + 24, 2 ** 32 - 8, 2 ** 32 - 1]) {
      const bytes = infoWith(48, 24, [24, capability(AVAILABLE, next, [4, 7n])]);
      assert.is(found(bytes, AVAILABLE), MALFORMED, `${next}`);
      assert.is(found(bytes, RANGES), MALFORMED, `${next}`);
    }
    assert.is(found(infoWith(24, 24), RANGES), MALFORMED, "no room for any");
  });

  test("that goes round in a ring is malformed, and ends: rings of one, of two, and of all there is room for", () => {
    assert.is(found(infoWith(32, 24, [24, capability(5, 24)]), RANGES), MALFORMED);
    assert.is(found(infoWith(40, 24, [24, capability(5, 32)], [32, capability(5, 24)]), RANGES), MALFORMED);
    const bytes = infoWith(4096, 24);
    for (let offset = 24; offset < 4096; offset += 8)
      bytes.set(capability(RANGES, offset === 4088 ? 24 : offset + 8), offset);
    assert.is(found(bytes, AVAILABLE), MALFORMED);
    bytes.set(capability(AVAILABLE, 0), 4088);
    assert.is(found(bytes, 7), 0, "as many as there is room for, and an end");
  });

  test("whose capability is longer than the room behind it is malformed", () => {
    for (const count of [1n, 2n, 0x1000_0000n, 0xffff_ffffn]) {
      assert.is(
        found(infoWith(40, 24, [24, capability(RANGES, 0, [4, count], [4, 0n])]), RANGES),
        MALFORMED,
        `${count}`,
      );
    }
    assert.is(found(infoWith(40, 24, [24, capability(RANGES, 0, [4, 0n], [4, 0n])]), RANGES), 24);
    assert.is(found(infoWith(56, 24, [24, capability(RANGES, 0, [4, 1n], [4, 0n])]), RANGES), 24);
    for (const [bytes, where] of [
      [32, MALFORMED],
      [35, MALFORMED],
      [36, 24],
    ] as const) {
      assert.is(found(infoWith(bytes, 24, [24, capability(AVAILABLE, 0)]), AVAILABLE), where, `${bytes}`);
      assert.is(found(infoWith(bytes, 24, [24, capability(RANGES, 0)]), RANGES), MALFORMED, `${bytes}`);
    }
  });

  test("of random bytes is read as the twin reads it", () => {
    let whole = 0;
    forSeeds(3000, (random) => {
      const bytes = infoWith(24 + random.below(80), 24 + random.below(40));
      for (let offset = 24; offset + 8 <= bytes.length; offset += 8) {
        const next = random.chance(4) ? 0 : random.chance(8) ? random.below(200) : 24 + 8 * random.below(12);
        bytes.set(capability(random.below(4), next), offset);
      }
      for (const id of [RANGES, AVAILABLE]) if (found(bytes, id) > 0) whole++;
    });
    assert.ok(whole > 20, `${whole} were found`);
  });
});
