/** What a description of a machine may not say, in the words of the command line where an option said it. */
import type { DmaWindowError } from "../errors.ts";
import type { FieldFacts } from "../plan/fields.ts";
import { UsageError } from "./usage.ts";

/** The fields that options fill, by the field's name. */
const OPTION_OF: Readonly<Record<string, string>> = {
  platform: "platform",
  iovaMode: "iova",
  growTo: "grow-to",
  highestRam: "highest-ram",
  ram: "ram",
  cpuPageSize: "cpu-page-size",
  memlock: "memlock",
  iommuPageSizes: "iommu-pages",
  addressBits: "iommu-bits",
  mapsAvailable: "entries",
  deviceAddressBits: "device-bits",
  ranges: "range",
};

type Values = Readonly<Partial<Record<string, unknown>>>;

/** The refusal of a field as one of the option that filled it; `undefined` where a file did. */
export function refusalByOption(error: DmaWindowError, values: Values): UsageError | undefined {
  const { field, must } = (error.facts ?? {}) as Partial<FieldFacts>;
  if (field === undefined) return undefined;
  if (field === "lists" && values.memory === undefined && values.machine === undefined) {
    return new UsageError("state --memory, what memory there will be, or --grow-to, how large it may become");
  }
  const isOptionsMode = values.iova !== undefined || values.machine === undefined;
  if (field === "highestRam" && values["highest-ram"] === undefined && isOptionsMode) {
    return new UsageError(
      "state --highest-ram, or --ram, or --grow-to: a window of IOVA mode pa reaches to all of RAM",
    );
  }
  const [, name = "", index, part] = /^(\w+)(?:\[(\d+)\])?(?:\.(\w+))?/.exec(field) ?? [];
  const option = name === "lists" ? listOption(part, values) : OPTION_OF[name];
  if (option === undefined || values[option] === undefined) return undefined;
  const value = values[option];
  const got = JSON.stringify(Array.isArray(value) ? (value[Number(index ?? 0)] ?? value[0]) : value);
  if (must === undefined) return new UsageError(`--${option} ${uselessWords(option, values)}`);
  if (option === "page-size" && part !== "pageSize") {
    return new UsageError(`--page-size ${value} does not go with the machine's lists: ${field} must ${must}`);
  }
  const of = part === "last" || part === "start" ? ` (its ${part})` : "";
  return new UsageError(`--${option}${of} must ${must}; got ${got}`);
}

/** A list is what --memory says, in pages of --page-size; a machine's own lists may be given other pages. */
function listOption(part: string | undefined, { memory }: Values): string | undefined {
  return part === "pageSize" || memory === undefined ? "page-size" : "memory";
}

function uselessWords(option: string, { platform, machine, range }: Values): string {
  if (option === "iommu-bits" && range !== undefined)
    return "says where IOVAs end, as --range does: leave one of them out";
  const isNamed = platform === undefined && machine !== undefined;
  const which = isNamed ? `the machine ${JSON.stringify(machine)}` : `a machine of platform ${platform ?? "powernv"}`;
  return `says nothing about ${which}: leave it out, or state another --platform`;
}
