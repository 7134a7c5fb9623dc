/** The command line: `DMA_WINDOW_GROUP=26 npm run test:hardware -- --parts random --json`. */
import { partsForHardware } from "./parts.ts";

export interface HardwareOptions {
  /** One JSON document at the end, on stdout; everything else goes to stderr. */
  readonly json: boolean;
  readonly help: boolean;
  /** In the order in which they run. */
  readonly parts: readonly string[];
}

export const usage = `DMA_WINDOW_GROUP=26 npm run test:hardware -- [--parts NAMES] [--json]

Runs the tests of the real VFIO drivers on this machine, on the IOMMU group that DMA_WINDOW_GROUP names, or on two, by comma.
The groups must be bound to vfio-pci and free; nothing else of the machine is touched, and nothing stays.

  --parts NAMES  parts, by comma: ${partsForHardware.join(", ")}
  --json         ends with one JSON document on stdout; everything else goes to stderr
`;

/** @throws Error with a sentence for the user when an option cannot be. */
export function hardwareOptionsFrom(parameters: readonly string[]): HardwareOptions {
  const flags = new Set<string>();
  let named: readonly string[] = partsForHardware;
  const left = [...parameters];
  for (let parameter = left.shift(); parameter !== undefined; parameter = left.shift()) {
    const [name = "", inline] = parameter.split(/=(.*)/s);
    if (name === "--parts") named = partsIn(inline ?? left.shift());
    else if (["--json", "--help"].includes(parameter)) flags.add(parameter);
    else if (name === "--only")
      throw new Error(
        "--only names emulated machines; here there is one machine, and DMA_WINDOW_GROUP says what of it is used",
      );
    else throw new Error(`${parameter} is no option of this command; --help names them`);
  }
  const parts = partsForHardware.filter((part) => named.includes(part));
  return { json: flags.has("--json"), help: flags.has("--help"), parts };
}

function partsIn(value: string | undefined): readonly string[] {
  const names = (value ?? "").split(",").filter((name) => name !== "");
  if (names.length === 0 || value?.startsWith("-")) throw new Error("--parts needs names after it, by comma");
  for (const name of names) {
    if (!partsForHardware.includes(name))
      throw new Error(`--parts ${name}: there is no such part for hardware; there are ${partsForHardware.join(", ")}`);
  }
  return names;
}
