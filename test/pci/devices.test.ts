/** What sysfs says of PCI devices, on trees of our own. */
import { execFileSync } from "node:child_process";
import { rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type PciDevice, pciDevice, pciDevices } from "../../src/pci/devices.ts";
import { failure, refused } from "../support/failure.ts";
import { type Entry, withTree } from "../system/temp-tree.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ADDRESS = "0000:01:00.0";
const HOME = `sys/bus/pci/devices/${ADDRESS}`;

/** An NVMe controller as a kernel of today shows it. */
const nvme: Record<string, Entry> = {
  [`${HOME}/vendor`]: "0x1b36\n",
  [`${HOME}/device`]: "0x0010\n",
  [`${HOME}/subsystem_vendor`]: "0x1af4\n",
  [`${HOME}/subsystem_device`]: "0x1100\n",
  [`${HOME}/class`]: "0x010802\n",
  [`${HOME}/revision`]: "0x02\n",
  [`${HOME}/numa_node`]: "-1\n",
  [`${HOME}/power_state`]: "D0\n",
  [`${HOME}/reset_method`]: "flr bus\n",
  [`${HOME}/resource`]: [
    "0x00000000febf0000 0x00000000febf3fff 0x0000000000140204",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x00000000febf8000 0x00000000febfffff 0x0000000000140204",
    "",
  ].join("\n"),
  [`${HOME}/driver`]: { link: "../../../drivers/vfio-pci" },
  [`${HOME}/iommu_group`]: { link: "../../../../kernel/iommu_groups/26" },
  [`sys/kernel/iommu_groups/26/devices/${ADDRESS}`]: { link: `../../../../bus/pci/devices/${ADDRESS}` },
  "sys/kernel/iommu_groups/26/reserved_regions": "0x00000000fee00000 0x00000000feefffff msi\n",
  "sys/bus/pci/drivers/vfio-pci/unbind": "",
  "dev/vfio/26": "",
};

function device(entries: Record<string, Entry>, use: (device: PciDevice) => void, address = ADDRESS): void {
  withTree(entries, (root) => use(pciDevice(address, { root })));
}

/** Without some of its files; each name is one in the device's directory. */
function without(...names: readonly string[]): Record<string, Entry> {
  return Object.fromEntries(Object.entries(nvme).filter(([path]) => !names.some((name) => path === `${HOME}/${name}`)));
}

const reading = suite("a PCI device");

/** In a process that is ended: who waits for a pipe does so for ever. A device whose ids are not known is none. */
reading("is not waited for where its files are pipes, nor read where they are huge", () => {
  withTree(nvme, (root) => {
    for (const name of Object.keys(nvme)) {
      if (typeof nvme[name] !== "string" || !name.startsWith(HOME)) continue;
      const at = join(root, name);
      rmSync(at);
      execFileSync("mkfifo", [at]);
    }
    const list =
      "import { pciDevices } from './src/pci/devices.ts'; console.log(pciDevices({ root: process.argv[1] }).length)";
    const options = { cwd: ROOT, timeout: 20_000, encoding: "utf8" } as const;
    assert.is(execFileSync(process.execPath, ["--import", "tsx", "-e", list, root], options), "0\n");
  });
  withTree(nvme, (root) => {
    truncateSync(join(root, HOME, "resource"), 2 ** 40);
    truncateSync(join(root, "sys/kernel/iommu_groups/26/reserved_regions"), 2 ** 40);
    const found = pciDevice(ADDRESS, { root });
    assert.equal(found.bars, []);
    assert.equal(found.reservedRegions, []);
  });
});

reading("is read whole", () => {
  device(nvme, (found) => {
    assert.equal(found, {
      address: ADDRESS,
      vendor: 0x1b36,
      device: 0x10,
      subsystemVendor: 0x1af4,
      subsystemDevice: 0x1100,
      revision: 2,
      class: 0x010802,
      className: "NVMe controller",
      bars: [{ index: 0, bytes: 0x4000n, kind: "memory", bits: 64, prefetchable: false }],
      group: 26,
      noIommu: false,
      driver: "vfio-pci",
      neighbours: [],
      physicalFunction: undefined,
      resetMethods: ["flr", "bus"],
      numaNode: undefined,
      powerState: "D0",
      reservedRegions: [{ start: 0xfee0_0000n, last: 0xfeef_ffffn, kind: "msi" }],
      problems: [],
      inUse: [],
    });
  });
});

