/** Steps of docs/testing.md that machines of every kind go through. */
import { readdirSync } from "node:fs";
import * as assert from "uvu/assert";
import { driverOf, groupOf, overrideOf, type Scene } from "./scenes.ts";

const GROUP = "/sys/bus/pci/devices/0001:01:00.0";

/** Without the number of a group nothing begins. */
export const hardwareWithoutGroup: Scene["steps"] = {
  "npm run test:hardware": {
    codes: [2],
    holds: ({ text }) => assert.match(text, /^DMA_WINDOW_GROUP names no group\.\n\nDMA_WINDOW_GROUP=26 npm run /),
  },
};

/**
 * A device looked at, given to vfio-pci, and given back, by hand.
 *
 * @param address of the device here
 * @param own the kernel's driver for it, if there is one
 */
export function sysfsSteps({
  address,
  own,
}: {
  readonly address: () => string;
  readonly own?: string;
}): Scene["steps"] {
  return {
    [`readlink ${GROUP}/iommu_group`]: {
      holds: ({ stdout }) => assert.ok(stdout.endsWith(`/kernel/iommu_groups/${groupOf(address())}\n`), stdout),
    },
    [`ls ${GROUP}/iommu_group/devices`]: {
      holds: ({ stdout }) => {
        const seen = stdout.split(/\s+/).filter((word) => word !== "");
        assert.ok(seen.includes(address()), stdout);
        assert.equal(seen.sort(), readdirSync(`/sys/kernel/iommu_groups/${groupOf(address())}/devices`).sort());
      },
    },
    [`echo vfio-pci > ${GROUP}/driver_override`]: { holds: () => assert.is(overrideOf(address()), "vfio-pci") },
    [`echo > ${GROUP}/driver_override`]: { holds: () => assert.is(overrideOf(address()), "(null)") },
    "echo 0001:01:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind": {
      before: () => {
        assert.is(driverOf(address()), "vfio-pci");
        return () => {};
      },
      holds: () => assert.is(driverOf(address()), undefined),
    },
    // Whichever the override names, or the kernel's own.
    "echo 0001:01:00.0 > /sys/bus/pci/drivers_probe": {
      holds: () => assert.is(driverOf(address()), overrideOf(address()) === "vfio-pci" ? "vfio-pci" : own),
    },
  };
}
