import type { Program } from "../program.ts";
import { size, words } from "../words.ts";

/** GET_INFO of sPAPR: the answer, and what the kernel wrote. */
export function tceInfo(p: Program, argsz: number): string {
  const result = p.info(argsz);
  if (result !== 0) return words(result);
  const start = BigInt(p.u32(8));
  const fixed = `0, argsz ${p.u32(0)}, flags ${p.u32(4)}, ${size(BigInt(p.u32(12)))} at ${words(start)}`;
  // The program fills its memory with 0xee before it asks.
  if (p.u32(16) === 0xeeee_eeee) return fixed;
  return `${fixed}, pgsizes ${words(p.u64(16))}, ${p.u32(24)} windows, ${p.u32(28)} levels`;
}

/** GET_INFO of type1: the answer, and what the kernel wrote, its capabilities in the order of their ids. */
export function type1Info(p: Program, argsz: number): string {
  const result = p.info(argsz);
  if (result !== 0) return words(result);
  const pgsizes = `argsz ${p.u32(0)}, flags ${p.u32(4)}, pgsizes ${words(p.u64(8))}`;
  // What argsz had no room for is still what the program wrote there.
  if (argsz < 20) return `0, ${pgsizes}`;
  const chain = capabilities(p, p.u32(16), argsz);
  return `0, ${pgsizes}, ${chain.length === 0 ? "no capabilities" : chain.sort().join(", ")}`;
}

function capabilities(p: Program, first: number, argsz: number): string[] {
  const found: string[] = [];
  for (let at = first; at !== 0 && at + 8 <= argsz; at = p.u32(at + 4)) {
    const id = p.u32(at) & 0xffff;
    if (id === 1) found.push(`ranges ${ranges(p, at)}`);
    else if (id === 2) found.push("migration");
    else if (id === 3) found.push(`dma_avail ${p.u32(at + 8)}`);
    else found.push(`capability ${id}`);
  }
  return found;
}

function ranges(p: Program, at: number): string {
  const texts = Array.from({ length: p.u32(at + 8) }, (_, index) => {
    const range = at + 16 + index * 16;
    return `${words(p.u64(range))}-${words(p.u64(range + 8))}`;
  });
  return texts.join(" ");
}
