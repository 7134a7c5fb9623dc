/** The documents on the x86 guest. Its controllers of NVMe are with Linux's own driver when a document begins, as a user's are. */

import { spawnSync } from "node:child_process";
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import type { GuestReport } from "../report.ts";
import { hardwareWithoutGroup, sysfsSteps } from "./documents-testing.ts";
import { isLoaded, loadVfio, unloadVfio, withDiskDriver } from "./modules.ts";
import { driverOf, giveToVfio, groupOf, HUGEPAGES, narrow, poolSize, release, type Scene } from "./scenes.ts";

/** A controller without a disk, behind a root port: the one of most documents. */
const ADDRESS = "0000:01:00.0";
const DISK = "0000:00:07.0";
const ROOT_PORT = "0000:00:09.0";
const [EDU, OTHER_EDU] = ["0000:00:05.0", "0000:00:06.0"];
/** The guide's user. */
export const USER = 1000;

/** VFIO is loaded, or has yet to be; `given` are with it. */
function stage({ loaded, given = [] }: { readonly loaded: boolean; readonly given?: readonly string[] }): () => void {
  unloadVfio();
  for (const address of [ADDRESS, DISK, EDU, OTHER_EDU]) release(address);
  const giveBack = withDiskDriver();
  if (loaded) loadVfio();
  for (const address of given) giveToVfio(address);
  return () => {
    giveBack();
    unloadVfio();
    loadVfio();
  };
}

const isBound = () => assert.is(driverOf(ADDRESS), "vfio-pci");
const isBack = () => assert.is(driverOf(ADDRESS), "nvme");

const loadsType1 = () =>
  assert.equal(
    ["vfio", "vfio-pci", "vfio_iommu_type1"].filter((module) => !isLoaded(module)),
    [],
  );

