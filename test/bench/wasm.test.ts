import { test } from "uvu";
import * as assert from "uvu/assert";
import { moduleSizes } from "../../bench/wasm/sections.ts";
import { readAlloc } from "../../src/alloc.ts";
import { readSharedAlloc } from "../../src/alloc-shared.ts";
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

test("imported functions come before a module's own, and what else is imported is none", () => {
  const imports = [
    4,
    ...[1, 0x65, 1, 0x6d, 2, 3, 1, 0x80, 0x20], // e.m: a shared memory of 1 to 4096 pages
    ...[1, 0x65, 1, 0x66, 0, 0], // e.f: a function
    ...[1, 0x65, 1, 0x74, 1, 0x70, 1, 1, 2], // e.t: a table of functions
    ...[1, 0x65, 1, 0x67, 3, 0x7f, 0], // e.g: an i32
  ];
  const importing = Uint8Array.from([
    ...small.subarray(0, 14),
    ...[2, imports.length, ...imports],
    ...[3, 3, 2, 0, 0],
    ...[7, 5, 1, 1, 0x66, 0, 1], // f is number 1, behind the one that is imported
    ...[10, 10, 2, 3, 0, 1, 0x0b, 4, 0, 1, 1, 0x0b],
  ]);
  assert.ok(WebAssembly.validate(importing));
  assert.equal(moduleSizes(importing).functions, [
    { name: "f", bytes: 3 },
    { name: "function 2", bytes: 4 },
  ]);
});

for (const [name, bytes, exported] of [
  ["core", readCore("core"), "windowTranslateMany"],
  ["alloc", readAlloc(), "heapAlloc"],
  ["alloc.shared", readSharedAlloc(), "sharedGet"],
] as const) {
  test(`${name}: the sections and their heads are all of its bytes, and its functions all of its code`, () => {
    const { sections, functions } = moduleSizes(bytes);
    const content = sections.reduce((sum, section) => sum + section.bytes, 0);
    assert.ok(content < bytes.length && bytes.length - content < 8 + 6 * sections.length);
    const code = sections.find((section) => section.name === "code")?.bytes ?? 0;
    const bodies = functions.reduce((sum, one) => sum + one.bytes, 0);
    assert.ok(bodies < code && code - bodies <= 3 * functions.length + 5);
    assert.ok(functions.some((one) => one.name === exported));
  });
}

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
