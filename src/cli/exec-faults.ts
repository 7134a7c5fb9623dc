/** The faults of `exec --faults FILE`: a JSON document that says which calls of the program fail, whatever the model would have answered. */
import { ERRNO } from "../errno.ts";
import { argumentRangeError } from "../errors.ts";
import { keysOf, known, nearest } from "../known.ts";
import type { Fault } from "../model/index.ts";
import { VfioCall, vfioCallName } from "../syscalls.ts";
import { object } from "../validate.ts";
import { boundedText } from "./growing-file.ts";
import { UsageError } from "./usage.ts";

const BYTES_MAX = 1 << 20;

interface DescribedFault {
  /** `open`, or as in `<linux/vfio.h>`, of which the last words are enough. */
  readonly call: string;
  /** Which one of them, in each process, from 0 on; 0 by default. */
  readonly nth?: number;
  /** How many in a row; 1 by default. */
  readonly times?: number | "all";
  /** By its name or its number: the call is not made. */
  readonly errno?: string | number;
  /** In place of an errno, of REGISTER_MEMORY alone: how many pages could not be pinned. */
  readonly answer?: number;
}

const KEYS = keysOf<DescribedFault>({ call: true, nth: true, times: true, errno: true, answer: true });
const NAMES: readonly string[] = ["open", ...Object.values(VfioCall).map(vfioCallName)];
const REGISTER = vfioCallName(VfioCall.IOMMU_SPAPR_REGISTER_MEMORY);

export class GivenFaults {
  readonly all: readonly Fault[];
  readonly #unmet = new Map<Fault, string>();

  constructor(described: readonly { readonly fault: Fault; readonly words: string }[]) {
    this.all = described.map(({ fault, words }) => {
      const told: Fault = { ...fault, after: () => void this.#unmet.delete(told) };
      this.#unmet.set(told, words);
      return told;
    });
  }

  /** Those that no call has met, as they were written. */
  get unmet(): readonly string[] {
    return [...this.#unmet.values()];
  }
}

/** @throws UsageError with the fault, its field, and what would pass; `ERR_FILE_UNREADABLE` */
export function faultsIn(path: string): GivenFaults {
  const document = jsonIn(path);
  if (!Array.isArray(document) || document.length === 0) {
    throw new UsageError(
      `--faults: ${path} must be an array of one or more faults, such as [{ "call": "MAP_DMA", "nth": 2, "errno": "ENOMEM" }]`,
    );
  }
  return new GivenFaults(
    document.map((value: unknown, index) => {
      try {
        return { fault: faultFrom(value), words: JSON.stringify(value) };
      } catch (error) {
        const { code } = error as { readonly code?: unknown };
        if (code !== "ERR_INVALID_ARG_TYPE" && code !== "ERR_OUT_OF_RANGE") throw error;
        throw new UsageError(`--faults: ${path}: faults[${index}]: ${(error as Error).message}`);
      }
    }),
  );
}

function jsonIn(path: string): unknown {
  const text = boundedText(path, BYTES_MAX);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--faults: ${path} is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function faultFrom(value: unknown): Fault {
  const described = object("a fault", value) as DescribedFault;
  known("a fault", described, KEYS);
  const { call, nth = 0, times = 1, errno, answer } = described;
  const named = NAMES.filter((name) => name === call || name.endsWith(`_${call}`));
  if (named.length === 0) throw argumentRangeError("call", wordsForCall(call), call);
  if (!isCount(nth, 0)) throw argumentRangeError("nth", "a whole number from 0, which is the first", nth);
  if (times !== "all" && !isCount(times, 1))
    throw argumentRangeError("times", 'a whole number from 1, or "all"', times);
  if ((errno === undefined) === (answer === undefined)) {
    throw argumentRangeError("errno", 'there, such as "ENOMEM", or answer in its place', errno);
  }
  const place = { call, nth, times: times === "all" ? Number.POSITIVE_INFINITY : times };
  if (errno !== undefined) return { ...place, answer: -numberOf(errno) };
  if (!named.every((name) => name === REGISTER) || !isCount(answer, 1) || answer >= 2 ** 31) {
    throw argumentRangeError("answer", "of REGISTER_MEMORY alone, and a whole number from 1 to 2^31 - 1", answer);
  }
  return { ...place, answer };
}

function wordsForCall(call: unknown): string {
  const meant = typeof call === "string" ? nearest(call, [...NAMES, ...NAMES.map(shortName)]) : undefined;
  const most = 'open, or a call of <linux/vfio.h> such as "MAP_DMA"';
  return meant === undefined ? most : `${most}; ${shortName(meant)}, perhaps`;
}

function shortName(name: string): string {
  return name.replace(/^VFIO_(IOMMU_)?(SPAPR_)?/, "");
}

function isCount(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function numberOf(errno: string | number): number {
  const number = typeof errno === "string" ? (ERRNO as Readonly<Record<string, number>>)[errno] : errno;
  if (!isCount(number, 1) || number > 4095) {
    throw argumentRangeError("errno", 'the name of an errno, such as "ENOMEM", or its number, from 1 to 4095', errno);
  }
  return number;
}
