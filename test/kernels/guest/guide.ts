/**
 * The commands of docs/guide.md that need root, a device or an IOMMU, as they stand there, by a shell, in its order. The number of
 * the group is this machine's: the guide's device is 0000:01:00.0, and so is one here.
 */
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { basename } from "node:path";
import * as assert from "uvu/assert";
import { Door } from "./door.ts";
import { versionsHere } from "./machine.ts";
import { report, say, test } from "./say.ts";

const ADDRESS = "0000:01:00.0";
const HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
/** The guide's group. */
const GROUP = /\b26\b/;
const USER = 1000;

interface Printed {
  readonly stdout: string;
  readonly group: number;
}

/** What each prints, or leaves behind. */
const holds: Readonly<Record<string, (printed: Printed) => void>> = {
  // What it says when all is done is asked for below.
  "dma-window doctor": ({ stdout }) => assert.match(stdout, /^ +type1 +(?:ready|not yet)/m),
  "ls /sys/kernel/iommu_groups": ({ stdout, group }) => {
    assert.ok(stdout.split(/\s+/).includes(String(group)), stdout);
    assert.equal(
      stdout
        .split(/\s+/)
        .filter((word) => word !== "")
        .sort(),
      readdirSync("/sys/kernel/iommu_groups").sort(),
    );
  },
  "modprobe vfio-pci": () => assert.match(readFileSync("/proc/modules", "utf8"), /^vfio_pci /m),
  "dma-window devices": ({ stdout }) => assert.match(stdout, new RegExp(`^ +${ADDRESS} .* 1b36:0010 .*group `, "m")),
  [`dma-window devices ${ADDRESS}`]: ({ stdout, group }) => {
    assert.match(stdout, ADDRESS);
    assert.match(stdout, new RegExp(`\\b${group}\\b`));
  },
  [`dma-window bind ${ADDRESS}`]: ({ stdout, group }) => {
    assert.match(stdout, /(?:is|was) with vfio-pci/);
    assert.match(stdout, new RegExp(`^ +group +${group}\\b`, "m"));
    assert.is(basename(readlinkSync(`/sys/bus/pci/devices/${ADDRESS}/driver`)), "vfio-pci");
  },
  "chown user /dev/vfio/26": ({ group }) => assert.is(statSync(`/dev/vfio/${group}`).uid, USER),
  "dma-window plan --kernel linux --group 26": ({ stdout }) =>
    assert.match(stdout, /^ +kernel +this machine's VFIO\n(?:.*\n)* +IOVAs +\d+ MiB at 0x/),
  [`echo 512 > ${HUGEPAGES}`]: () => assert.ok(poolSize() > 48, String(poolSize())),
  [`node examples/first-register.mjs linux ${ADDRESS}`]: ({ stdout }) =>
    assert.match(
      stdout,
      /^a device finds 4096 bytes at IOVA 0x[0-9a-f]+\nthe first register of bar 0 is 0x[0-9a-f]+\n$/,
    ),
};

const poolSize = () => Number(readFileSync(HUGEPAGES, "utf8"));

/** What modprobe wants to know: where the modules lie, and that each may need those before it. vfio-pci is not loaded then, if it is free. */
function prepareModprobe(): void {
  const directory = `/lib/modules/${release()}`;
  mkdirSync(directory, { recursive: true });
  const order = readFileSync("/lib/modules/order", "utf8").split(/\s+/);
  const files = order.filter((name) => name !== "").map((name) => `/lib/modules/${name}.ko`);
  const lines = files.map((file, i) => `${file}: ${files.slice(0, i).reverse().join(" ")}\n`);
  writeFileSync(`${directory}/modules.dep`, lines.join(""));
  spawnSync("rmmod", ["vfio-pci"]);
}

export function guide(): void {
  report({ kind: "machine", ...versionsHere(), cpuPage: new Door().pageSize });
  prepareModprobe();
  const pool = poolSize();
  mkdirSync("/root/examples", { recursive: true });
  symlinkSync("/app/src/first-register.mjs", "/root/examples/first-register.mjs");
  writeFileSync("/bin/dma-window", '#!/bin/sh\nexec node /app/src/cli.mjs "$@"\n');
  chmodSync("/bin/dma-window", 0o755);
  appendFileSync("/etc/passwd", `user:x:${USER}:${USER}::/root:/bin/sh\n`);

  const commands = JSON.parse(readFileSync("/app/guide.json", "utf8")) as readonly string[];
  const group = Number(basename(readlinkSync(`/sys/bus/pci/devices/${ADDRESS}/iommu_group`)));
  for (const command of commands.filter((one) => one in holds)) {
    test(`docs/guide.md: ${command}`, () => {
      const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", command.replace(GROUP, String(group))], {
        cwd: "/root",
        encoding: "utf8",
      });
      say(`# ${command}\n${stdout}${stderr}`);
      assert.ok(status === 0 || command === "dma-window doctor", stderr);
      holds[command]?.({ stdout, group });
    });
  }
  test("at the end of docs/guide.md the doctor says that this machine is ready", () => {
    const { status, stdout } = spawnSync("dma-window", ["doctor"], { encoding: "utf8" });
    assert.is(status, 0);
    assert.match(stdout, /^ +type1 +ready$/m);
  });
  chownSync(`/dev/vfio/${group}`, 0, 0);
  writeFileSync(HUGEPAGES, String(pool));
  test("docs/guide.md has each of these commands", () =>
    assert.equal(
      Object.keys(holds).filter((one) => !commands.includes(one)),
      [],
    ));
}
