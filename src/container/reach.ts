/** What a container's devices may reach of memory that is about to go: through a window, or, without an IOMMU, anyhow. */
import { core } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { IommuInfo } from "../iommu.ts";
import type { Going, Reach } from "../memory/reach.ts";
import { firstMapped } from "../memory/walk.ts";
import type { Devices } from "./devices.ts";
import type { Told } from "./told.ts";
import type { Window } from "./window.ts";

/** What is asked of the container. */
export interface ReachOf {
  readonly kind: IommuInfo["kind"];
  /** Its windows that are open. */
  readonly windows: Iterable<Window>;
  readonly devices: Pick<Devices, "running" | "loose">;
  readonly told: Told;
}

export class ContainerReach implements Reach {
  readonly #of: ReachOf;

  constructor(of: ReachOf) {
    this.#of = of;
  }

  against(going: Going): DmaWindowError | undefined {
    return this.#running(going) ?? this.#mapped(going);
  }

  forget(va: bigint, length: bigint): void {
    this.#of.told.remove(va, length);
  }

  #running({ va, length, what, isPhysical }: Going): DmaWindowError | undefined {
    const { kind, told, devices } = this.#of;
    if (kind !== "noiommu" || !(isPhysical || told.touches(va, length))) return undefined;
    const { running, loose } = devices;
    if (running.length + loose.length === 0) return undefined;
    const named = running.length > 0 ? running : loose;
    const who = named.length === 1 ? `device ${named[0]} is` : `devices ${named.join(", ")} are`;
    const them = named.length === 1 ? "it" : "them";
    return new DmaWindowError(
      "ERR_DEVICE_RUNNING",
      running.length > 0
        ? `${what} cannot go back to the system: ${who} bus master, and without an IOMMU nothing keeps ${them} from writing there when ` +
            `the pages are somebody else's. Stop ${them} first: device.busMaster = false, or device.close()`
        : `${what} cannot go back to the system: ${who} closed and could not be stopped, and without an IOMMU nothing keeps ${them} from ` +
            "writing there. The pages stay this process's until this process ends, and a reset by the machine's administrator comes before that",
      { facts: { devices: named, va, length } },
    );
  }

  #mapped({ va, length, what, isServedBy }: Going): DmaWindowError | undefined {
    for (const window of this.#of.windows) {
      if (isServedBy(window)) continue;
      const found = firstMapped(core.windowTables(window.target.window), window.pageShift, va, length);
      if (found === undefined) continue;
      return new DmaWindowError(
        "ERR_STILL_MAPPED",
        `${what} cannot go back to the system: the memory at ${hex(found.va)} is mapped at IOVA ${hex(found.iova)}, where a device reaches ` +
          "it. window.unmap it first",
        { facts: { va: found.va, iova: found.iova, length } },
      );
    }
    return undefined;
  }
}