reading("has memory, ports and a ROM, each with its size", () => {
  const resource = [
    "0x00000000fea00000 0x00000000fea1ffff 0x0000000000040200",
    "0x0000004000000000 0x0000007fffffffff 0x000000000014220c",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x000000000000c020 0x000000000000c03f 0x0000000000040101",
    "0x0000000000000000 0x0000000000000fff 0x0000000020040200",
    "0x0000000000000000 0x0000000000000000 0x0000000000000000",
    "0x00000000fea40000 0x00000000fea7ffff 0x0000000000046200",
  ];
  device({ ...nvme, [`${HOME}/resource`]: resource.join("\n") }, ({ bars }) => {
    assert.equal(
      bars.map(({ index, bytes, kind, bits, prefetchable }) => [index, bytes, kind, bits, prefetchable]),
      [
        [0, 0x20000n, "memory", 32, false],
        [1, 1n << 38n, "memory", 64, true],
        [3, 0x20n, "ports", 32, false],
        [4, 0x1000n, "memory", 32, false],
        [6, 0x40000n, "rom", 32, true],
      ],
    );
  });
});

reading("says what is not known, and never that it is none", () => {
  device(without("reset_method", "power_state", "revision", "subsystem_vendor", "numa_node"), (found) => {
    assert.equal(
      [found.resetMethods, found.powerState, found.revision, found.subsystemVendor, found.numaNode],
      [undefined, undefined, undefined, undefined, undefined],
    );
  });
  const release = (text: string) => ({ ...without("reset_method"), "proc/sys/kernel/osrelease": text });
  device(release("5.10.0-26-amd64\n"), ({ resetMethods }) => assert.is(resetMethods, undefined));
  device(release("6.12.117\n"), ({ resetMethods }) => assert.equal(resetMethods, []));
  device({ ...nvme, [`${HOME}/reset_method`]: "\n" }, ({ resetMethods }) => assert.equal(resetMethods, []));
  device({ ...nvme, [`${HOME}/numa_node`]: "1\n" }, ({ numaNode }) => assert.is(numaNode, 1));
});

reading("behind bridges is found by its link, and its neighbours are named", () => {
  const at = "0000:03:00.1";
  const home = `sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0/${at}`;
  const entries: Record<string, Entry> = {
    [`sys/bus/pci/devices/${at}`]: { link: `../../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/${at}` },
    [`${home}/vendor`]: "0x8086\n",
    [`${home}/device`]: "0x1521\n",
    [`${home}/class`]: "0x020000\n",
    [`${home}/iommu_group`]: { link: "../../../../../kernel/iommu_groups/7" },
    [`${home}/physfn`]: { link: "../0000:03:00.0" },
    [`sys/kernel/iommu_groups/7/devices/${at}`]: { link: `../../../../bus/pci/devices/${at}` },
    "sys/kernel/iommu_groups/7/devices/0000:02:00.0": { link: "nowhere" },
  };
  device(
    entries,
    (found) => {
      assert.equal([found.className, found.group, found.driver], ["Ethernet controller", 7, undefined]);
      assert.equal([found.neighbours, found.physicalFunction], [["0000:02:00.0"], "0000:03:00.0"]);
    },
    at,
  );
});

reading("without an IOMMU has a group that VFIO made up, and says so", () => {
  const { "dev/vfio/26": _, ...rest } = nvme;
  const made = { ...rest, "dev/vfio/noiommu-26": "" };
  device(made, ({ noIommu, group }) => assert.equal([noIommu, group], [true, 26]));
  device({ ...nvme, "sys/kernel/iommu_groups/26/name": "vfio-noiommu\n" }, ({ noIommu }) => assert.is(noIommu, true));
});

