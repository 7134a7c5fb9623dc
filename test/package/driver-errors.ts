/** What goes wrong on the way to a device, each tried on a software machine: the errors that docs/drivers.md shows. */
import {
  bindToVfio,
  DmaHeap,
  type DmaWindowError,
  edu,
  MemsegTable,
  type ModelPciDevice,
  modelKernel,
  openContainer,
  pciDevice,
  planWindow,
  type Syscalls,
  softwareNvme,
} from "../../src/index.ts";
import { faulty } from "../../src/model/index.ts";
import { withTree } from "../system/temp-tree.ts";

const ADDRESS = "0000:01:00.0";
const NEIGHBOUR = "0000:01:00.1";

/** The software NVMe, at boot with Linux's own driver. */
const nvme = (more: Partial<ModelPciDevice> = {}): ModelPciDevice => ({
  ...softwareNvme({ address: ADDRESS }),
  driver: "nvme",
  ...more,
});

const machine = (platform: "type1" | "noiommu" = "type1", ...devices: readonly ModelPciDevice[]) =>
  modelKernel({ platform, devices: devices.length === 0 ? [nvme()] : devices });

/** The same kernel whose machine has other files: `false` for one that is not there. */
function withFiles(
  kernel: Syscalls,
  texts: Readonly<Record<string, string>>,
  lists: Readonly<Record<string, readonly string[]>> = {},
): Syscalls {
  const { files } = kernel;
  const shown = {
    ...files,
    text: (path: string) => texts[path] ?? files?.text(path) ?? -2,
    names: (path: string) => lists[path] ?? files?.names(path) ?? -2,
    link: (path: string) => files?.link(path) ?? -2,
  };
  return new Proxy(kernel, {
    get(target, name) {
      if (name === "files") return shown;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** `ERR_CODE: message`, as they are printed. */
function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { code, message } = error as DmaWindowError;
    return `${code}: ${message}`;
  }
  throw new Error("nothing was thrown");
}

/** A device that is bound and open. */
function opened(device: ModelPciDevice = nvme()) {
  const kernel = machine("type1", device);
  const binding = bindToVfio(ADDRESS, { kernel });
  const container = openContainer({ kernel, devices: [ADDRESS] });
  return { kernel, binding, container, device: container.device() };
}

const INTEL = "processor : 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu\n";

/** A machine whose root file system is on the device. */
const DISK = {
  ...Object.fromEntries(
    Object.entries({
      vendor: "0x144d\n",
      device: "0xa808\n",
      class: "0x010802\n",
      iommu_group: { link: "../../../../kernel/iommu_groups/10" },
      "nvme/nvme0/nvme0n1/dev": "259:0\n",
      "nvme/nvme0/nvme0n1/nvme0n1p1/dev": "259:1\n",
      "nvme/nvme0/nvme0n1/nvme0n1p1/partition": "1\n",
    }).map(([name, entry]) => [`sys/bus/pci/devices/${ADDRESS}/${name}`, entry]),
  ),
  "sys/bus/pci/drivers/vfio-pci/module": "",
  [`sys/kernel/iommu_groups/10/devices/${ADDRESS}/vendor`]: "0x144d\n",
  "proc/self/mountinfo": "36 35 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n",
};

/** In the order of docs/drivers.md. */
export const errors: readonly (() => string)[] = [
  // finding it
  () => errorOf(() => pciDevice("01:00.0", { kernel: machine() })),
  () => errorOf(() => pciDevice("0000:02:00.0", { kernel: machine() })),
  // an IOMMU
  () => {
    const strict = withFiles(machine("noiommu"), {
      "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "N\n",
      "/proc/cpuinfo": INTEL,
    });
    return errorOf(() => bindToVfio(ADDRESS, { kernel: strict }));
  },
  // modules
  () => {
    const kernel = withFiles(machine(), {}, { "/sys/bus/pci/drivers": ["nvme", "pcieport"] });
    return errorOf(() => bindToVfio(ADDRESS, { kernel }));
  },
  // groups
  () => {
    const kernel = machine("type1", nvme({ group: 30 }), {
      ...edu({ address: NEIGHBOUR, group: 30 }),
      driver: "e1000e",
    });
    bindToVfio(ADDRESS, { kernel });
    return errorOf(() => openContainer({ kernel, devices: [ADDRESS] }));
  },
  // binding
  () => {
    let said = "";
    withTree(DISK, (root) => {
      said = errorOf(() => bindToVfio(ADDRESS, { root }));
    });
    return said;
  },
  () => {
    const kernel = machine();
    const refused = { ...kernel.files, write: () => -13 };
    const user = new Proxy(kernel, {
      get: (target, name) => {
        if (name === "files") return refused;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return errorOf(() => bindToVfio(ADDRESS, { kernel: user }));
  },
  () => errorOf(() => openContainer({ kernel: machine(), devices: [ADDRESS] })),
  // rights
  () => {
    const kernel = machine();
    bindToVfio(ADDRESS, { kernel });
    const user = withFiles(kernel, {
      "/proc/self/status": "Name:\tnode\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n",
    });
    return errorOf(() =>
      openContainer({ kernel: faulty(user, { call: "open", nth: 1, answer: -13 }), devices: [ADDRESS] }),
    );
  },
  () => {
    const kernel = modelKernel({
      platform: "type1",
      devices: [nvme()],
      lockedMemory: { limit: 1n << 23n, privileged: false },
    });
    bindToVfio(ADDRESS, { kernel });
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1 << 30 });
    const container = openContainer({ kernel, devices: [ADDRESS] });
    container.createWindow(planWindow({ memory, info: container.info() }));
    container.attach(memory);
    return errorOf(() => memory.allocate(list, 5));
  },
  // opening
  () => {
    const kernel = withFiles(opened().kernel, { "/proc/sys/kernel/osrelease": "6.12.107\n" });
    return errorOf(() => openContainer({ kernel, devices: [ADDRESS] }));
  },
  () => {
    const kernel = machine("type1", nvme(), { ...edu({ address: NEIGHBOUR }), driver: "e1000e" });
    bindToVfio(ADDRESS, { kernel });
    return errorOf(() => openContainer({ kernel, devices: [ADDRESS] }).device(NEIGHBOUR));
  },
  // memory
  () => {
    const { kernel, container } = opened();
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1 << 30 });
    const window = container.createWindow(planWindow({ memory, info: container.info() }));
    return errorOf(() => new DmaHeap({ memory, list, window }));
  },
  () => {
    const { kernel, container } = opened();
    const memory = new MemsegTable({ kernel });
    memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 33n });
    return errorOf(() => planWindow({ memory, info: container.info(), deviceAddressBits: 32 }));
  },
  // registers
  () => errorOf(() => opened().device.bar(2)),
  () => errorOf(() => opened().device.bar(0).read32(0x1002)),
  () =>
    errorOf(() =>
      opened()
        .device.bar(0)
        .write32(0x14, 1 << 31),
    ),
  () => errorOf(() => opened().device.bar(0).bytes()),
  () => {
    const { device } = opened();
    device.powerState = "D3hot";
    return errorOf(() => device.bar(0));
  },
  // configuration space
  () => errorOf(() => opened().device.config.set16(0x08, 0xff, 0x77)),
  () => {
    const { device } = opened();
    device.bar(0);
    return errorOf(() => {
      device.memory = false;
    });
  },
  // interrupts
  () => errorOf(() => opened({ ...edu({ address: ADDRESS }), driver: "edu" }).device.irqs.msix()),
  () => errorOf(() => opened().device.irqs.msix(128)),
  () => {
    const { device } = opened();
    device.irqs.msix(2);
    return errorOf(() => device.irqs.intx());
  },
  // reset
  () => errorOf(() => opened({ ...edu({ address: ADDRESS }), driver: "edu" }).device.reset()),
  () => errorOf(() => opened().device.hotReset()),
  // gone
  () => {
    const { kernel, device } = opened();
    const bar = device.bar(0);
    kernel.plugged(ADDRESS).unplug();
    return errorOf(() => bar.read32(0x1c));
  },
  // handing back
  () => {
    const { binding } = opened();
    return errorOf(() => binding.restore());
  },
  () => {
    const { kernel, container } = opened();
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1 << 30 });
    const window = container.createWindow(planWindow({ memory, info: container.info() }));
    container.attach(memory);
    new DmaHeap({ memory, list, window, name: "rings" }).buffer(4096);
    return errorOf(() => container.close());
  },
  () => {
    const kernel = machine("noiommu", softwareNvme({ address: ADDRESS }));
    const container = openContainer({ kernel, devices: [ADDRESS], noIommu: true });
    const memory = new MemsegTable({ kernel, physical: true });
    const segment = memory.allocate(memory.addList({ pageSize: 2 << 20, maxBytes: 2 << 20 }), 1);
    container.device().busMaster = true;
    return errorOf(() => memory.free(segment));
  },
  // no IOMMU
  () =>
    errorOf(() =>
      openContainer({ kernel: machine("noiommu", softwareNvme({ address: ADDRESS })), devices: [ADDRESS] }),
    ),
];
