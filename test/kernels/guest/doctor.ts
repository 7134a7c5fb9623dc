/** The doctor on a real machine: what it calls ready opens, what it calls closed does not, and its facts are the kernel's. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { release } from "node:os";
import * as assert from "uvu/assert";
import { pageOf } from "../../../src/cli/doctor-page.ts";
import { type Diagnosis, type DoctorWay, doctor, openContainer } from "../../../src/index.ts";
import { lend, NOBODY } from "./machine.ts";
import { report, say, test } from "./say.ts";
import { KiB, Site } from "./site.ts";

/** RLIMIT_MEMLOCK of the program without rights. */
const LIMIT = 64n * KiB;

export async function doctorPart(): Promise<void> {
  const site = new Site();
  const own = site.isSpapr ? "spapr" : "type1";
  const found = doctor();
  for (const line of pageOf(found)) say(line);
  checkReady(site, found, own);
  checkFacts(site, found);
  await checkHeld(site, own);
  checkHumble(site, own);
  site.reportLeaks();
}

function wayOf({ ways }: Pick<Diagnosis, "ways">, name: string): DoctorWay {
  const way = ways.find((one) => one.way === name);
  if (way === undefined) throw new Error(`no way ${name}`);
  return way;
}

const blockers = ({ problems }: DoctorWay) => problems.filter(({ blocks }) => blocks).map(({ what }) => what);

function checkReady(site: Site, found: Diagnosis, own: "spapr" | "type1"): void {
  test(`the doctor finds this machine ready for ${own}, and for no other IOMMU`, () => {
    assert.equal(blockers(wayOf(found, own)), []);
    assert.is(found.ready, true);
    const verdicts = found.ways.map(({ way, verdict }) => [way, verdict]);
    const other = own === "spapr" ? "type1" : "spapr";
    assert.equal(Object.fromEntries(verdicts), { [own]: "now", [other]: "never", noiommu: "never", model: "now" });
  });
  test("every group that the doctor calls ready opens", () => {
    for (const { group } of site.devices) openContainer({ kernel: site.kernel, groups: [group] }).close();
  });
}

const ARCHITECTURES = { x86: "x86", arm: "arm64", pseries: "power", powernv: "power" } as const;

function checkFacts(site: Site, { facts }: Diagnosis): void {
  const { kernel, iommu, vfio, pci, memory, process: rights, shim } = facts;
  test("the doctor's facts about the kernel are the kernel's", () => {
    assert.is(kernel.release, release());
    assert.ok(release().startsWith(kernel.version ?? "?"), `${kernel.version} of ${release()}`);
    assert.is(kernel.pageSize, site.kernel.pageSize);
    const { machine } = site.machine;
    assert.is(kernel.platform, site.isSpapr ? machine : undefined);
    assert.is(kernel.architecture, ARCHITECTURES[machine]);
    assert.equal(
      kernel.quirks.filter(({ blocks }) => blocks),
      [],
    );
  });
  test("the doctor sees the modules, the nodes and the shim", () => {
    const iommuModule = site.isSpapr ? "vfio_iommu_spapr_tce" : "vfio_iommu_type1";
    const states = new Map(vfio.modules.map(({ name, state }) => [name, state]));
    assert.equal(
      ["vfio", "vfio_pci", iommuModule].map((name) => states.get(name as "vfio")),
      ["loaded", "loaded", "loaded"],
    );
    assert.is(vfio.container?.kind, "device");
    assert.is(vfio.container?.mayOpen, true);
    assert.is(shim?.loads, true);
  });
  test("the doctor sees each group with its devices, and none that is not viable among them", () => {
    assert.is(iommu.state, "on");
    for (const { name, group } of site.devices) {
      const seen = pci.groups.find(({ id }) => id === group);
      assert.equal([seen?.isBound, seen?.isViable, seen?.node?.path], [true, true, `/dev/vfio/${group}`]);
      assert.ok(
        seen?.devices.some(({ address, isVfio }) => address === name && isVfio),
        name,
      );
    }
  });
  test("the doctor knows the width of VT-d, as the machine was given it, and that it remaps interrupts", () => {
    if (site.machine.machine !== "x86") return;
    assert.equal([iommu.addressBits, iommu.remapsInterrupts], [48, true]);
  });
  test("the doctor sees the hugepages that the machine was started with, and where RAM ends", () => {
    for (const [shift, count] of site.machine.hugepages) {
      assert.is(memory.hugepages?.find(({ pageSize }) => pageSize === 1n << BigInt(shift))?.total, count);
    }
    assert.equal([memory.iomem, memory.pagemap, rights.uid], ["shown", "shown", 0]);
    assert.ok((memory.highestRam ?? 0n) > 1n << 28n, String(memory.highestRam));
  });
}

