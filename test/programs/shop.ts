/** Debian's packages, as the emulated machines have them: in the same cache, by the same apt. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Apt } from "../kernels/apt.ts";
import { x86 } from "../kernels/guests.ts";
import { cacheDirectory, missingPackages, thisHost, whyNot } from "../kernels/host.ts";
import type { Shop } from "../kernels/kernels.ts";
import { sweep } from "../kernels/unpack.ts";

export function shopOf(say: (line: string) => void): Shop {
  const cache = join(cacheDirectory(), x86.debian);
  const directory = join(cache, "apt");
  mkdirSync(directory, { recursive: true });
  for (const one of [cache, directory]) sweep(one);
  const mirror = process.env.DMA_WINDOW_MIRROR;
  const apt = new Apt({ directory, architecture: x86.debian, say, ...(mirror && { mirror }) });
  return { apt, architecture: x86, cache, say };
}

/** Packages that are missing here of those by which others are fetched and unpacked; or why none can be. */
export function shopNeeds(): readonly string[] | { readonly never: string } {
  const host = thisHost();
  const never = whyNot(host) ?? (process.arch === "x64" ? undefined : "it is run on x86-64 alone");
  return never === undefined ? missingPackages(host, [x86]) : { never };
}
