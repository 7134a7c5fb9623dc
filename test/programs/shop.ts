/** Debian's packages, as the emulated machines have them: in the same cache, by the same apt. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Apt } from "../kernels/apt.ts";
import type { Architecture } from "../kernels/guests.ts";
import { cacheDirectory, missingPackages, thisHost, whyNot } from "../kernels/host.ts";
import type { Shop } from "../kernels/kernels.ts";
import { sweep } from "../kernels/unpack.ts";

export function shopOf(architecture: Architecture, say: (line: string) => void): Shop {
  const { debian } = architecture;
  const cache = join(cacheDirectory(), debian);
  const directory = join(cache, "apt");
  mkdirSync(directory, { recursive: true });
  for (const one of [cache, directory]) sweep(one);
  const mirror = process.env.DMA_WINDOW_MIRROR;
  const apt = new Apt({ directory, architecture: debian, say, ...(mirror && { mirror }) });
  return { apt, architecture, cache, say };
}

/**
 * Packages that are missing here of those by which others are fetched and unpacked, and of QEMU's for these architectures; or why
 * none can be.
 */
export function shopNeeds(architectures: readonly Architecture[] = []): readonly string[] | { readonly never: string } {
  const host = thisHost();
  const never = whyNot(host) ?? (process.arch === "x64" ? undefined : "it is run on x86-64 alone");
  // Nothing is compiled for guests here.
  return never === undefined
    ? missingPackages(host, architectures).filter((name) => !name.startsWith("g++-"))
    : { never };
}
