/** The operands of a call, by the names of its struct's fields: what a trace has of them, with addresses in place of its symbols. */
import type { Asked } from "../explain/cause.ts";
import type { TraceCall } from "../trace/index.ts";
import type { TracedMemory } from "./memory.ts";

export function operandsOf({ call, fields, out, answer }: TraceCall, memory: TracedMemory): Asked {
  const entries = Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
    if (name === "vaddr" || name === "iova") {
      const address = memory.addressOf(value);
      return address === undefined ? [] : [[name, address]];
    }
    if (name === "fd" || name === "container" || Array.isArray(value)) return [];
    if (name === "path" || name === "name") return [[name, value]];
    if (typeof value === "number") return [[name, BigInt(value)]];
    return typeof value === "string" && /^0x[0-9a-f]{1,16}$/.test(value) ? [[name, BigInt(value)]] : [];
  });
  const operands = Object.fromEntries(entries);
  if (call === "UNMAP_DMA" && answer === 0 && typeof out?.size === "string") operands.unmapped = BigInt(out.size);
  if (call === "TCE_CREATE" && answer === 0 && typeof out?.start === "string") operands.start = BigInt(out.start);
  return operands;
}
