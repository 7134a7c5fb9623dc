/** Which parts of the guests' program a machine that is somebody's can run. */
import type { Found } from "../guest/machine.ts";
import type { Part } from "../guests.ts";

/** Every part that may run there. What else the guests have is for machines that are used up. */
export const partsForHardware: readonly string[] = ["dma", "flight", "ends", "library", "random", "conformance"];

/** Parts that start programs of another user, and lend them the groups' nodes: only root can. */
export const partsOfRoot: readonly string[] = ["ends", "conformance"];

/** Parts in which nearly everything is a transfer: how many devices it takes. */
const devicesFor: Readonly<Record<string, number>> = { dma: 1, flight: 1, library: 2 };

export interface PartsHere {
  readonly parts: readonly Part[];
  /** Why others are not among them: a sentence for each reason. */
  readonly leftOut: readonly string[];
}

/**
 * Of these parts those that can run here.
 *
 * @param difference says what this IOMMU says of itself otherwise than the model; asked only where that matters.
 */
export function partsOn(
  { devices }: Pick<Found, "devices">,
  all: readonly Part[],
  difference: () => string | undefined,
): PartsHere {
  const leftOut: string[] = [];
  const driven = devices.every(({ isEdu }) => isEdu) ? devices.length : 0;
  const parts = all.filter(({ name }) => {
    const reason =
      (devicesFor[name] ?? 0) > driven ? forWantOf(devicesFor[name]) : name === "random" && asModelled(difference());
    if (reason) leftOut.push(`left out: ${name}, ${reason}`);
    return !reason;
  });
  return { parts, leftOut };
}

function forWantOf(devices = 0): string {
  const needed =
    devices === 1 ? "a device that does DMA where it is told" : `${devices} devices that do DMA where they are told`;
  return `which needs ${needed} (QEMU's edu), and no other beside`;
}

function asModelled(difference: string | undefined): string | undefined {
  if (difference === undefined) return undefined;
  return `because the model that it compares with describes another IOMMU: this one has ${difference}`;
}
