/** What sizing a window asks of the lists, whatever is in them: one visit to each. */
import { coreBuild } from "../../src/core.ts";
import { type Figure, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import { Dpdk } from "../rivals/dpdk.ts";
import { addressesIn, shapeOf } from "../tables/memory.ts";
import { ready } from "./translate.ts";

/** Of 2 MiB, in all lists together. The walk does not look at them. */
const MEMSEGS = 1024;
/** log2 of 2 MiB. */
const PAGE_SHIFT = 21;

export const lists: Group = {
  name: "lists",
  title: "A walk over the lists, as it sizes a window",
  unit: "ns per list",
  sizes: "lists",
  rows: [],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const count of [8, 64, 122]) {
      const shape = shapeOf(count, MEMSEGS);
      const { core, table } = ready(coreBuild, shape, addressesIn(shape, 1, bench.random));
      const dpdk = await Dpdk.start(bench, "memsegs", count, MEMSEGS);
      try {
        const contenders = [
          inJavaScript({
            name: "the core: the smallest page size, one call",
            once: "sum += walkSmallestPage(table);",
            scope: { walkSmallestPage: core.walkSmallestPage, table },
            expected: PAGE_SHIFT,
          }),
          ...(dpdk ? [dpdk.contender("rte_memseg_list_walk, end and page size", "walk_lists", count)] : []),
        ];
        found.push(...figures(await bench.compete(`lists, ${count}`, contenders), count, count));
      } finally {
        dpdk?.close();
      }
    }
    return { figures: found, rows: [] };
  },
};
