/** The doctor's readers one by one: what is found in which file. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { doctor } from "../../src/doctor/doctor.ts";
import { mayOpen } from "../../src/doctor/process.ts";
import { quirksOf } from "../../src/doctor/quirks.ts";
import { linuxVersionIn } from "../../src/linux-version.ts";
import { rulesOf } from "../../src/model/linux-rules.ts";
import { machineFiles } from "../../src/system/machine-files.ts";
import { pageSizeInText } from "../../src/system/page-size.ts";
import { described } from "./described.ts";
import { another, CPU, type Files, linux, modules, pools, process, READY, withMachine, without } from "./machines.ts";

const factsOf = (files: Files) => {
  let facts: ReturnType<typeof doctor>["facts"] | undefined;
  withMachine({ files }, (root) => {
    facts = doctor({ root }).facts;
  });
  if (facts === undefined) throw new Error("no facts");
  return facts;
};

const reading = suite("the doctor reads");

reading("which Linux, processor and page size, wherever a machine says it", () => {
  const kernel = (files: Files) => factsOf({ ...without(READY, "proc/4000/auxv"), ...files }).kernel;
  assert.is(kernel({}).version, "6.12.107");
  // Debian's older kernels count their interfaces in the release.
  assert.is(kernel(linux("6.1.0-40-amd64", "#1 SMP Debian 6.1.153-1 (2025-09-20)")).version, "6.1.153");
  assert.is(kernel(linux("6.12.1+deb13-powerpc64le-64k")).pageSize, 65536);
  assert.is(kernel(linux("5.14.0-503.el9.aarch64+64k")).pageSize, 65536);
  assert.is(kernel({ "boot/config-6.12.107+deb13-amd64": "CONFIG_ARM64_16K_PAGES=y\n" }).pageSize, 16384);
  assert.is(kernel({}).pageSize, undefined);
  for (const page of [4096, 16384, 65536]) assert.is(factsOf({ ...READY, ...process({ page }) }).kernel.pageSize, page);
  assert.is(kernel({ "proc/cpuinfo": CPU.powernv }).platform, "powernv");
  assert.is(kernel({ "proc/cpuinfo": CPU.lpar }).platform, "pseries");
  const power = "processor\t: 0\ncpu\t\t: POWER10\n";
  assert.is(kernel({ "proc/cpuinfo": power, "proc/device-tree/ibm,opal/name": "opal" }).platform, "powernv");
  assert.is(kernel({ "proc/cpuinfo": power, "proc/ppc64/lparcfg": "lparcfg 1.9\n" }).platform, "pseries");
  assert.is(
    kernel({ "proc/cpuinfo": power, "proc/device-tree/compatible": "ibm,p9\0ibm,powernv\0" }).platform,
    "powernv",
  );
  assert.is(kernel({ "proc/cpuinfo": power, "proc/device-tree/device_type": "chrp\0" }).platform, "pseries");
  assert.is(kernel({ "proc/4000/smaps": "Size: 64 kB\nKernelPageSize:       64 kB\n" }).pageSize, 65536);
  assert.is(kernel({ "proc/cpuinfo": "" }).architecture, "x86"); // by VT-d
  assert.equal(
    kernel({ "proc/cmdline": "quiet iommu=pt root=/dev/sda vfio-pci.ids=1b36:0010 secret=x\n" }).commandLine,
    ["iommu=pt", "vfio-pci.ids=1b36:0010"],
  );
});

reading("a page size only where an auxiliary vector has one", () => {
  const entry = (value: string) => `\x21${"\0".repeat(15)}\x06${"\0".repeat(7)}${value}`;
  assert.is(pageSizeInText(entry(`\0\x10${"\0".repeat(6)}`)), 4096);
  assert.is(pageSizeInText(entry(`\0\0\x01${"\0".repeat(5)}`)), 65536);
  assert.is(pageSizeInText(entry(`\0\x20${"\0".repeat(6)}`)), undefined);
  assert.is(pageSizeInText(entry("\0".repeat(8))), undefined);
  assert.is(pageSizeInText(""), undefined);
});

reading("what runs here, and who it is", () => {
  const { kernel, process: own, shim } = doctor().facts;
  assert.ok(kernel.release);
  assert.is(kernel.pageSize, 4096);
  assert.is(own.uid, globalThis.process.geteuid?.());
  assert.ok(own.memlock.used !== undefined);
  assert.ok(shim !== undefined);
});

reading("modules that are loaded, built in, or missing, and those that others prove", () => {
  const states = (files: Files) =>
    factsOf({ ...without(READY, "sys/module", "sys/bus/pci/drivers"), ...files }).vfio.modules.map(
      ({ state }) => state,
    );
  const some = modules({ vfio_pci: {}, vfio_iommu_type1: {} });
  assert.equal(states(some), ["loaded", "loaded", "loaded", "missing"]); // vfio by the others
  assert.equal(states({ "sys/module/vfio_iommu_type1/parameters/dma_entry_limit": "65535\n" }).at(2), "built in");
  assert.equal(states({}), ["loaded", undefined, undefined, undefined]); // by the group's node
});

reading("hugepages by size and NUMA node, and by what a cgroup allows", () => {
  const node = (id: number, total: number, free: number) =>
    Object.fromEntries(
      Object.entries(pools([2048, total, free])).map(([path, text]) => [
        path.replace("sys/kernel/mm/", `sys/devices/system/node/node${id}/`),
        text,
      ]),
    );
  const { memory } = factsOf({
    ...READY,
    ...node(0, 512, 12),
    ...node(1, 512, 500),
    "sys/devices/system/node/online": "0-1\n",
  });
  assert.equal(memory.hugepages?.[0]?.nodes, [
    { node: 0, total: 512, free: 12 },
    { node: 1, total: 512, free: 500 },
  ]);
  assert.equal(
    memory.hugepages?.map(({ pageSize, total, free }) => [pageSize, total, free]),
    [
      [2n << 20n, 1024, 1024],
      [1n << 30n, 0, 0],
    ],
  );
});

reading("who has memory locked, those with most first, and no more than eight", () => {
  const many = Array.from({ length: 12 }, (_, i) => another(100 + i, `p${i}`, [], (i + 1) << 10));
  const { lockers } = factsOf({ ...READY, ...Object.assign({}, ...many) }).process;
  assert.is(lockers.length, 8);
  assert.equal([lockers[0]?.name, lockers[0]?.locked, lockers[7]?.name], ["p11", 12n << 20n, "p4"]);
});

reading("a container by each of its signs, and none where there is none", () => {
  const kind = (files: Files) => factsOf({ ...READY, ...files }).container?.kind;
  assert.is(kind({}), undefined);
  assert.is(kind({ ".dockerenv": "" }), "docker");
  assert.is(kind({ "run/.containerenv": 'engine="podman"\n' }), "podman");
  assert.is(kind({ "run/systemd/container": "systemd-nspawn\n" }), "systemd-nspawn");
  assert.is(kind({ ...process({ cgroup: "0::/kubepods.slice/pod1\n" }) }), "kubernetes");
  const overlay = { mounts: "1 0 0:5 / / rw - overlay overlay rw\n" };
  assert.is(kind(process({ ...overlay, pidNamespace: "pid:[4026532999]" })), "container");
  assert.is(kind(process(overlay)), undefined); // a live system
});

reading("who may open a node: the first class that fits decides", () => {
  const none = {
    CAP_IPC_LOCK: false,
    CAP_SYS_ADMIN: false,
    CAP_SYS_RAWIO: false,
    CAP_DAC_OVERRIDE: false,
    CAP_SYS_NICE: false,
  };
  const user = { uid: 7, gids: [8, 9], capabilities: none };
  for (const [mode, uid, gid, expected] of [
    [0o600, 0, 0, false],
    [0o600, 7, 0, true],
    [0o066, 7, 8, false],
    [0o660, 0, 9, true],
    [0o606, 0, 9, false],
    [0o666, 0, 0, true],
    [0o640, 0, 9, false],
  ] as const) {
    assert.is(mayOpen(user, { mode, uid, gid }), expected, `${mode.toString(8)} ${uid}:${gid}`);
  }
  assert.is(mayOpen({ ...user, capabilities: { ...none, CAP_DAC_OVERRIDE: true } }, { mode: 0, uid: 0, gid: 0 }), true);
  assert.is(mayOpen({ ...user, uid: undefined }, { mode: 0o600, uid: 0, gid: 0 }), undefined);
});

reading("what stands at a path, and what a device's numbers are", () => {
  const { stat } = machineFiles;
  assert.equal(stat?.("/dev/null"), { kind: "device", mode: 0o666, uid: 0, gid: 0, size: 0, device: [1, 3] });
  const proc = stat?.("/proc");
  assert.is(typeof proc === "object" && proc.kind, "directory");
  assert.is(stat?.("/nowhere/at/all"), -2);
});

reading("no advice lowers a guard without its risk, on any described machine", () => {
  const lowers =
    /allow_unsafe_interrupts|enable_unsafe_noiommu_mode|pcie_acs_override|LimitMEMLOCK|dma_entry_limit|raise /;
  const never = /chmod 666|a\+rw|0666|unlimited|memlock=-1|--privileged|seccomp=unconfined|sudo/;
  const seen = new Set<string>();
  for (const { name, ...machine } of described) {
    withMachine(machine, (root) => {
      for (const { fix } of doctor({ root }).ways.flatMap(({ problems }) => problems)) {
        assert.not.match(fix, never, `${name}: ${fix}`);
        const [lowered] = lowers.exec(fix.replace(/echo N > \S+/, "")) ?? [];
        if (lowered === undefined) continue;
        seen.add(lowered);
        assert.match(fix, /reach|attack|destroys|keeps/, `${name}: ${fix}`);
      }
    });
  }
  assert.is(seen.size, 6, [...seen].join(", "));
});

reading.run();

const quirks = suite("the quirks of a kernel");

/** What the software kernel knows of the same changes: the doctor's table is not made from it. */
const SHARED = {
  "unmap-past-the-end": ["pseries", "checksWholeUnmap", false],
  shifts: ["pseries", "checksShifts", false],
  "no-ranges": ["x86", "hasRanges", false],
  "no-maps-available": ["x86", "saysMapsAvailable", false],
  overflow: ["x86", "saysOverflow", true],
  "write-only": ["x86", "keepsWriteOnly", false],
  "busy-at-set-container": ["x86", "claimsDma", true],
  "zero-page": ["x86", "unsharesBeforePin", false],
  "fixed-msix": ["x86", "growsMsix", false],
  "split-eight-bytes": ["x86", "movesEightBytes", false],
  "no-low-power": ["x86", "hasLowPower", false],
  "no-reset-methods": ["x86", "saysResetMethods", false],
} as const;

