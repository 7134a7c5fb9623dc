/** The size of a window from the end of the memory: the next power of two, and whether that is right. */
import { core } from "../../src/core.ts";
import { figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import { Dpdk } from "../rivals/dpdk.ts";

const VALUES = 65536;

export const bits: Group = {
  name: "bits",
  title: "The next power of two of a u64, and whether it is one",
  unit: "ns per value",
  rows: [],
  run: async (bench) => {
    const values = BigUint64Array.from({ length: VALUES }, () => {
      const all = (BigInt(bench.random.below(2 ** 32)) << 31n) | BigInt(bench.random.below(2 ** 31));
      return 1n + (all >> BigInt(bench.random.below(60)));
    });
    const dpdk = await Dpdk.start(bench, "memsegs", 8, 1024);
    try {
      const contenders = [
        inJavaScript({
          name: "the core: powerOfTwoAtLeast and isPowerOfTwo, two calls",
          once: `for (let i = 0; i < ${VALUES}; i++) {
            const size = powerOfTwoAtLeast(values[i]);
            sum += size >= values[i] && isPowerOfTwo(size) === 1 ? 1 : 0;
          }`,
          scope: { values, powerOfTwoAtLeast: core.powerOfTwoAtLeast, isPowerOfTwo: core.isPowerOfTwo },
          expected: VALUES,
        }),
        ...(dpdk ? [dpdk.contender("rte_align64pow2 and a check, inline in C", "power_of_two", VALUES)] : []),
      ];
      return { figures: figures(await bench.compete("bits", contenders), VALUES), rows: [] };
    } finally {
      dpdk?.close();
    }
  },
};
