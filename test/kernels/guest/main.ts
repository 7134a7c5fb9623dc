/** The program inside a guest: `node guest.mjs PART`. Each part is a process of its own. */
import { conformance, device } from "./conformance.ts";
import { dma } from "./dma.ts";
import { doctorHumble, doctorPart } from "./doctor.ts";
import { documents } from "./documents.ts";
import { ends, hold, humble } from "./ends.ts";
import { flight } from "./flight.ts";
import { hardware } from "./hardware.ts";
import { harm } from "./harm.ts";
import { heap } from "./heap.ts";
import { library } from "./library.ts";
import { random } from "./random.ts";

/** `hold` and `humble` are children of `ends`, `doctor-humble` of `doctor`, those with nvme in their name of `nvme`; `hello` shows that a user can start the program. */
const parts: Readonly<Record<string, () => void | Promise<void>>> = {
  doctor: doctorPart,
  documents,
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
  // Only an image has the disk that these are about.
  nvme: async () => (await import("./nvme.ts")).nvme(),
  "nvme-hold": async () => (await import("./nvme-ends.ts")).nvmeHold(),
  "nvme-worker": async () => (await import("./nvme-ends.ts")).nvmeWorker(),
  "nvme-listener": async () => (await import("./nvme-ends.ts")).nvmeListener(),
  "doctor-humble": doctorHumble,
  hold,
  humble,
  hello: () => {},
};

const name = process.argv[2] ?? "";
const part = parts[name];
if (part === undefined) throw new Error(`no such part: ${name}`);
await part();