const VERSIONS = [
  ...[
    "4.9.320",
    "5.3",
    "5.4",
    "5.9",
    "5.10.200",
    "5.14",
    "5.15",
    "5.18",
    "5.19",
    "6.0",
    "6.1.153",
    "6.2",
    "6.4",
    "6.5",
  ],
  ...[
    "6.10",
    "6.11",
    "6.12.107",
    "6.12.113",
    "6.13",
    "6.14",
    "6.15",
    "6.16",
    "6.17.13",
    "6.18.15",
    "7.1",
    "7.2.7",
    "7.2.8",
    "7.3",
  ],
];

quirks("change with the releases that the software kernel changes with", () => {
  for (const text of VERSIONS) {
    const version = linuxVersionIn(text);
    assert.ok(version, text);
    const rules = rulesOf(version);
    for (const [id, [where, rule, whenItHolds]] of Object.entries(SHARED)) {
      const isThere = quirksOf(version, where).some((quirk) => quirk.id === id);
      assert.is(isThere, rules[rule] === whenItHolds, `${id} in Linux ${text}`);
    }
  }
});

quirks("are those of the architecture, each with its source", () => {
  const version = linuxVersionIn("4.0");
  assert.ok(version);
  for (const where of ["x86", "arm64", "power", "powernv", "pseries", undefined] as const) {
    const found = quirksOf(version, where);
    assert.ok(found.length > 3, where);
    for (const { source, says } of found) {
      assert.match(source, /^[\w/-]+\.c: \w+/);
      assert.ok(says.length > 20 && !says.endsWith("."));
    }
    assert.is(
      found.some(({ blocks }) => blocks),
      where === "power" || where === "powernv" || where === "pseries",
    );
  }
});

quirks.run();
