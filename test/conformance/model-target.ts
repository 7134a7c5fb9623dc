import { type LinuxVersion, linuxVersionIn } from "../../src/linux-version.ts";
import {
  type ModelKernel,
  ModelKernelOops,
  type ModelOptions,
  type ModelPciDevice,
  modelKernel,
  softwareNvme,
} from "../../src/model/index.ts";
import { Protection, type VfioCall } from "../../src/syscalls.ts";
import { cardImage } from "./card-rom.ts";
import { errands } from "./errands.ts";
import type { Needs, PlatformName } from "./row.ts";
import type { Device, Machine, TakenAway, Target } from "./target.ts";

const groups = [26, 27];

/** A row that is about an NVMe controller has a machine with one. */
const NVME_GROUP = 28;

/** As in the guests: on PowerNV behind a bridge of its own, elsewhere on the root bus. */
function nvmeAddress(platform: PlatformName): string {
  return platform === "powernv" ? "0000:01:00.0" : "0000:00:07.0";
}

/** Behind a bridge on every machine. */
const PORT_GROUP = 30;
const PORT_ADDRESS = "0000:02:00.0";

const CARD_GROUP = 29;
const CARD_ADDRESS = "0000:00:08.0";

/** What VFIO shows of an e1000e: BARs of every kind. It does nothing. */
const networkCard: ModelPciDevice = {
  facts: {
    vendor: 0x8086,
    device: 0x10d3,
    class: 0x020000,
    bars: [
      { index: 0, bytes: 0x20000, bits: 32 },
      { index: 1, bytes: 0x20000, bits: 32 },
      { index: 2, bytes: 0x20, ports: true },
      { index: 3, bytes: 0x4000, bits: 32 },
    ],
    msix: { vectors: 5, bar: 3, table: 0, pending: 0x2000 },
    msi: 1,
    intx: true,
    rom: cardImage(),
    flr: false,
    pmReset: true,
  },
  group: CARD_GROUP,
  address: CARD_ADDRESS,
  plug: () => ({ read: () => 0, write: () => {}, reset: () => {} }),
};

/** The kernels that were asked, and those at which an answer changes that was only read; the last is the model's default. */
export const versions: Readonly<Record<PlatformName, readonly string[]>> = {
  powernv: ["6.12.107", "6.12.113", "7.2.13"],
  pseries: ["6.12.107", "6.12.113", "7.2.13"],
  "type1 v2": ["6.1.192", "6.12.107", "6.16.12", "6.17.13", "6.18.15", "7.3.4"],
  "type1 v1": ["6.1.192", "6.12.107", "6.16.12", "6.17.13", "6.18.15", "7.3.4"],
  noiommu: ["6.1.192", "6.12.117", "7.3.4"],
};

/** The software kernel: it can do nearly everything, and every row gets a new one. */
export function modelTarget(
  platform: PlatformName,
  pageSize: 4096 | 65536,
  linux = versions[platform].at(-1) as string,
): Target {
  return {
    name: `model, ${platform}, ${pageSize / 1024}K pages, Linux ${linux}`,
    platform,
    pageSize,
    linux: linuxVersionIn(linux) as LinuxVersion,
    cannot: ({ raw, signal }) => {
      if (raw === "memory") return "a software kernel's programs have no pointers, and one way to map registers";
      return signal ? "no process of a software kernel ends by a signal" : undefined;
    },
    begin: (needs) => machineOn(modelKernel({ ...optionsFor(platform, pageSize, needs), linux }), platform, needs),
  };
}

/** As much RAM as the emulated machines have, more or less: some rows are about too little of it. */
const RAM = 2560n << 20n;

function optionsFor(platform: PlatformName, pageSize: number, { limit, nvme, card, port }: Needs): ModelOptions {
  const plugged = [
    ...(nvme ? [softwareNvme({ group: NVME_GROUP, address: nvmeAddress(platform) })] : []),
    ...(card ? [networkCard] : []),
    ...(port ? [softwareNvme({ group: PORT_GROUP, address: PORT_ADDRESS })] : []),
  ];
  const devices = plugged.length > 0 ? { devices: plugged } : {};
  const own = { ...machineOf(platform), pageSize, groups, ram: RAM, ...devices };
  if (limit === undefined) return own;
  const bytes = "bytes" in limit ? limit.bytes : limit.pages * BigInt(pageSize);
  return { ...own, lockedMemory: { limit: bytes, privileged: false } };
}

/** A container of type1 v1 is the program's choice on a kernel that has v2. */
function machineOf(platform: PlatformName): Pick<ModelOptions, "platform"> {
  return { platform: platform === "type1 v1" || platform === "type1 v2" ? "type1" : platform };
}

function machineOn(kernel: ModelKernel, platform: PlatformName, { nvme, card, port }: Needs): Machine {
  const prefix = platform === "noiommu" ? "noiommu-" : "";
  return {
    kernel,
    groups: groups.map((group) => `/dev/vfio/${prefix}${group}`),
    takeAway: () => takeAway(kernel, nvmeAddress(platform)),
    card: card && { group: `/dev/vfio/${CARD_GROUP}`, name: CARD_ADDRESS },
    nvme: nvme && { group: `/dev/vfio/${NVME_GROUP}`, name: nvmeAddress(platform) },
    port: port && { group: `/dev/vfio/${PORT_GROUP}`, name: PORT_ADDRESS },
    raw: { ioctl: (fd, distance, argument) => kernel.ioctl(fd, (0x100 + distance) as VfioCall, argument) },
    deviceName: (index) => `0000:00:${(groups[index] as number).toString(16)}.0`,
    deviceMemory: () => {
      const length = 16n * BigInt(kernel.pageSize);
      const va = kernel.mmap(0n, length, Protection.READ | Protection.WRITE, 0, 0);
      kernel.makeDeviceMemory(va, length);
      return va;
    },
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

function takeAway(kernel: ModelKernel, address: string): TakenAway {
  void kernel.plugged(address).unbind();
  return {
    isThrough: () => !kernel.plugged(address).isBound,
    goOn: () => kernel.plugged(address).request(),
    bindAgain() {
      kernel.files.write?.(`/sys/bus/pci/devices/${address}/driver_override`, "vfio-pci");
      kernel.files.write?.("/sys/bus/pci/drivers_probe", address);
    },
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
