/**
 * The first hole behind TCEs that are all taken, in two bitmaps at once: what is live, and what is set aside.
 *
 *     live       .#########....#  .#########....#  ...  .............
 *     reserved   #.............   #.............        .............
 *                |  a chunk of 32768 TCEs       |       the hole
 *
 * A chunk of which all is taken would be passed over at a glance; here the first TCE of each is set aside and the others are
 * live, so that every word of every chunk has to be looked at.
 */
import { type CoreBuild, coreBuild, instantiateCore, readCore, Status } from "../../src/core.ts";
import { row } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group } from "../harness/group.ts";
import { inJavaScript } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import { inC } from "../rivals/native.ts";
import { windowLayout } from "../tables/layouts.ts";
import { openWindow, recordMaps } from "../tables/memory.ts";

const START = 0x0800_0000_0000_0000n;
const PAGE_SHIFT = 12n;
const CHUNK = 32768;
const VA = 0x7100_0000_0000n;
/** A TCE's place in a word, and figures are for a word. */
const WORD = 64;

/** A window with `taken` TCEs that are taken, and as many again that are free. */
function makeWindow(build: CoreBuild, taken: number): { core: ReturnType<typeof instantiateCore>; window: number } {
  const core = instantiateCore(readCore(build));
  const window = openWindow(core, START, BigInt(taken * 2) << PAGE_SHIFT, Number(PAGE_SHIFT));
  const chunks = Math.ceil(taken / CHUNK);
  const inChunk = Math.min(taken, CHUNK);
  const offset = (chunk: number): bigint => BigInt(chunk * CHUNK) << PAGE_SHIFT;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const status = core.windowReserve(window, START + offset(chunk), 1n << PAGE_SHIFT);
    if (status !== Status.OK) throw new Error(`the core refused a reservation with status ${status}`);
  }
  const behindFirst = Array.from({ length: chunks }, (_, chunk) => offset(chunk) + (1n << PAGE_SHIFT));
  recordMaps(core, window, {
    vas: BigUint64Array.from(behindFirst, (each) => VA + each),
    iovas: BigUint64Array.from(behindFirst, (each) => START + each),
    length: () => BigInt(inChunk - 1) << PAGE_SHIFT,
  });
  return { core, window };
}

function search(name: string, build: CoreBuild, taken: number): Contender {
  const { core, window } = makeWindow(build, taken);
  const found = START + (BigInt(taken) << PAGE_SHIFT);
  // The result is a bigint, as it is for every caller: one for each search.
  return inJavaScript({
    name,
    once: "sum += firstFit(window, page, 0) === found ? 1 : 0;",
    scope: { firstFit: core.windowFirstFit, window, page: 1n << PAGE_SHIFT, found },
    expected: 1,
  });
}

async function atSize(bench: Bench, taken: number): Promise<Figure[]> {
  bench.say(`first-free: filling ${taken} TCEs`);
  const { core, window } = makeWindow(coreBuild, taken);
  const { live, reserved } = windowLayout(core, window);
  const rivals = [bench.rivals.native, bench.rivals.portable].flatMap((rival) =>
    rival === undefined
      ? []
      : [
          inC(rival, {
            kernel: "first_fit",
            memory: () => core.bytes(),
            parameters: [live, reserved, 1],
            expected: BigInt(taken),
          }),
        ],
  );
  const contenders = [search("the core", coreBuild, taken), search("the scalar core", "core.scalar", taken), ...rivals];
  return figures(await bench.compete(`first-free, ${taken} TCEs`, contenders), taken / WORD, taken);
}

export const firstFree: Group = {
  name: "first-free",
  title: "First fit behind TCEs that are all taken",
  unit: "ns per 64 TCEs passed over",
  sizes: "TCEs",
  rows: ["first-free-vs-c"],
  run: async (bench) => {
    const found: Figure[] = [];
    for (const taken of [1024, 65536, 1048576]) found.push(...(await atSize(bench, taken)));
    const ours = fastest(found, "the core", 1048576);
    const rival = fastest(found, "C ", 1048576);
    const rows = ours && rival ? [row("first-free-vs-c", ours.minimum, rival.minimum, rival.contender)] : [];
    return { figures: found, rows };
  },
};
