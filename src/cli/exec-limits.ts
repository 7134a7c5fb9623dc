/** The limits of `exec --limits NAME=VALUE,...`: in place of the program's own, and of the kernel's usual ones. */
import { nearest } from "../known.ts";
import type { ModelOptions, ModelPlatform } from "../model/index.ts";
import { parseCount, parseSize, UsageError } from "./usage.ts";

const NAMES = ["memlock", "maps"] as const;

/**
 * What of a machine they change.
 *
 *     memlock=64M, memlock=unlimited    RLIMIT_MEMLOCK, for a program without CAP_IPC_LOCK
 *     maps=1000                         vfio_iommu_type1.dma_entry_limit
 *
 * @throws UsageError
 */
export function limitsFrom(
  texts: readonly string[],
  platform: ModelPlatform,
): Pick<ModelOptions, "lockedMemory" | "dmaEntryLimit"> {
  const limits = new Map<string, string>();
  for (const text of texts.flatMap((each) => each.split(","))) {
    const [, name = text, value] = /^([^=]*)=(.*)$/.exec(text) ?? [];
    if (!NAMES.some((one) => one === name) || value === undefined) throw refused(text, name);
    if (limits.has(name)) throw new UsageError(`--limits takes ${name} once`);
    limits.set(name, value);
  }
  const memlock = limits.get("memlock");
  const maps = limits.get("maps");
  if (memlock !== undefined && platform === "noiommu") {
    throw new UsageError("--limits memlock: without an IOMMU nothing is locked, and nothing is charged");
  }
  if (maps !== undefined && platform !== "type1") {
    throw new UsageError(`--limits maps: ${platform} has no limit of maps; it is type1's (dma_entry_limit)`);
  }
  return {
    ...(memlock === undefined ? {} : { lockedMemory: { limit: bytesOf(memlock), privileged: false } }),
    ...(maps === undefined ? {} : { dmaEntryLimit: parseCount("limits maps", maps, 0, 2 ** 32 - 1) }),
  };
}

function bytesOf(memlock: string): bigint | null {
  return memlock === "unlimited" ? null : parseSize("limits memlock", memlock);
}

function refused(text: string, name: string): UsageError {
  if (name.startsWith("hugepages")) {
    return new UsageError(
      "--limits has no hugepages: the program's memory is this machine's, and so are its hugepages",
    );
  }
  const meant = nearest(name, NAMES);
  const perhaps = meant === undefined || meant === name ? "" : `; ${meant}, perhaps`;
  return new UsageError(
    `--limits takes memlock=SIZE, memlock=unlimited and maps=N, with commas between; got ${JSON.stringify(text)}${perhaps}`,
  );
}
