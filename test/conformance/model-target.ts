import { type ModelKernel, ModelKernelOops, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { errands } from "./errands.ts";
import type { Needs, PlatformName } from "./row.ts";
import type { Device, Machine, Target } from "./target.ts";

const groups = [26, 27];

/** The software kernel: it can do everything, and every row gets a new one. */
export function modelTarget(platform: PlatformName, pageSize: 4096 | 65536): Target {
  return {
    name: `model, ${platform}, ${pageSize / 1024}K pages`,
    platform,
    pageSize,
    cannot: () => undefined,
    begin: (needs) => machineOn(modelKernel(optionsFor(platform, pageSize, needs)), platform),
  };
}

function optionsFor(platform: PlatformName, pageSize: number, { limit }: Needs): ModelOptions {
  const own = { ...machineOf(platform), pageSize, groups };
  if (limit === undefined) return own;
  const bytes = "bytes" in limit ? limit.bytes : limit.pages * BigInt(pageSize);
  return { ...own, lockedMemory: { limit: bytes, privileged: false } };
}

/** A container of type1 v1 is the program's choice on a kernel that has v2. */
function machineOf(platform: PlatformName): Pick<ModelOptions, "platform"> {
  return { platform: platform === "type1 v1" || platform === "type1 v2" ? "type1" : platform };
}

function machineOn(kernel: ModelKernel, platform: PlatformName): Machine {
  const prefix = platform === "noiommu" ? "noiommu-" : "";
  return {
    kernel,
    groups: groups.map((group) => `/dev/vfio/${prefix}${group}`),
    deviceName: (index) => `0000:00:${(groups[index] as number).toString(16)}.0`,
    device: (index) => deviceOf(kernel, groups[index] as number),
    elsewhere(errand, descriptors) {
      const child = kernel.fork();
      try {
        return errands(child, errand, descriptors);
      } finally {
        child.exit();
      }
    },
    crashed: (error) => error instanceof ModelKernelOops,
  };
}

/** The model's device, and a buffer inside it. What could not be read is zeros. */
function deviceOf(kernel: ModelKernel, group: number): Device {
  const device = kernel.device(group);
  const buffer = new Uint8Array(4096);
  return {
    load: (iova, length) => {
      buffer.fill(0, 0, length);
      device.read(iova, buffer.subarray(0, length));
    },
    store: (iova, length) => {
      device.write(iova, buffer.subarray(0, length));
    },
    close: () => undefined,
  };
}
