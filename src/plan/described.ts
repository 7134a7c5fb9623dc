/**
 * A machine that is not this one, described: what a plan has to know of it, with the sizes as people write them. What is left out is
 * what such machines have as a rule, and each such value stands here with its source.
 */
import { DmaWindowError } from "../errors.ts";
import { bytes } from "../hex.ts";
import type { AddressRange, IommuInfo } from "../iommu.ts";
import type { LockedMemory } from "../syscalls.ts";
import { type Complaint, Fields } from "./fields.ts";
import { IOVA_MODES } from "./request.ts";
import { bytesIn } from "./sizes.ts";
import type { ListFacts, PlanRequest } from "./types.ts";

/** Of the file: says what it is. */
export const MACHINE_FORMAT = "dma-window machine";

export const PLATFORMS = ["powernv", "pseries", "type1", "noiommu"] as const;
export type Platform = (typeof PLATFORMS)[number];

/** A machine, and the memory that is planned for: what `planWindow` takes, and what it is called. */
export interface DescribedMachine {
  /** For people; without control characters. */
  readonly name: string;
  readonly platform: Platform;
  readonly request: PlanRequest;
  /** Bytes of RAM, where they were stated. */
  readonly ramBytes: bigint | undefined;
}

const COMPLAINT: Complaint = {
  code: "ERR_MACHINE_MALFORMED",
  what: "the machine's description cannot be used",
  advice: "docs/plan-and-show.md lists what stands in one",
};

const NAME_LENGTH_MAX = 200;
const MASKS: Readonly<Record<Platform, readonly string[]>> = {
  // POWER9 and POWER10 with a radix MMU (arch/powerpc/platforms/powernv/pci-ioda.c: pnv_ioda_parse_tce_sizes; ibm,supported-tce-sizes).
  powernv: ["4K", "64K", "2M", "1G"],
  // arch/powerpc/platforms/pseries/iommu.c: query.page_size, as firmware of POWER9 and POWER10 says it.
  pseries: ["4K", "64K", "2M", "16M"],
  // VT-d and AMD-Vi with second-level pages of 2 MiB and 1 GiB.
  type1: ["4K", "2M", "1G"],
  noiommu: [],
};
const CPU_PAGE: Readonly<Record<Platform, string>> = { powernv: "64K", pseries: "64K", type1: "4K", noiommu: "4K" };

/** The first list lies here, as DPDK's memory does; others follow. IOVA mode `va` looks at it, no other. */
const FIRST_BASE = 1n << 32n;

/** x86's interrupts (drivers/iommu/intel/iommu.c: IOAPIC_RANGE_START and _END). */
const MSI_RANGE: AddressRange = { start: 0xfee0_0000n, last: 0xfeef_ffffn };

/** Where the size of the default window is not stated (QEMU and PowerVM; PowerNV: pnv_pci_ioda2_setup_default_config). */
const DEFAULT_WINDOW: Readonly<Record<"powernv" | "pseries", bigint>> = { powernv: 2n << 30n, pseries: 1n << 30n };

/**
 * The machine in a text of JSON; `docs/plan-and-show.md` lists its keys.
 *
 * @throws `ERR_MACHINE_MALFORMED`: the message names the field and says what may stand there; `facts.field` has its path,
 * and `facts.must` what would pass, where there is such a field.
 */
export function parseMachine(text: string): DescribedMachine {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new DmaWindowError(COMPLAINT.code, `${COMPLAINT.what}: it is no JSON; ${COMPLAINT.advice}`);
  }
  return describedMachine(document);
}

/** The same of an object. */
export function describedMachine(document: unknown): DescribedMachine {
  const fields = new Fields(document, COMPLAINT);
  if (fields.has("format")) fields.oneOf("format", [MACHINE_FORMAT]);
  if (fields.has("version")) fields.count("version", 1, 1);
  const platform = fields.oneOf("platform", PLATFORMS);
  const name = fields.has("name") ? nameOf(fields) : `a machine of platform ${platform}`;
  const cpuPage = fields.has("cpuPageSize") ? pageOf(fields, "cpuPageSize") : (bytesIn(CPU_PAGE[platform]) as bigint);
  const cpuPageSize = Number(cpuPage); // 1 TiB at most
  const info = infoOf(fields, platform, cpuPageSize);
  const lists = fields.has("lists") ? listsOf(fields, cpuPage) : [];
  const ramBytes = fields.has("ram") ? fields.size("ram") : undefined;
  const growTo = fields.has("growTo") ? { growTo: fields.size("growTo") } : {};
  if (lists.length === 0 && !("growTo" in growTo)) {
    throw fields.refusal("lists", "say what memory there will be (or growTo, how large it may become)");
  }
  const iovaMode = fields.has("iovaMode")
    ? fields.oneOf("iovaMode", IOVA_MODES)
    : platform === "noiommu"
      ? "pa"
      : "rebased";
  const highestRam = highestRamOf(fields, ramBytes);
  if (iovaMode === "pa" && !("highestRam" in highestRam) && !("growTo" in growTo)) {
    throw fields.refusal("highestRam", "be there in IOVA mode pa, where the window reaches to it (or ram, or growTo)");
  }
  const request: PlanRequest = {
    iovaMode,
    memory: { lists },
    info,
    ...growTo,
    ...highestRam,
    ...(fields.has("deviceAddressBits") ? { deviceAddressBits: fields.count("deviceAddressBits", 1, 64) } : {}),
    ...(fields.has("window") ? { window: fields.oneOf("window", ["new", "default"]) } : {}),
  };
  fields.end();
  return { name, platform, request, ramBytes };
}

