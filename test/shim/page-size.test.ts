import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import { pageSize, pageSizeIn } from "../../src/system/page-size.ts";
import { withShim } from "./native.ts";

function auxv(...pairs: [type: bigint, value: bigint][]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(pairs.flat()).buffer);
}

test("the page size is found wherever it stands in the auxiliary vector", () => {
  assert.is(pageSizeIn(auxv([6n, 4096n], [0n, 0n])), 4096);
  assert.is(pageSizeIn(auxv([33n, 0x7fff0000n], [16n, 6n], [6n, 65536n], [17n, 100n], [0n, 0n])), 65536);
});

test("a vector is read from any alignment in its buffer", () => {
  const shifted = new Uint8Array(33);
  shifted.set(auxv([6n, 65536n], [0n, 0n]), 1);
  assert.is(pageSizeIn(shifted.subarray(1)), 65536);
});

test("what follows the vector's end, a torn pair, and an impossible size are not believed", () => {
  assert.is(pageSizeIn(new Uint8Array(0)), undefined);
  assert.is(pageSizeIn(auxv([0n, 0n], [6n, 4096n])), undefined);
  assert.is(pageSizeIn(auxv([6n, 4096n]).subarray(0, 12)), undefined);
  for (const impossible of [0n, 1n, 2048n, 4097n, 1n << 40n, (1n << 64n) - 4096n]) {
    assert.is(pageSizeIn(auxv([6n, impossible], [0n, 0n])), undefined, String(impossible));
  }
});

test("the kernel's page size is known without a system call", () => {
  const kernel = linuxKernel();
  assert.ok([4096, 16384, 65536].includes(kernel.pageSize));
  assert.is(kernel.pageSize, pageSize());
});

withShim(
  (shim) => {
    test("the shim and /proc/self/auxv agree on the page size", () => {
      assert.is(pageSize(), shim.pageSize());
    });
  },
  "munmap()",
  (kernel) => kernel.munmap(4096n, 4096n),
);

test.run();
