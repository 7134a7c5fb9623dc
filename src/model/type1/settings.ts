import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { keysOf, known } from "../../known.ts";
import { object } from "../../validate.ts";
import type { LinuxRules } from "../linux-rules.ts";
import { PAGE_BYTES, pageOf } from "../pages.ts";
import type { Range } from "../sorted.ts";

/** IOVAs from `start` to `last`, both included. */
export interface IovaRange {
  readonly start: bigint;
  readonly last: bigint;
}

const RANGE_KEYS = keysOf<IovaRange>({ start: true, last: true });
const REGION_KEYS = keysOf<ModelReservedRegion>({ start: true, last: true, kind: true });

/** IOVAs that an IOMMU group keeps to itself, and why. */
export interface ModelReservedRegion extends IovaRange {
  readonly kind: "msi" | "direct" | "direct-relaxable" | "reserved";
}

/** What a machine with a type1 IOMMU can be asked for. See `ModelOptions`. */
export interface Type1Options {
  readonly pgsizes?: bigint;
  readonly ranges?: readonly IovaRange[];
  readonly dmaEntryLimit?: number;
  readonly iommuVersion?: 1 | 2;
  readonly readsThroughWriteOnly?: boolean;
  readonly infoCapabilities?: boolean;
  readonly reservedRegions?: readonly ModelReservedRegion[] | false;
}

/** The options, checked and complete. */
export interface Type1Settings {
  /** As GET_INFO reports it: no page smaller than the CPU's. */
  readonly pgsizes: bigint;
  readonly ranges: readonly IovaRange[];
  /** The ranges again, in pages of 4 KiB: a MAP looks at them. */
  readonly allowed: readonly Range[];
  readonly dmaEntryLimit: number;
  readonly iommuVersion: 1 | 2;
  readonly readsThroughWriteOnly: boolean;
  /** What the groups' files say; `false`: they do not exist. */
  readonly reservedRegions: readonly ModelReservedRegion[] | false;
  /** The kernel's, without what it does not know where it was told to have no capabilities. */
  readonly rules: LinuxRules;
}

/** What is not there without capabilities: they came first. */
const WITHOUT_CAPABILITIES = {
  hasRanges: false,
  hasDirtyPages: false,
  saysMapsAvailable: false,
  takesUnmapFlags: false,
} satisfies Partial<LinuxRules>;

/** No IOMMU takes more bits of IOVA: VT-d and the CPUs with page tables of five levels. */
const IOVA_BITS = 57n;

/** x86: `drivers/iommu/intel/iommu.c` with superpages of 2 MiB and 1 GiB, 48 bits, and the place of the interrupts kept free. */
const VT_D = {
  pgsizes: 0x4020_1000n,
  ranges: [
    { start: 0n, last: 0xfedf_ffffn },
    { start: 0xfef0_0000n, last: (1n << 48n) - 1n },
  ],
};

/**
 * Arm: `drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c`, where interrupts are written to 1 MiB at 128 MiB (MSI_IOVA_BASE). Its
 * pages are those of the CPU and the blocks above them (`drivers/iommu/io-pgtable-arm.c: arm_lpae_restrict_pgsizes`).
 */
const SMMU = {
  ranges: [
    { start: 0n, last: 0x7ff_ffffn },
    { start: 0x810_0000n, last: (1n << 48n) - 1n },
  ],
};

/** 16 KiB and 32 MiB; 64 KiB and 512 MiB. */
const SMMU_PGSIZES: Readonly<Record<number, bigint>> = { 16384: 0x200_4000n, 65536: 0x2001_0000n };

