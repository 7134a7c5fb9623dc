/** The program inside a guest: `node guest.mjs PART`. Each part is a process of its own. */
import { conformance } from "./conformance.ts";
import { dma } from "./dma.ts";
import { ends, hold, humble } from "./ends.ts";
import { flight } from "./flight.ts";
import { random } from "./random.ts";

/** `hold` and `humble` are children of `ends`. */
const parts: Readonly<Record<string, () => void | Promise<void>>> = {
  dma,
  flight,
  ends,
  conformance,
  random,
  hold,
  humble,
};

const name = process.argv[2] ?? "";
const part = parts[name];
if (part === undefined) throw new Error(`no such part: ${name}`);
await part();
