import * as twin from "../reference/bits.ts";
import { agree, eachBuild, edges, forSeeds } from "./support.ts";

const shifts = Array.from({ length: 64 }, (_, shift) => shift);

eachBuild("bits", (test, core) => {
  function compare(value: bigint): void {
    const where = (name: string) => () => `${name}(0x${value.toString(16)})`;
    agree(core.isPowerOfTwo(value), Number(twin.isPowerOfTwo(value)), where("isPowerOfTwo"));
    agree(core.powerOfTwoAtLeast(value), twin.powerOfTwoAtLeast(value), where("powerOfTwoAtLeast"));
    agree(core.trailingZeros(value), twin.trailingZeros(value), where("trailingZeros"));
    for (const shift of shifts) {
      agree(core.alignUp(value, shift), twin.alignUp(value, shift), where(`alignUp ${shift}`));
    }
    if (value === 0n) return;
    agree(core.log2Floor(value), twin.log2Floor(value), where("log2Floor"));
    agree(core.log2Ceil(value), twin.log2Ceil(value), where("log2Ceil"));
  }

  test("agree with their twins on every edge value and every power of two and its neighbours", () => {
    for (const value of edges) compare(value);
    for (const shift of shifts) {
      for (const near of [-1n, 0n, 1n]) compare(BigInt.asUintN(64, 2n ** BigInt(shift) + near));
    }
  });

  test("agree with their twins on random values of every size", () => {
    forSeeds(300, (random) => compare(random.anySize()));
  });

  test("keep the high word: a mask of 32 bits would lose it in silence", () => {
    agree(core.alignUp(0x1_2345_6789_abcdn, 12), 0x1_2345_6789_b000n, () => "alignUp");
    agree(core.alignUp(0xffff_ffff_0000_0001n, 31), 0xffff_ffff_8000_0000n, () => "alignUp");
  });
});
