/** A machine that is described on the command line: by a file, a name, or options; options count more. */
import { DmaWindowError } from "../errors.ts";
import { type DescribedMachine, describedMachine, parseMachine } from "../plan/described.ts";
import { MACHINES } from "../plan/machines.ts";
import { refusalByOption } from "./described-refusal.ts";
import { boundedText } from "./growing-file.ts";
import { parseCount, parseSize, UsageError } from "./usage.ts";

/** What makes the machine another one than this. */
export const DESCRIBING = {
  machine: { type: "string" },
  memory: { type: "string" },
  "page-size": { type: "string" },
  "cpu-page-size": { type: "string" },
  "iommu-pages": { type: "string" },
  "iommu-bits": { type: "string" },
  range: { type: "string", multiple: true },
  ram: { type: "string" },
  memlock: { type: "string" },
  entries: { type: "string" },
} as const;

/** Values of these options, and of others that count for a described machine too. */
export type DescribingValues = Readonly<Partial<Record<string, unknown>>>;

type Document = Record<string, unknown>;

/** A description of a machine has some hundred bytes. */
const MACHINE_BYTES_MAX = 1 << 20;

export function isDescribed(values: DescribingValues): boolean {
  return Object.keys(DESCRIBING).some((option) => values[option] !== undefined);
}

/**
 * The machine. What options say and cannot be is refused by their own names; what a file says, by its fields.
 *
 * @throws UsageError; `ERR_FILE_UNREADABLE`, `ERR_MACHINE_MALFORMED` for what the file says.
 */
export function machineFrom(values: DescribingValues): DescribedMachine {
  const changes = changesFrom(values);
  const document: Document = typeof values.machine === "string" ? documentOf(values.machine) : {};
  if (document?.platform === undefined && changes.platform === undefined) changes.platform = "powernv";
  const pageSize = text(values, "page-size");
  const lists = changes.lists ?? document?.lists ?? [];
  if (pageSize !== undefined && Array.isArray(lists)) {
    if (lists.length === 0) throw new UsageError("--page-size says in which pages --memory comes: state that too");
    changes.lists = lists.map((list) => (typeof list === "object" && list !== null ? { ...list, pageSize } : list));
  }
  const described = typeof document === "object" && document !== null && !Array.isArray(document);
  try {
    return describedMachine(described ? { ...document, ...changes } : document);
  } catch (error) {
    throw (error instanceof DmaWindowError && refusalByOption(error, values)) || error;
  }
}

/** `power10`, or a file. */
function documentOf(machine: string): Document {
  if (Object.hasOwn(MACHINES, machine)) return { ...MACHINES[machine] };
  if (machine === "") throw new UsageError(`--machine takes a FILE, or one of ${Object.keys(MACHINES).join(", ")}`);
  const content = textOf(machine);
  try {
    return JSON.parse(content) as Document;
  } catch {
    return parseMachine(content) as never; // says that it is none
  }
}

function textOf(machine: string): string {
  try {
    return boundedText(machine, MACHINE_BYTES_MAX);
  } catch (error) {
    const { cause } = error as { readonly cause?: NodeJS.ErrnoException };
    if (cause?.code !== "ENOENT" || machine.includes("/")) throw error; // a path is meant, and no name
    const names = Object.keys(MACHINES).join(", ");
    throw new UsageError(`--machine takes a FILE, or one of ${names}; there is no file ${JSON.stringify(machine)}`);
  }
}

function changesFrom(values: DescribingValues): Document {
  const memory = text(values, "memory");
  const sizes = text(values, "iommu-pages");
  const ranges = values.range as readonly string[] | undefined;
  const changes: Document = {
    platform: text(values, "platform"),
    iovaMode: text(values, "iova"),
    growTo: sized(values, "grow-to"),
    highestRam: sized(values, "highest-ram"),
    ram: sized(values, "ram"),
    cpuPageSize: sized(values, "cpu-page-size"),
    memlock: text(values, "memlock") === "unlimited" ? "unlimited" : sized(values, "memlock"),
    lists: memory === undefined ? undefined : [{ bytes: sized(values, "memory") }],
    iommuPageSizes: sizes?.split(",").map((size) => exactSize("iommu-pages", size)),
    addressBits: counted(values, "iommu-bits", 33, 64),
    mapsAvailable: counted(values, "entries", 0, 2 ** 32 - 1),
    deviceAddressBits: counted(values, "device-bits", 1, 64),
    ranges: ranges?.map(rangeFrom),
  };
  sized(values, "page-size"); // refused by its name
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}

function text(values: DescribingValues, option: string): string | undefined {
  return values[option] as string | undefined;
}

/** As a hex string: exact in JSON. */
function exactSize(option: string, value: string): string {
  return `0x${parseSize(option, value).toString(16)}`;
}

function sized(values: DescribingValues, option: string): string | undefined {
  const value = text(values, option);
  return value === undefined ? undefined : exactSize(option, value);
}

function counted(values: DescribingValues, option: string, least: number, most: number): number | undefined {
  const value = text(values, option);
  return value === undefined ? undefined : parseCount(option, value, least, most);
}

/** `0x0-0xfedfffff`. */
function rangeFrom(value: string): Document {
  const [start, last, more] = value.split("-");
  if (start === undefined || last === undefined || more !== undefined) {
    throw new UsageError(`--range takes START-LAST, such as 0x0-0xfedfffff; got ${JSON.stringify(value)}`);
  }
  return { start: exactSize("range", start), last: exactSize("range", last) };
}
