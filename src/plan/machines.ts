/** Machines to plan for without having one: examples of what a description may say, and the names that `--machine` knows. */

/** As JSON has it: `parseMachine` takes each. */
export type MachineExample = Readonly<Record<string, unknown>>;

export const MACHINES: Readonly<Record<string, MachineExample>> = {
  power10: {
    format: "dma-window machine",
    name: "POWER10, bare metal, 64 TiB",
    platform: "powernv",
    cpuPageSize: "64K",
    iommuPageSizes: ["4K", "64K", "2M", "1G"],
    ram: "64T",
    memlock: "unlimited",
    hugepages: [{ pageSize: "1G", total: 60000 }],
    lists: [{ pageSize: "1G", bytes: "64T" }],
  },
  lpar: {
    format: "dma-window machine",
    name: "LPAR on POWER9, 256 GiB",
    platform: "pseries",
    cpuPageSize: "64K",
    iommuPageSizes: ["4K", "64K", "2M", "16M"],
    defaultWindow: { start: "0x0", size: "1G" },
    ram: "256G",
    memlock: "64G",
    hugepages: [{ pageSize: "16M", total: 4096, available: 4000 }],
    lists: [
      { pageSize: "16M", bytes: "128G" },
      { pageSize: "64K", bytes: "1G" },
    ],
  },
  laptop: {
    format: "dma-window machine",
    name: "laptop with VT-d of 39 bits, 32 GiB",
    platform: "type1",
    addressBits: 39,
    iommuPageSizes: ["4K", "2M", "1G"],
    ram: "32G",
    memlock: "4G",
    hugepages: [{ pageSize: "2M", total: 1024, available: 1000 }],
    lists: [{ pageSize: "2M", bytes: "8G" }],
  },
  vm: {
    format: "dma-window machine",
    name: "VM with an emulated VT-d of 39 bits, 4 GiB",
    platform: "type1",
    addressBits: 39,
    iommuPageSizes: ["4K", "2M", "1G"],
    mapsAvailable: 65535,
    ram: "4G",
    memlock: "64M",
    deviceAddressBits: 32,
    lists: [{ pageSize: "4K", bytes: "1G" }],
  },
};
