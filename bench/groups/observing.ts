/** What diagnostics_channel costs a map and an unmap, on the software kernel: nothing where nobody listens, and a message where somebody does. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { figures, type Group } from "../harness/group.ts";
import { inJavaScript, type Work } from "../harness/loop.ts";

const PAGE = 4096n;
/** Pairs each time: to subscribe is not what is measured. */
const PAIRS = 256;

function works(): Work[] {
  const kernel = modelKernel({ platform: "type1" });
  const container = openContainer({ kernel, groups: [26] });
  const plan = planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1n << 26n });
  const window = container.createWindow(plan);
  const va = kernel.mmap(0n, PAGE, Protection.READ | Protection.WRITE, MapFlag.POPULATE, 0);
  const request = { va, length: PAGE, iova: 0n };
  const gone = { iova: 0n, length: PAGE, va };
  const pairs = `for (let i = 0; i < ${PAIRS}; i++) { window.map(request); window.unmap(gone); sum++; }`;
  let heard = 0;
  const listener = () => {
    heard++;
  };
  const scope = { window, request, gone, subscribe, unsubscribe, listener };
  const all = (what: "subscribe" | "unsubscribe") =>
    `${what}("dma-window:map", listener); ${what}("dma-window:unmap", listener);`;
  return [
    { name: "nobody listens", once: pairs, scope, expected: PAIRS },
    {
      name: "somebody listens to both channels",
      once: `${all("subscribe")} ${pairs} ${all("unsubscribe")}`,
      scope,
      expected: PAIRS,
      spoil: () => {
        heard = 0;
      },
      verify: () => {
        if (heard === 0 || heard % (2 * PAIRS) !== 0) throw new Error(`${heard} messages were heard`);
      },
    },
  ];
}

export const observing: Group = {
  name: "observing",
  title: "Messages of diagnostics_channel: map and unmap a page",
  unit: "ns per pair",
  rows: [],
  run: async (bench) => ({
    figures: figures(await bench.compete("observing", works().map(inJavaScript)), PAIRS),
    rows: [],
  }),
};