/** Somebody opens the group's node, and keeps it. */
async function checkHeld(site: Site, own: string): Promise<void> {
  const { group } = site.device();
  const node = `/dev/vfio/${group}`;
  const holder = spawn("/bin/sh", ["-c", `exec 3<>${node}; echo held; read line`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const held = wayOf(doctor(), own);
  test("the doctor names the process that holds a group, which does not open then", () => {
    const words = held.problems.find(({ what }) => what.startsWith(`group ${group} is held`));
    assert.match(words?.what ?? "", new RegExp(`process ${holder.pid} \\(.*\\) has ${node} open`));
    assert.throws(() => openContainer({ kernel: site.kernel, groups: [group] }), /EBUSY/);
  });
  test("another group is ready meanwhile, so that the way is", () => assert.is(held.ready, true));
  holder.stdin.end();
  await once(holder, "exit");
  test("the doctor finds it free again", () => assert.equal(blockers(wayOf(doctor(), own)), []));
}

/** As the user nobody, under a limit, without and with the node of one group. */
function checkHumble(site: Site, own: string): void {
  const { group } = site.device();
  const node = `/dev/vfio/${group}`;
  const refused = asNobody();
  test("the doctor tells a user without rights what is closed: the nodes by their mode, memory by its limit", () => {
    const told = blockers(wayOf(refused, own)).join("\n");
    assert.match(told, new RegExp(`user ${NOBODY} may not open ${node} \\(mode 0600, owner 0:0\\)`));
    assert.match(told, /lets this process lock 64 KiB.*: not one page of/);
    assert.is(refused.ready, false);
    assert.is(refused.facts.memory.iomem, "hidden");
    assert.is(refused.facts.memory.pagemap, "hidden");
    assert.ok(refused.facts.pci.hiddenProcesses > 0, "processes that show it nothing");
  });
  const giveBack = lend(node);
  const lent = asNobody();
  giveBack();
  test("with the node lent the doctor says that this one may be opened, and what else is closed", () => {
    const told = blockers(wayOf(lent, own)).join("\n");
    assert.not.match(told, `may not open ${node} `);
    assert.match(told, /lets this process lock 64 KiB/);
    assert.is(lent.facts.pci.groups.find(({ id }) => id === group)?.node?.mayOpen, true);
  });
}

function asNobody(): Diagnosis {
  const limited = [
    "-c",
    `ulimit -l ${LIMIT / KiB}; exec "$@"`,
    "sh",
    process.execPath,
    process.argv[1] ?? "",
    "doctor-humble",
  ];
  const { stdout, stderr } = spawnSync("/bin/sh", limited, { uid: NOBODY, gid: NOBODY, encoding: "utf8" });
  try {
    return JSON.parse(stdout) as Diagnosis;
  } catch (error) {
    report({
      kind: "test",
      name: "the doctor runs without rights",
      ok: false,
      message: `${error}: ${stderr.slice(-500)}`,
    });
    throw error;
  }
}

/** A child of the part: its diagnosis as JSON. */
export function doctorHumble(): void {
  process.stdout.write(JSON.stringify(doctor(), (_key, value) => (typeof value === "bigint" ? String(value) : value)));
}