reading("that is not there is an error that names what looks like it", () => {
  withTree({ ...nvme, "sys/bus/pci/devices/0001:01:00.1/vendor": "0x1\n" }, (root) => {
    const error = failure("ERR_NO_DEVICE", () => pciDevice("0002:01:00.0", { root }));
    assert.equal(error.facts, { address: "0002:01:00.0", alike: [ADDRESS] });
    assert.match(error.message, ADDRESS);
    // It went away while it was read: there is nothing but its directory.
    failure("ERR_NO_DEVICE", () => pciDevice("0001:01:00.1", { root }));
    assert.equal(
      pciDevices({ root }).map(({ address }) => address),
      [ADDRESS],
    );
  });
});

reading("wants an address in full, in small letters or capitals", () => {
  withTree(nvme, (root) => {
    for (const wrong of [
      "01:00.0",
      "0000:01:00",
      "0000:01:00.8",
      "0000:01:20.0",
      "00000:01:00.0",
      `${ADDRESS}/..`,
      "",
    ]) {
      refused("ERR_OUT_OF_RANGE", () => pciDevice(wrong, { root }));
    }
    refused("ERR_INVALID_ARG_TYPE", () => pciDevice(undefined as never, { root }));
    refused("ERR_INVALID_ARG_TYPE", () => pciDevice(ADDRESS, { rot: root } as never));
    refused("ERR_INVALID_ARG_TYPE", () => pciDevices({ root: 5 } as never));
    refused("ERR_INVALID_ARG_TYPE", () => pciDevices({ kernel: {} } as never));
  });
  const vmd = "10000:e1:00.0";
  const entries = {
    [`sys/bus/pci/devices/${vmd}/vendor`]: "0x1\n",
    [`sys/bus/pci/devices/${vmd}/device`]: "0x2\n",
    [`sys/bus/pci/devices/${vmd}/class`]: "0x0c0330\n",
  };
  device(
    entries,
    ({ address, className }) => assert.equal([address, className], [vmd, "USB controller (xHCI)"]),
    "10000:E1:00.0",
  );
});

reading("is none on a machine without PCI; a list that cannot be read is an error", () => {
  withTree({ "sys/.keep": "" }, (root) => assert.equal(pciDevices({ root }), []));
  withTree({ "sys/bus/pci/devices": "a file" }, (root) => {
    const error = failure("ERR_PCI_UNREADABLE", () => pciDevices({ root }));
    assert.equal([error.syscall, error.facts?.path], ["scandir", "/sys/bus/pci/devices"]);
  });
});

reading("of this machine can be read: nothing is opened, nothing changes", () => {
  for (const { address, problems, inUse } of pciDevices()) {
    assert.match(address, /^[0-9a-f:.]+$/);
    assert.ok([...problems, ...inUse].every((sentence) => sentence.length > 10));
  }
});

reading.run();

const problems = suite("why VFIO would refuse a device");

const unbound = without("driver");

/** The sentences of a device, as one text. */
function said(entries: Record<string, Entry>): string {
  let text = "";
  device(entries, (found) => {
    text = found.problems.join("\n");
  });
  return text;
}

problems("it has no driver, or its own", () => {
  assert.match(said(unbound), `${ADDRESS} has no driver: bind it to vfio-pci`);
  const own = said({ ...unbound, [`${HOME}/driver`]: { link: "../../../drivers/nvme" } });
  assert.match(own, `${ADDRESS} is with its driver nvme`);
  assert.is(own.split("\n").length, 1, "said once");
});

problems("vfio-pci is not loaded", () => {
  const { "sys/bus/pci/drivers/vfio-pci/unbind": _, ...rest } = unbound;
  assert.match(said({ ...rest, "sys/bus/pci/drivers/nvme/unbind": "" }), "modprobe vfio-pci");
});

