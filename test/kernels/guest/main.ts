/** The program inside a guest: `node guest.mjs PART`. Each part is a process of its own. */
import { conformance, device } from "./conformance.ts";
import { dma } from "./dma.ts";
import { ends, hold, humble } from "./ends.ts";
import { flight } from "./flight.ts";
import { hardware } from "./hardware.ts";
import { harm } from "./harm.ts";
import { heap } from "./heap.ts";
import { library } from "./library.ts";
import { random } from "./random.ts";

/** `hold` and `humble` are children of `ends`; `hello` shows that a user can start the program. */
const parts: Readonly<Record<string, () => void | Promise<void>>> = {
  dma,
  flight,
  heap,
  ends,
  library,
  conformance,
  device,
  random,
  harm,
  hardware,
  hold,
  humble,
  hello: () => {},
};

const name = process.argv[2] ?? "";
const part = parts[name];
if (part === undefined) throw new Error(`no such part: ${name}`);
await part();