const guide: Scene = {
  document: "docs/guide.md",
  begin: () => {
    const end = stage({ loaded: false });
    const pool = poolSize();
    return () => {
      writeFileSync(HUGEPAGES, String(pool));
      end();
    };
  },
  names: () => ({ 26: groupOf(ADDRESS) }),
  steps: {
    // What it says when all is done is asked for below.
    "dma-window doctor": { codes: [0, 1], holds: ({ stdout }) => assert.match(stdout, /^ +type1 +(?:ready|not yet)/m) },
    "ls /sys/kernel/iommu_groups": {
      holds: ({ stdout }) => {
        const seen = stdout.split(/\s+/).filter((word) => word !== "");
        assert.ok(seen.includes(groupOf(ADDRESS)), stdout);
        assert.equal(seen.sort(), readdirSync("/sys/kernel/iommu_groups").sort());
      },
    },
    "modprobe vfio-pci": { holds: loadsType1 },
    "dma-window devices": {
      holds: ({ stdout }) =>
        assert.match(stdout, new RegExp(`^ +${ADDRESS} .* 1b36:0010 .*group ${groupOf(ADDRESS)} +nvme$`, "m")),
    },
    [`dma-window devices ${ADDRESS}`]: {
      holds: ({ stdout }) => {
        assert.match(stdout, ADDRESS);
        assert.match(stdout, new RegExp(`\\b${groupOf(ADDRESS)}\\b`));
      },
    },
    [`dma-window bind ${ADDRESS}`]: {
      holds: ({ stdout }) => {
        assert.match(stdout, /is with vfio-pci; nvme had it/);
        assert.match(stdout, new RegExp(`^ +group +${groupOf(ADDRESS)}\\b`, "m"));
        isBound();
      },
    },
    "chown user /dev/vfio/26": { holds: () => assert.is(statSync(`/dev/vfio/${groupOf(ADDRESS)}`).uid, USER) },
    "dma-window plan --kernel linux --group 26": {
      holds: ({ stdout }) => assert.match(stdout, /^ +kernel +this machine's VFIO\n(?:.*\n)* +IOVAs +\d+ MiB at 0x/),
    },
    [`echo 512 > ${HUGEPAGES}`]: { holds: () => assert.ok(poolSize() > 48, String(poolSize())) },
    [`node examples/first-register.mjs linux ${ADDRESS}`]: {
      holds: ({ stdout }) => {
        assert.match(
          stdout,
          /^a device finds 4096 bytes at IOVA 0x[0-9a-f]+\nthe first register of bar 0 is 0x[0-9a-f]+\n$/,
        );
        const doctor = spawnSync("dma-window", ["doctor"], { encoding: "utf8" });
        assert.is(doctor.status, 0, "with all of the guide's steps the doctor says that this machine is ready");
        assert.match(doctor.stdout, /^ +type1 +ready$/m);
      },
    },
    [`dma-window unbind ${ADDRESS}`]: { holds: isBack },
  },
};

const drivers: Scene = {
  document: "docs/drivers.md",
  begin: () => stage({ loaded: false }),
  steps: {
    "modprobe vfio-pci": { holds: loadsType1 },
    [`dma-window bind ${ADDRESS}`]: { holds: isBound },
  },
};

const readme: Scene = {
  document: "README.md",
  begin: () => stage({ loaded: true, given: [ADDRESS] }),
  names: () => ({ 12: groupOf(ADDRESS) }),
  steps: {
    "dma-window run --kernel linux --group 12 --steps 50": {
      holds: ({ stdout }) => {
        assert.match(stdout, /^ +kernel +this machine's VFIO$/m);
        assert.match(stdout, /^ +storm +50 steps \(seed 1\): \d+ allocations, \d+ frees, 0 failures$/m);
        assert.match(stdout, /^ +live pages interrupted +0 +0$/m);
        assert.match(stdout, /^ +Nothing was left behind\.$/m);
      },
    },
  },
};

const nvme: Scene = {
  document: "examples/nvme/README.md",
  begin: () => stage({ loaded: true }),
  steps: {
    [`node examples/nvme/main.mjs info --kernel linux --device ${ADDRESS}`]: {
      // It goes back to the driver that it had.
      holds: isBack,
    },
  },
};

/** The document's machine is a laptop whose first disk holds all that it has; here a program has it open. */
const using: Scene = {
  document: "docs/using.md",
  begin: () => {
    const end = stage({ loaded: true });
    const file = openSync(`/dev/${diskName()}`, "r");
    return () => {
      closeSync(file);
      end();
    };
  },
  names: () => ({
    "0000:00:1d.0": ROOT_PORT,
    "0000:01:00.0": DISK,
    "0000:02:00.0": ADDRESS,
    "8086:a330": "1b36:000c",
    "144d:a808": "1b36:0010",
    "144d:a80a": "1b36:0010",
    9: groupOf(ROOT_PORT),
    10: groupOf(DISK),
    11: groupOf(ADDRESS),
    "/dev/nvme0n1p1 is mounted at /": `process ${process.pid} (node) has /dev/${diskName()} open`,
  }),
  steps: {
    "dma-window devices": {
      isCompared: true,
      // Of what the laptop has, the network card is not driven here.
      holds: ({ stdout, shown = "" }) => {
        const records = narrow(shown).match(/^ {2}0000:.*\n(?: {4}.*\n)*/gm) ?? [];
        const here = records.filter((record) => !record.includes("Ethernet"));
        assert.is(here.length, 3, shown);
        for (const record of here) assert.ok(narrow(stdout).includes(record), `${record} in\n${stdout}`);
      },
    },
    "dma-window bind 0000:01:00.0": { codes: [1], holds: () => assert.is(driverOf(DISK), "nvme") },
    "dma-window bind 0000:02:00.0": { holds: isBound },
    "dma-window unbind 0000:02:00.0": { holds: isBack },
  },
};

/** The block device of the disk: of each controller's numbers the driver gives the first that is free. */
function diskName(): string {
  const controllers = `/sys/bus/pci/devices/${DISK}/nvme`;
  for (let attempts = 300; attempts > 0; attempts--) {
    const controller = existsSync(controllers) ? readdirSync(controllers)[0] : undefined;
    const found = controller && readdirSync("/sys/block").find((name) => name.startsWith(`${controller}n`));
    if (found && existsSync(`/dev/${found}`)) return found;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  throw new Error("Linux shows no disk");
}

const HOST = ["", "/sys", "/proc", "/dev"];

const doctor: Scene = {
  document: "docs/doctor.md",
  begin: () => {
    const end = stage({ loaded: true, given: [EDU] });
    mkdirSync("/host", { recursive: true });
    for (const part of HOST) assert.is(spawnSync("mount", ["-o", "bind", part || "/", `/host${part}`]).status, 0);
    return () => {
      for (const part of [...HOST].reverse()) spawnSync("umount", [`/host${part}`]);
      end();
    };
  },
  steps: {
    "dma-window doctor --root /host": {
      holds: ({ stdout }) => {
        assert.match(stdout, /^ +type1 +ready$/m);
        assert.match(stdout, /IOMMU +in use, \d+ groups/);
      },
    },
  },
};

const testing: Scene = {
  document: "docs/testing.md",
  begin: () => stage({ loaded: true, given: [EDU, OTHER_EDU] }),
  names: () => ({ 26: groupOf(EDU), "0001:01:00.0": ADDRESS }),
  steps: {
    ...hardwareWithoutGroup,
    "DMA_WINDOW_GROUP=26 npm run test:hardware -- --parts dma,ends --json": {
      // The other group is in use: nothing but the one that was named is touched.
      before: () => {
        const node = openSync(`/dev/vfio/${groupOf(OTHER_EDU)}`, "r+");
        chownSync(`/dev/vfio/${groupOf(EDU)}`, USER, USER);
        return () => closeSync(node);
      },
      holds: ({ stdout }) => {
        assert.is(statSync(`/dev/vfio/${groupOf(EDU)}`).uid, USER, "the node is whose it was");
        const { guests } = JSON.parse(stdout) as { guests: readonly GuestReport[] };
        const [report] = guests;
        assert.equal(report?.failures, []);
        assert.ok((report?.tests.passed ?? 0) > 20, `${report?.tests.passed} tests`);
        assert.ok((report?.dma.transfers ?? 0) > 20, `${report?.dma.transfers} transfers`);
        assert.is(report?.dma.wrongBytes, 0);
      },
    },
    ...sysfsSteps({ address: () => ADDRESS, own: "nvme" }),
    "echo 0001:01:00.0 > /sys/bus/pci/devices/0001:01:00.0/driver/unbind": {
      before: () => {
        assert.is(driverOf(ADDRESS), "nvme", "a driver of the kernel's has it");
        return () => {};
      },
      holds: () => assert.is(driverOf(ADDRESS), undefined),
    },
  },
};

const harness: Scene = {
  document: "test/kernels/README.md",
  begin: () => () => {},
  steps: hardwareWithoutGroup,
};

export const scenesOfX86: readonly Scene[] = [readme, nvme, doctor, drivers, guide, harness, testing, using];