problems("a neighbour is with another driver; bridges, stubs and idle ones are not in the way", () => {
  const group = "sys/kernel/iommu_groups/26/devices";
  const neighbour = (name: string, driver: string): Record<string, Entry> => ({
    [`${group}/${name}`]: { link: `../../../../bus/pci/devices/${name}` },
    [`sys/bus/pci/devices/${name}/driver`]: { link: `../../../drivers/${driver}` },
  });
  const friends = { ...neighbour("0000:00:01.0", "pcieport"), ...neighbour("0000:01:00.2", "pci-stub") };
  assert.is(said({ ...nvme, ...friends }), "");
  const text = said({ ...nvme, ...friends, ...neighbour("0000:01:00.1", "snd_hda_intel") });
  assert.match(text, "0000:01:00.1 belongs to group 26 too and is in use by snd_hda_intel");
  assert.is(text.split("\n").length, 1);
  const both = said({
    ...nvme,
    ...neighbour("0000:01:00.1", "snd_hda_intel"),
    [`${HOME}/driver`]: { link: "../../../drivers/nvme" },
  } as never);
  assert.match(both, /nvme.*\n.*snd_hda_intel/);
});

problems("its node is missing, as in a container", () => {
  const { "dev/vfio/26": _, ...rest } = nvme;
  assert.match(said(rest), "the node of group 26 is missing from /dev/vfio here");
});

const groupless = Object.fromEntries(Object.entries(unbound).filter(([path]) => !path.includes("iommu_group")));

for (const [cpu, line, expected] of [
  ["Intel's", "vendor_id\t: GenuineIntel\n", /VT-d.*add intel_iommu=on to the kernel's command line/],
  ["AMD's", "vendor_id\t: AuthenticAMD\n", /AMD-Vi.*command line needs nothing/],
  ["Arm's", "CPU implementer\t: 0x41\n", /SMMU/],
  ["POWER's", "cpu\t\t: POWER9, altivec supported\n", /vfio_iommu_spapr_tce/],
  ["somebody's", "hart\t: 0\n", /firmware's setup/],
] as const) {
  problems(`the IOMMU is off, on ${cpu} processor`, () => {
    assert.match(said({ ...groupless, "proc/cpuinfo": line }), expected);
  });
}

problems(
  "the IOMMU is off because the kernel was started so, or in a virtual machine, or leaves this device out",
  () => {
    const intel = { ...groupless, "proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor lm\n" };
    const off = said({ ...intel, "proc/cmdline": "root=/dev/sda1 intel_iommu=off quiet\n" });
    assert.match(off, "started with intel_iommu=off: take that away");
    assert.match(off, "its host is what has to give it an IOMMU");
    assert.not.match(said({ ...intel, "proc/cmdline": "intel_iommu=on\n" }), "add intel_iommu=on");
    assert.match(
      said({ ...groupless, "sys/kernel/iommu_groups/1/type": "DMA\n" }),
      "the machine's IOMMU does not cover it",
    );
  },
);

problems("without an IOMMU it is only not bound, where VFIO makes groups up", () => {
  const text = said({ ...groupless, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "Y\n" });
  assert.not.match(text, "IOMMU group");
  assert.match(text, "has no driver");
});

problems("it is a bridge, one that vfio-pci denies, or one whose memory firmware keeps", () => {
  assert.match(said({ ...nvme, [`${HOME}/class`]: "0x060400\n" }), "is a PCI bridge: VFIO takes what is behind it");
  const denied = { ...nvme, [`${HOME}/vendor`]: "0x8086\n", [`${HOME}/device`]: "0x37c8\n" };
  assert.match(said(denied), "disable_denylist=1");
  assert.is(said({ ...denied, "sys/module/vfio_pci/parameters/disable_denylist": "Y\n" }), "");
  const regions = "sys/kernel/iommu_groups/26/reserved_regions";
  assert.match(
    said({ ...nvme, [regions]: "0x0000000077800000 0x000000007f9fffff direct\n" }),
    "RMRR: 0x77800000-0x7f9fffff",
  );
  assert.is(said({ ...nvme, [regions]: "0x0000000077800000 0x000000007f9fffff direct-relaxable\n" }), "");
});

problems("it is a virtual function of a device that is with VFIO", () => {
  const physical = "0000:01:00.4";
  const entries = {
    ...nvme,
    [`${HOME}/physfn`]: { link: `../${physical}` },
    [`sys/bus/pci/devices/${physical}/driver`]: { link: "../../../drivers/vfio-pci" },
  };
  assert.match(said(entries), `${ADDRESS} is a virtual function of ${physical}, which is with VFIO itself`);
});

problems.run();
