/** The same questions as DPDK answers them: DPDK runs in a process of its own, in the same rounds. */
import { coreBuild } from "../../src/core.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { Dpdk } from "../rivals/dpdk.ts";
import { Column, mustEqual, spoil } from "../tables/batch.ts";
import { addressesIn, shapeOf } from "../tables/memory.ts";
import { ADDRESSES, type Ready, ready, throughTable, throughWindow } from "./translate.ts";

const MEMSEGS = 65536;
/** 128 lists are the most that DPDK can have, with those of its own. */
const LISTS = [8, 64, 122] as const;

/** Addresses that no memseg holds: those of the batch, in another half of the address space. */
function missing(name: string, { core, table, addresses }: Ready): Contender {
  const [vas, iovas] = [new Column(core, ADDRESSES), new Column(core, ADDRESSES)];
  vas.values.set(addresses.vas.map((va) => va ^ (1n << 46n)));
  const nothing = new BigUint64Array(ADDRESSES).fill(2n ** 64n - 1n);
  return inJavaScript({
    name,
    once: `translateMany(table, vas, iovas, ${ADDRESSES}); sum++;`,
    scope: { translateMany: core.memsegTranslateMany, table, vas: vas.pointer, iovas: iovas.pointer },
    expected: 1,
    spoil: () => spoil(iovas.values),
    verify: () => mustEqual(name, iovas.values, nothing),
  });
}

async function withLists(bench: Bench, lists: number): Promise<Figure[]> {
  const dpdk = await Dpdk.start(bench, "memsegs", lists, MEMSEGS);
  if (dpdk === undefined) return [];
  try {
    const shape = shapeOf(lists, MEMSEGS);
    const at = ready(coreBuild, shape, addressesIn(shape, ADDRESSES, bench.random));
    const contenders = [
      throughTable("the core, memsegs", at),
      missing("the core, memsegs, a miss", at),
      throughWindow("the core, window", at),
      dpdk.contender("rte_mem_virt2memseg", "virt2memseg", ADDRESSES),
      dpdk.contender("rte_mem_virt2memseg, a miss", "virt2memseg_missing", ADDRESSES),
    ];
    return figures(await bench.compete(`dpdk, ${lists} lists`, contenders), ADDRESSES, lists);
  } finally {
    dpdk.close();
  }
}

/** With IOVA as PA each look-up reads a file of the kernel's: nothing that DPDK keeps. */
async function physical(bench: Bench): Promise<{ ours: number; rival: number } | undefined> {
  const dpdk = await Dpdk.start(bench, "physical");
  if (dpdk === undefined) return undefined;
  try {
    const shape = shapeOf(8, MEMSEGS);
    const at = ready(coreBuild, shape, addressesIn(shape, ADDRESSES, bench.random));
    const contenders = [
      throughWindow("the core, window", at),
      dpdk.contender("rte_mem_virt2iova, IOVA as PA", "virt2physical", ADDRESSES / 256),
    ];
    const [ours, rival] = await bench.compete("dpdk, physical addresses", contenders);
    return {
      ours: (ours?.minimum ?? Number.NaN) / ADDRESSES,
      rival: (rival?.minimum ?? Number.NaN) / (ADDRESSES / 256),
    };
  } finally {
    dpdk.close();
  }
}

export const dpdk: Group = {
  name: "dpdk",
  title: `VA to IOVA beside DPDK: ${MEMSEGS} memsegs of 2 MiB in few lists and in many`,
  unit: "ns per address",
  sizes: "lists",
  rows: ["translate-batch-64lists-vs-dpdk", "translate-batch-fewlists-vs-dpdk", "translate-pa-vs-dpdk"],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const lists of LISTS) found.push(...(await withLists(bench, lists)));
    const rows = (
      [
        ["translate-batch-64lists-vs-dpdk", 64],
        ["translate-batch-fewlists-vs-dpdk", 8],
      ] as const
    ).flatMap(([name, lists]) => {
      const ours = found.find((figure) => figure.contender === "the core, window" && figure.size === lists);
      const rival = found.find((figure) => figure.contender === "rte_mem_virt2memseg" && figure.size === lists);
      return ours && rival ? [row(name, ours.minimum, rival.minimum, "DPDK rte_mem_virt2memseg")] : [];
    });
    const pair = await physical(bench);
    if (pair) rows.push(row("translate-pa-vs-dpdk", pair.ours, pair.rival, "DPDK rte_mem_virt2iova, IOVA as PA"));
    return { figures: found, rows };
  },
};