function nameOf(fields: Fields): string {
  const name = fields.text("name").replace(/[\p{Cc}\p{Cf}]/gu, "");
  if (name.length > NAME_LENGTH_MAX) throw fields.refusal("name", `have at most ${NAME_LENGTH_MAX} characters`);
  return name;
}

function pageOf(fields: Fields, name: string): bigint {
  const size = fields.size(name);
  if (size >= 4096n && size <= 1n << 40n && (size & (size - 1n)) === 0n) return size;
  throw fields.wrong(name, "be a power of two from 4K to 1T");
}

function infoOf(fields: Fields, platform: Platform, cpuPageSize: number): IommuInfo {
  const common = {
    cpuPageSize,
    pageSizes: pageSizesOf(fields, platform),
    lockedMemory: lockedOf(fields),
    ...hugepagesOf(fields),
  };
  switch (platform) {
    case "powernv":
    case "pseries":
      return { kind: "spapr", platform, ...common, ...windowsOf(fields, platform) };
    case "type1": {
      const mapsAvailable = fields.has("mapsAvailable") ? fields.count("mapsAvailable", 0, 2 ** 32 - 1) : 65_535;
      // 65535 maps for each container (drivers/vfio/vfio_iommu_type1.c: dma_entry_limit).
      return { kind: "type1", version: 2, ...common, ranges: rangesOf(fields), mapsAvailable };
    }
    case "noiommu":
      return { kind: "noiommu", ...common };
  }
}

function pageSizesOf(fields: Fields, platform: Platform): bigint {
  if (platform === "noiommu") return (1n << 64n) - 4096n; // every size from 4 KiB on
  const stated = fields.has("iommuPageSizes");
  const sizes = stated
    ? fields.list("iommuPageSizes", (item, path) => {
        const one = new Fields({ [path]: item }, COMPLAINT);
        const size = one.size(path);
        if (size < 4096n || (size & (size - 1n)) !== 0n) throw one.wrong(path, "be a power of two from 4K on");
        return size;
      })
    : MASKS[platform].map((size) => bytesIn(size) as bigint);
  if (sizes.length === 0) throw fields.refusal("iommuPageSizes", "have a size: an IOMMU has pages");
  return sizes.reduce((mask, size) => mask | size, 0n);
}

function lockedOf(fields: Fields): LockedMemory {
  const isUnlimited = !fields.has("memlock") || fields.value("memlock") === "unlimited";
  return {
    limit: isUnlimited ? null : fields.size("memlock"),
    used: fields.has("locked") ? fields.size("locked") : 0n,
    privileged: fields.has("privileged") && fields.boolean("privileged"),
  };
}

function hugepagesOf(fields: Fields): Pick<IommuInfo, "hugepages"> {
  if (!fields.has("hugepages")) return {};
  const hugepages = fields.objects("hugepages", (pool) => {
    const pageSize = pageOf(pool, "pageSize");
    const total = pool.count("total", 0, 2 ** 48);
    return { pageSize, total, available: pool.has("available") ? pool.count("available", 0, 2 ** 48) : total };
  });
  return { hugepages };
}

function windowsOf(fields: Fields, platform: "powernv" | "pseries") {
  const defaultWindow = fields.has("defaultWindow")
    ? fields.object("defaultWindow", (window) => ({ start: window.size("start"), size: window.size("size") }))
    : { start: 0n, size: DEFAULT_WINDOW[platform] };
  return {
    dynamicWindows: fields.has("dynamicWindows") ? fields.boolean("dynamicWindows") : true,
    maxWindows: 2,
    levels: fields.has("levels") ? fields.count("levels", 1, 64) : platform === "powernv" ? 5 : 1,
    defaultWindow,
  } as const;
}

/** Stated as they are, or as all that so many bits reach but x86's interrupts. */
function rangesOf(fields: Fields): AddressRange[] {
  if (!fields.has("ranges")) {
    const bits = fields.has("addressBits") ? fields.count("addressBits", 33, 64) : 48;
    return [
      { start: 0n, last: MSI_RANGE.start - 1n },
      { start: MSI_RANGE.last + 1n, last: (1n << BigInt(bits)) - 1n },
    ];
  }
  let least = 0n;
  return fields.objects("ranges", (range) => {
    const [start, last] = [range.size("start"), range.size("last")];
    if (start < least) throw range.wrong("start", `lie behind the range before it: 0x${least.toString(16)} or higher`);
    if (last < start) throw range.wrong("last", "be the range's start or lie behind it");
    least = last + 1n;
    return { start, last };
  });
}

function listsOf(fields: Fields, cpuPage: bigint): ListFacts[] {
  let next = FIRST_BASE;
  return fields.objects("lists", (list) => {
    const pageSize = list.has("pageSize") ? pageOf(list, "pageSize") : cpuPage;
    const length = list.size("bytes");
    if (length === 0n || length % pageSize !== 0n)
      throw list.wrong("bytes", `be whole pages of ${bytes(pageSize)}, and not 0`);
    const aligned = ((next + pageSize - 1n) / pageSize) * pageSize;
    const base = list.has("base") ? list.size("base") : aligned;
    if (base % pageSize !== 0n) throw list.wrong("base", "be a multiple of the list's page size");
    if (base + length > 1n << 64n) throw list.refusal("bytes", "be such that the list ends by 2^64");
    next = base + length;
    const node = list.has("node") ? { node: list.count("node", 0, 1023) } : {};
    return { base, length, pageSize, ...node };
  });
}

/** RAM as it is stated; otherwise as if it lay in one piece from 0, which is the least that the highest address can be. */
function highestRamOf(fields: Fields, ramBytes: bigint | undefined): Pick<PlanRequest, "highestRam"> {
  if (fields.has("highestRam")) return { highestRam: fields.size("highestRam") };
  return ramBytes === undefined || ramBytes === 0n ? {} : { highestRam: ramBytes - 1n };
}
