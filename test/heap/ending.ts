/** A program that leaves a heap open which wants to grow, and has nothing else to do: it ends. */
import { no } from "../support/faulty.ts";
import { MiB } from "../support/program.ts";
import { HUGE, ready } from "./ready.ts";

const { heap, kernel } = ready({ grow: { step: HUGE, low: MiB } });
for (let i = 0; i < 30; i++) heap.alloc(65536);
setImmediate(() => {
  // Growing has failed by then, and would be tried again after a while.
  kernel.fail({ call: "MAP_DMA", times: Number.POSITIVE_INFINITY, answer: no.ENOMEM });
  for (let i = 0; i < 30; i++) heap.alloc(65536);
  setImmediate(() => console.log("done"));
});
