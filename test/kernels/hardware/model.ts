/** Whether the software kernel describes this machine's IOMMU: the random calls are compared with it, byte by byte. */
import { openContainer } from "../../../src/index.ts";
import { modelKernel } from "../../../src/model/index.ts";
import type { Syscalls } from "../../../src/syscalls.ts";
import type { Found } from "../guest/machine.ts";

/**
 * What this IOMMU says of itself otherwise than the model does, in words; `undefined` where they agree. Opens the first
 * group for a moment.
 *
 * @throws DmaWindowError where a container cannot be opened.
 */
export function differenceFromModel(kernel: Syscalls, { machine, devices }: Found): string | undefined {
  const groups = devices.slice(0, 1).map(({ group }) => group);
  const platform = machine.machine === "x86" || machine.machine === "arm" ? "type1" : machine.machine;
  const real = infoOf(kernel, groups);
  let modelled: ReadonlyMap<string, string>;
  try {
    modelled = infoOf(modelKernel({ platform, pageSize: kernel.pageSize, groups }), groups);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
  const names = [...new Set([...real.keys(), ...modelled.keys()])];
  const parted = names.filter((name) => real.get(name) !== modelled.get(name));
  if (parted.length === 0) return undefined;
  return parted.map((name) => `${name} ${real.get(name)}, and not ${modelled.get(name)}`).join("; ");
}

/** What a container says of its IOMMU, by name. What may be locked is no matter of the IOMMU's. */
function infoOf(kernel: Syscalls, groups: readonly number[]): ReadonlyMap<string, string> {
  const container = openContainer({ kernel, groups });
  try {
    const { lockedMemory: _, ...info } = container.info();
    return new Map(Object.entries(info).map(([name, value]) => [name, words(value)]));
  } finally {
    container.close();
  }
}

function words(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "bigint" ? `0x${inner.toString(16)}` : inner,
  ).replaceAll('"', "");
}
