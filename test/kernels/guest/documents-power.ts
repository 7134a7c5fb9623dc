/** The documents on the guests of POWER: its module, a device that no driver of the kernel's knows, and an LPAR's hugepages. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { EDU } from "../hardware/machine.ts";
import { sysfsSteps } from "./documents-testing.ts";
import { isLoaded, loadVfio, unloadVfio } from "./modules.ts";
import { HUGEPAGES, poolSize, release, type Scene } from "./scenes.ts";

/** Nothing of VFIO's is there. */
function stage(): () => void {
  unloadVfio();
  return () => {
    unloadVfio();
    loadVfio();
  };
}

/** It is this command that loads it, whatever those before it did. */
const loadsSpapr: Scene["steps"][string] = {
  before: () => {
    unloadVfio();
    return () => {};
  },
  holds: () => assert.equal(["vfio", "vfio_iommu_spapr_tce"].map(isLoaded), [true, true]),
};

const loadsBoth: Scene["steps"][string] = {
  ...loadsSpapr,
  holds: () => assert.equal(["vfio_iommu_spapr_tce", "vfio-pci"].map(isLoaded), [true, true]),
};

const loadsVfioPci: Scene["steps"][string] = { holds: () => assert.is(isLoaded("vfio-pci"), true) };

const modules = { "modprobe vfio-pci": loadsVfioPci, "modprobe vfio_iommu_spapr_tce": loadsSpapr };

/** The second device: on bare metal it has the document's address. */
function device(): string {
  const read = (name: string, what: string) => readFileSync(`/sys/bus/pci/devices/${name}/${what}`, "utf8").trim();
  const found = readdirSync("/sys/bus/pci/devices").filter(
    (name) => `${read(name, "vendor")} ${read(name, "device")}` === EDU,
  );
  return found.sort()[1] ?? "";
}

export function scenesOfPower(machine: "powernv" | "pseries"): readonly Scene[] {
  const testing: Scene = {
    document: "docs/testing.md",
    begin: () => {
      const end = stage();
      release(device());
      return end;
    },
    names: () => ({ "0001:01:00.0": device() }),
    steps: {
      "modprobe vfio_iommu_spapr_tce && modprobe vfio-pci": loadsBoth,
      ...sysfsSteps({ address: device }),
      ...(machine === "pseries" && { [`echo 16 > ${HUGEPAGES}`]: pool }),
    },
  };
  return [
    { document: "docs/drivers.md", begin: stage, steps: modules },
    { document: "docs/guide.md", begin: stage, steps: modules },
    testing,
  ];
}

const pool: Scene["steps"][string] = {
  before: () => {
    const before = poolSize();
    return () => writeFileSync(HUGEPAGES, String(before));
  },
  holds: () => assert.is(poolSize(), 16),
};
