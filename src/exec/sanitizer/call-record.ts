import { errnoName } from "../../errors.ts";
import { hex } from "../../hex.ts";
import { VfioCall, vfioCallName } from "../../syscalls.ts";
import type { ProgramCall } from "../ioctls.ts";

/** The fields that the sanitizer looks at, with where they lie in `<linux/vfio.h>`'s structs. */
const FIELDS: Readonly<Record<number, readonly (readonly [name: string, at: number, bytes: 4 | 8])[]>> = {
  [VfioCall.IOMMU_MAP_DMA]: [
    ["argsz", 0, 4],
    ["flags", 4, 4],
    ["vaddr", 8, 8],
    ["iova", 16, 8],
    ["size", 24, 8],
  ],
  [VfioCall.IOMMU_UNMAP_DMA]: [
    ["argsz", 0, 4],
    ["flags", 4, 4],
    ["iova", 8, 8],
    ["size", 16, 8],
  ],
  [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY]: [
    ["vaddr", 8, 8],
    ["size", 16, 8],
  ],
  [VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY]: [
    ["vaddr", 8, 8],
    ["size", 16, 8],
  ],
  [VfioCall.IOMMU_SPAPR_TCE_CREATE]: [
    ["pageShift", 8, 4],
    ["size", 16, 8],
    ["levels", 24, 4],
  ],
  [VfioCall.IOMMU_SPAPR_TCE_REMOVE]: [["start", 8, 8]],
};

/** Of type1: it has the number of REGISTER, and another struct. (`include/uapi/linux/vfio.h: VFIO_IOMMU_DIRTY_PAGES`) */
const DIRTY_PAGES: (typeof FIELDS)[number] = [
  ["argsz", 0, 4],
  ["flags", 4, 4],
];

/** A call as it was made, kept as long as something of it is there. */
export class CallRecord {
  /** Counts the program's calls of VFIO, from 1. */
  readonly number: number;
  readonly call: number;
  answer = 0;
  /** Of the program, when it made the call. */
  readonly instruction: bigint;
  readonly thread: number;
  readonly #argument: number;
  readonly #name: string;
  readonly #fields: (typeof FIELDS)[number];
  readonly #values: readonly bigint[];

  /** `isSpapr`: the container's IOMMU is POWER's, where numbers mean other calls than on type1. */
  constructor(number: number, { call, argument, struct, instruction, thread }: ProgramCall, isSpapr: boolean) {
    this.number = number;
    this.call = call;
    this.instruction = instruction;
    this.thread = thread;
    this.#argument = argument;
    const isDirtyPages = call === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY && !isSpapr;
    this.#name = isDirtyPages ? "DIRTY_PAGES" : vfioCallName(call).replace(/^VFIO_(IOMMU_)?(SPAPR_)?/, "");
    this.#fields = isDirtyPages ? DIRTY_PAGES : (FIELDS[call] ?? []);
    this.#values = this.#fields.map(([, at, bytes]) => {
      if (struct === undefined) return 0n;
      return bytes === 4 ? BigInt(struct.getUint32(at, true)) : struct.getBigUint64(at, true);
    });
  }

  /** 0n for a field that the call has not. */
  field(name: string): bigint {
    const index = this.#fields.findIndex(([each]) => each === name);
    return this.#values[index] ?? 0n;
  }

  /** `#12 UNMAP_DMA(argsz 0x20, flags 0x0, iova 0x0, size 0x11000) = 0` */
  get text(): string {
    const fields = this.#fields.map(([name], index) => `${name} ${hex(this.#values[index] ?? 0n)}`);
    const shown = fields.length > 0 ? fields.join(", ") : String(this.#argument);
    return `#${this.number} ${this.#name}(${shown}) = ${answerText(this.answer)}`;
  }
}

/** `0`, `12`, `EINVAL`. */
export function answerText(answer: number): string {
  return answer >= 0 ? String(answer) : errnoName(answer);
}
