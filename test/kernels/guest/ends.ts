/** Programs that end as they should not, and programs without rights: what they leave behind, and what they are told. */
import { type StdioOptions, spawn, spawnSync } from "node:child_process";
import * as assert from "uvu/assert";
import { DmaWindowError, MemsegTable, openContainer, planWindow } from "../../../src/index.ts";
import { EDU_BUFFER } from "./edu.ts";
import { lend, NOBODY } from "./machine.ts";
import { say, test } from "./say.ts";
import { GiB, KiB, MiB, Site, windowFor } from "./site.ts";
import { Traffic } from "./traffic.ts";

const READY = "ready to be killed";

/** RLIMIT_MEMLOCK of the program without rights. */
const LIMIT = 4n * MiB;

/** What `hold` and `humble` are children of: neither knows of the other. */
export async function ends(): Promise<void> {
  const site = new Site();
  if (!site.hasEdu) say("no device here does DMA where it is told: these tests go without");
  const before = site.locked;
  await killChild();
  test("after kill -9 in the middle of a session, another program starts as if nothing had been", () => {
    freshStart(site);
    assert.is(site.locked, before, "VmLck");
  });
  test("after kill -9 all groups can be opened again", () => {
    const groups = site.devices.map(({ group }) => group);
    for (const group of groups) openContainer({ kernel: site.kernel, groups: [group] }).close();
  });
  const giveBack = lend(`/dev/vfio/${site.device().group}`);
  const limited = [
    "-c",
    `ulimit -l ${LIMIT / KiB}; exec "$@"`,
    "sh",
    process.execPath,
    process.argv[1] ?? "",
    "humble",
  ];
  const stdio: StdioOptions = ["ignore", "inherit", "inherit"];
  const humble = spawnSync("/bin/sh", limited, { uid: NOBODY, gid: NOBODY, stdio });
  giveBack();
  test("a program without rights ends well", () => assert.is(humble.status, 0));
  test("after it, a program with rights starts as if nothing had been", () => {
    freshStart(site);
    assert.is(site.locked, before, "VmLck");
  });
  site.reportLeaks();
}

/** Starts `hold`, and kills it when it says that it is in the middle. */
function killChild(): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [process.argv[1] ?? "", "hold"], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.includes(READY)) child.kill("SIGKILL");
    });
    child.on("error", reject);
    child.on("close", (_, signal) => {
      if (signal === "SIGKILL") resolve();
      else reject(new Error(`the child ended before it could be killed: ${said}`));
    });
  });
}

/** A child's part: everything that a session has, and a device at work where one can be; then waits for its end. */
export function hold(): void {
  const site = new Site();
  const container = site.open();
  const memory = new MemsegTable({ kernel: site.kernel });
  const list = memory.addList({ pageSize: site.page, maxBytes: 64n * MiB });
  const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 2n * GiB }));
  container.attach(memory);
  const segment = memory.allocate(list, 32);
  if (site.hasEdu) site.kernel.device(site.device()).startLoad(window.iovaOf(segment.va), EDU_BUFFER);
  say(READY);
  setInterval(() => {}, 1000);
}

/** A whole session, with bytes that arrive where a device can be told to move them. */
function freshStart(site: Site): void {
  const container = site.open();
  const device = site.hasEdu ? site.kernel.device(site.device()) : undefined;
  try {
    using window = windowFor(container, 2n * GiB, site.page);
    const va = site.memory(2n * site.page);
    const first = window.map({ va, length: 2n * site.page });
    const [from, to] = [0n, site.page].map((offset) => ({ va: va + offset, iova: first + offset }));
    if (from === undefined || to === undefined) throw new Error("two places");
    if (device !== undefined) assert.is(new Traffic(site.kernel, device, to).copy(from, to), 0, "wrong bytes");
    window.unmap({ iova: first, length: 2n * site.page });
    site.kernel.munmap(va, 2n * site.page);
  } finally {
    device?.close();
    container.close();
  }
}

/** A child's part: a program of another user, held to a small RLIMIT_MEMLOCK. */
export function humble(): void {
  const site = new Site();
  test("a program without rights knows its limit", () => {
    const { limit, privileged, used } = site.kernel.lockedMemory();
    assert.equal({ limit, privileged, used }, { limit: LIMIT, privileged: false, used: 0n });
  });
  const container = site.open();
  const memory = new MemsegTable({ kernel: site.kernel });
  const list = memory.addList({ pageSize: site.page, maxBytes: 64n * MiB });
  const info = container.info();
  if (site.isSpapr) {
    test("a window whose tables do not fit under RLIMIT_MEMLOCK is refused before the kernel is asked", () => {
      const error = thrownBy(() => planWindow({ memory, info, growTo: 1024n * GiB }));
      assert.is(error.code, "ERR_PLAN_IMPOSSIBLE");
      assert.match(error.message, /RLIMIT_MEMLOCK/);
      assert.is(site.locked, 0n);
    });
  }
  const plan = planWindow({ memory, info });
  const window = container.createWindow(plan);
  container.attach(memory);
  test("a window that fits is made, and charged as planned", () => assert.is(site.locked, plan.chargeBytes));
  test("memory beyond the limit is refused with the kernel's ENOMEM, explained, and nothing stays locked", () => {
    const small = memory.allocate(list, Number(MiB / site.page));
    const locked = site.locked;
    assert.is(locked, plan.chargeBytes + MiB);
    const error = thrownBy(() => memory.allocate(list, Number(LIMIT / site.page)));
    assert.is(error.code, "ERR_KERNEL");
    assert.is(error.errno, -12);
    assert.match(error.message, /RLIMIT_MEMLOCK/);
    assert.is(error.residue, undefined);
    assert.is(site.locked, locked);
    memory.free(small);
  });
  test("what is left of the limit can be used to the last page", () => {
    const rest = (LIMIT - site.locked) / site.page;
    const segment = memory.allocate(list, Number(rest));
    assert.is(site.locked, plan.chargeBytes + rest * site.page);
    assert.is(thrownBy(() => memory.allocate(list, 1)).errno, -12);
    memory.free(segment);
  });
  window.close();
  container.close();
  memory.close();
  test("at its end a program without rights has nothing locked", () => assert.is(site.locked, 0n));
  site.reportLeaks();
}

function thrownBy(run: () => unknown): DmaWindowError {
  try {
    run();
  } catch (error) {
    if (error instanceof DmaWindowError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