function usualOn(pageSize: number, { keepsWriteOnly }: LinuxRules) {
  const pgsizes = SMMU_PGSIZES[pageSize];
  if (pgsizes !== undefined) return { ...SMMU, pgsizes, readsThroughWriteOnly: false };
  return { ...VT_D, readsThroughWriteOnly: !keepsWriteOnly };
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE */
export function type1Settings(options: Type1Options, pageSize: number, rules: LinuxRules): Type1Settings {
  const usual = usualOn(pageSize, rules);
  const { pgsizes = usual.pgsizes, ranges = usual.ranges, dmaEntryLimit = 65535, iommuVersion = 2 } = options;
  const { readsThroughWriteOnly = usual.readsThroughWriteOnly, infoCapabilities = rules.hasRanges } = options;
  if (!Number.isInteger(dmaEntryLimit) || dmaEntryLimit < 0 || dmaEntryLimit > 0xffff_ffff) {
    throw argumentRangeError("dmaEntryLimit", "an integer of 0..2^32-1", dmaEntryLimit);
  }
  if (iommuVersion !== 1 && iommuVersion !== 2) throw argumentRangeError("iommuVersion", "1 or 2", iommuVersion);
  for (const [name, value] of Object.entries({ readsThroughWriteOnly, infoCapabilities })) {
    if (typeof value !== "boolean") throw argumentTypeError(name, "a boolean", value);
  }
  checkRanges(ranges);
  const { reservedRegions = betweenRanges(ranges) } = options;
  checkRegions(reservedRegions);
  return {
    pgsizes: shownPgsizes(pgsizes, pageSize),
    ranges: ranges.map(({ start, last }) => ({ start, last })),
    allowed: ranges.map(({ start, last }) => ({ start: pageOf(start), end: pageOf(last) + 1 })),
    dmaEntryLimit,
    iommuVersion,
    readsThroughWriteOnly,
    reservedRegions:
      reservedRegions === false ? false : reservedRegions.map(({ start, last, kind }) => ({ start, last, kind })),
    rules: infoCapabilities ? { ...rules, hasRanges: true } : { ...rules, ...WITHOUT_CAPABILITIES },
  };
}

/** What lies between the ranges that the IOMMU allows is where interrupts are written to. */
function betweenRanges(ranges: readonly IovaRange[]): readonly ModelReservedRegion[] {
  return ranges
    .slice(1)
    .map(({ start }, i) => ({ start: (ranges[i]?.last ?? 0n) + 1n, last: start - 1n, kind: "msi" as const }))
    .filter(({ start, last }) => start <= last);
}

const REGION_KINDS: readonly string[] = ["msi", "direct", "direct-relaxable", "reserved"];

function checkRegions(regions: readonly ModelReservedRegion[] | false): void {
  if (regions === false) return;
  if (!Array.isArray(regions)) {
    throw argumentTypeError("reservedRegions", "an array of { start, last, kind }, or false", regions);
  }
  for (const [index, region] of (regions as readonly ModelReservedRegion[]).entries()) {
    const name = `reservedRegions[${index}]`;
    known(name, object(name, region), REGION_KEYS);
    for (const edge of ["start", "last"] as const) {
      if (typeof region[edge] !== "bigint") throw argumentTypeError(`${name}.${edge}`, "a bigint", region[edge]);
      if (region[edge] < 0n || region[edge] >> 64n !== 0n)
        throw argumentRangeError(`${name}.${edge}`, "0..2^64-1", region[edge]);
    }
    if (region.last < region.start) throw argumentRangeError(`${name}.last`, "its start or behind it", region.last);
    if (!REGION_KINDS.includes(region.kind)) {
      throw argumentRangeError(`${name}.kind`, `one of ${REGION_KINDS.join(", ")}`, region.kind);
    }
  }
}

/**
 * Smaller pages than the CPU's are not shown, the CPU's stand for them: `vfio_update_pgsize_bitmap`. An IOMMU without any
 * page as small as the CPU's cannot serve VFIO.
 */
function shownPgsizes(pgsizes: bigint, pageSize: number): bigint {
  if (typeof pgsizes !== "bigint") throw argumentTypeError("pgsizes", "a bigint", pgsizes);
  const page = BigInt(pageSize);
  const smaller = pgsizes & (page - 1n);
  if (pgsizes < 0n || pgsizes >> 64n !== 0n || (smaller === 0n && (pgsizes & page) === 0n)) {
    throw argumentRangeError("pgsizes", `64 bits with pages of ${pageSize} bytes or smaller ones`, pgsizes);
  }
  return smaller === 0n ? pgsizes : (pgsizes & ~(page - 1n)) | page;
}

function checkRanges(ranges: readonly IovaRange[]): void {
  if (!Array.isArray(ranges)) throw argumentTypeError("ranges", "an array of { start, last }", ranges);
  if (ranges.length === 0) throw argumentRangeError("ranges", "at least one range", "none");
  const page = BigInt(PAGE_BYTES);
  let free = 0n;
  for (const [index, range] of (ranges as readonly IovaRange[]).entries()) {
    known(`ranges[${index}]`, object(`ranges[${index}]`, range), RANGE_KEYS);
    for (const edge of ["start", "last"] as const) {
      const value = range[edge];
      if (typeof value !== "bigint") throw argumentTypeError(`ranges[${index}].${edge}`, "a bigint", value);
    }
    const { start, last } = range;
    if (start < free || start % page !== 0n) {
      throw argumentRangeError(`ranges[${index}].start`, "behind the range before it, and a multiple of 4 KiB", start);
    }
    if (last < start || last >> IOVA_BITS !== 0n || (last + 1n) % page !== 0n) {
      const expected = `behind start, below 2^${IOVA_BITS}, and one less than a multiple of 4 KiB`;
      throw argumentRangeError(`ranges[${index}].last`, expected, last);
    }
    free = last + 1n;
  }
}
