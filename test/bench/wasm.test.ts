import { test } from "uvu";
import * as assert from "uvu/assert";
import { moduleSizes } from "../../bench/wasm/sections.ts";
import { readCore } from "../../src/core.ts";

/** (module (func (export "f") (nop)) (func (nop) (nop))), and a name section that calls the second one g. */
const small = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 4, 1, 0x60, 0, 0],
  ...[3, 3, 2, 0, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0],
  ...[10, 10, 2, 3, 0, 1, 0x0b, 4, 0, 1, 1, 0x0b],
  ...[0, 11, 4, 0x6e, 0x61, 0x6d, 0x65, 1, 4, 1, 1, 1, 0x67],
]);

test("a module's sections and functions are found, with the names that it gives them", () => {
  assert.ok(WebAssembly.validate(small));
  const { bytes, sections, functions } = moduleSizes(small);
  assert.is(bytes, small.length);
  assert.equal(
    sections.map(({ name, bytes: size }) => `${name} ${size}`),
    ["types 4", "functions 3", "exports 5", "code 10", "name 11"],
  );
  assert.equal(functions, [
    { name: "f", bytes: 3 },
    { name: "g", bytes: 4 },
  ]);
});

test("the core's sections and their heads are all of its bytes, and its functions all of its code", () => {
  const core = readCore("core");
  const { sections, functions } = moduleSizes(core);
  const content = sections.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(content < core.length && core.length - content < 8 + 6 * sections.length);
  const code = sections.find(({ name }) => name === "code")?.bytes ?? 0;
  const bodies = functions.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(bodies < code && code - bodies <= 3 * functions.length + 5);
  assert.ok(functions.some(({ name }) => name === "windowTranslateMany"));
});

test("what is no module, or ends too early, is refused", () => {
  for (const wrong of [new Uint8Array(), Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), small.subarray(0, 7)]) {
    assert.throws(() => moduleSizes(wrong), RangeError);
  }
  for (let length = 9; length < small.length; length++) {
    const whole = [8, 14, 19, 26, 38].includes(length); // at the end of a section nothing is missing
    if (!whole) assert.throws(() => moduleSizes(small.subarray(0, length)), RangeError, `${length} bytes`);
  }
});

test.run();
