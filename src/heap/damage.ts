/** Memory that somebody wrote to who does not have it. */
import { DmaWindowError } from "../errors.ts";
import { hex, bytes as inBytes } from "../hex.ts";

/** What a guard found. */
export interface HeapDamage {
  /** In front of a block or slot that is live, behind it, or in memory that is free. */
  readonly where: "before" | "behind" | "freed";
  /** The first byte that is not as it was left. */
  readonly va: bigint;
  readonly iova: bigint;
  /** Of the block or slot that is live. */
  readonly handle?: number;
  /** Bytes of that. */
  readonly bytes?: number;
  /** Where it was allocated, with `callSites`. */
  readonly callSite?: string;
}

export function damaged(title: string, damage: HeapDamage): DmaWindowError {
  const { where, va, iova, handle, bytes, callSite } = damage;
  const at = `at IOVA ${hex(iova)} (address ${hex(va)})`;
  const from = callSite === undefined ? "" : `, allocated ${callSite}`;
  const said =
    where === "freed"
      ? `${title}: memory that is free was written to ${at}: somebody wrote through a handle or an array after free, or a device did`
      : `${title}: the guard ${where} handle ${handle} of ${inBytes(BigInt(bytes ?? 0))}${from} was written to ${at}: ` +
        `somebody, or a device, wrote ${where === "behind" ? "past its end" : "before its start"}`;
  return new DmaWindowError("ERR_GUARD", said, { facts: { ...damage } });
}
