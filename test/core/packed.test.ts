/** The builds as text: what is packed is unpacked to the byte, by itself and behind other bytes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readAlloc } from "../../src/alloc.ts";
import { readSharedAlloc } from "../../src/alloc-shared.ts";
import { readCore } from "../../src/core-build.ts";
import { unpack } from "../../src/unpack.ts";
import { pack } from "../../tools/lz4.mjs";
import { root } from "../package/imports.ts";

const packed = suite("packed bytes");

/** Few values in long runs, so that there are matches of all lengths, overlapping ones and far ones. */
const bytes = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 260, max: 290 })),
    ),
    {
      maxLength: 6,
    },
  )
  .map((runs) => Uint8Array.from(runs.flatMap(([value, count]) => new Array<number>(count).fill(value))));

packed("are what they were", () => {
  fc.assert(
    fc.property(bytes, bytes, (one, before) => {
      assert.equal(unpack(pack(one)), one);
      assert.equal(unpack(pack(one, before), before), one);
      assert.equal(unpack(pack(one, one), one), one);
    }),
    { numRuns: 20 },
  );
  const noise = Uint8Array.from({ length: 70_000 }, (_, i) => Math.imul(i, i ^ 0x9e3779b1) >>> 24);
  assert.equal(unpack(pack(noise)), noise);
  assert.equal(unpack(pack(Uint8Array.of())), Uint8Array.of());
});

packed("end with literals, as the format wants it: the last five bytes, and no match begins in the last twelve", () => {
  for (const length of [13, 14, 300]) {
    const made = Buffer.from(pack(new Uint8Array(length)));
    const literals = 5;
    assert.is(made.readUInt32LE(0), length);
    assert.equal([...made.subarray(made.length - literals)], new Array(literals).fill(0));
    assert.is((made.at(-1 - literals) ?? 0) >> 4, literals);
  }
});

packed("are the builds' own, and the second core is next to nothing behind the first", () => {
  const file = (name: string) => readFileSync(join(root, "dist", `${name}.wasm`));
  for (const [name, read] of [
    ["core", readCore("core")],
    ["core.scalar", readCore("core.scalar")],
    ["alloc", readAlloc()],
    ["alloc.shared", readSharedAlloc()],
  ] as const)
    assert.ok(file(name).equals(read), name);
  assert.ok(pack(file("core.scalar"), file("core")).length < 1000);
});

packed.run();
