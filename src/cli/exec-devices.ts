/** The devices of `exec --devices FILE`: a JSON document, of which every field is looked at before a program begins. */
import { keysOf, known, taken } from "../known.ts";
import { edu, type ModelPciDevice, softwareNvme } from "../model/index.ts";
import { checkPath, object, oneOf } from "../validate.ts";
import type { DiskFiles } from "./disk-files.ts";
import { boundedText } from "./growing-file.ts";
import { UsageError } from "./usage.ts";

/** A description of a device has some hundred bytes. */
const BYTES_MAX = 1 << 20;

/** What both kinds say. */
interface DescribedPlace {
  readonly kind: "edu" | "nvme";
  readonly address?: string;
  readonly group?: number;
}

interface DescribedEdu extends DescribedPlace {
  /** The bits of an IOVA that it presents, from 1 to 64. */
  readonly dmaBits?: number;
}

/** As {@link softwareNvme} has them, but for the disk. */
interface DescribedNvme extends DescribedPlace {
  /** A file: what the disk holds before, and after. */
  readonly disk?: string;
  readonly blocks?: number;
  readonly blockBytes?: 512 | 4096;
  readonly serial?: string;
  readonly model?: string;
  readonly queues?: number;
  readonly vectors?: number;
  readonly completions?: "now" | "later" | { readonly seed: number };
}

const PLACE = { kind: true, address: true, group: true } as const;
const EDU_KEYS = keysOf<DescribedEdu>({ ...PLACE, dmaBits: true });
const NVME_OWN = {
  ...({ blocks: true, blockBytes: true, serial: true, model: true } as const),
  ...({ queues: true, vectors: true, completions: true } as const),
};
const NVME_KEYS = keysOf<DescribedNvme>({ ...PLACE, ...NVME_OWN, disk: true });
const NVME_OPTIONS = ["address", "group", ...Object.keys(NVME_OWN)];

/** @throws UsageError with the field, and what would pass; `ERR_FILE_UNREADABLE` */
export function devicesIn(path: string, disks: DiskFiles): readonly ModelPciDevice[] {
  const text = boundedText(path, BYTES_MAX);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--devices: ${path} is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!Array.isArray(document) || document.length === 0) {
    throw new UsageError(
      `--devices: ${path} must be an array of one or more devices, such as [{ "kind": "edu", "group": 26 }]`,
    );
  }
  return document.map((each, index) => refusedAs(`${path}: devices[${index}]`, () => deviceFrom(each, disks)));
}

/** What is refused in there is refused as the option, with the place. @throws UsageError */
export function refusedAs<T>(where: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code !== "ERR_INVALID_ARG_TYPE" && code !== "ERR_OUT_OF_RANGE") throw error;
    throw new UsageError(`--devices: ${where}: ${(error as Error).message}`);
  }
}

function deviceFrom(value: unknown, disks: DiskFiles): ModelPciDevice {
  const described = object("a device", value) as DescribedPlace;
  const kind = oneOf("kind", described.kind, ["edu", "nvme"]);
  if (kind === "nvme") {
    known("an nvme", described, NVME_KEYS);
    const { disk } = described as DescribedNvme;
    if (disk !== undefined) checkPath("disk", disk);
    const options = taken(described as object, NVME_OPTIONS);
    return softwareNvme(disk === undefined ? options : { ...options, disk: disks.read(disk) });
  }
  known("an edu", described, EDU_KEYS);
  const { dmaBits, ...place } = taken(described as DescribedEdu, ["address", "group", "dmaBits"]);
  if (dmaBits === undefined) return edu(place);
  if (!Number.isInteger(dmaBits) || dmaBits < 1 || dmaBits > 64) {
    throw new UsageError(
      `--devices: dmaBits of an edu must be an integer from 1 to 64; got ${JSON.stringify(dmaBits)}`,
    );
  }
  return edu({ ...place, dmaMask: (1n << BigInt(dmaBits)) - 1n });
}
