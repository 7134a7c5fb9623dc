/** Ends that nobody planned: a driver that is killed at work, and a device that is taken away from one. */
import { spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import * as assert from "uvu/assert";
import { bindNvme } from "./machine.ts";
import { NvmeSession, withNvme } from "./nvme-session.ts";
import { say, testLater } from "./say.ts";
import { KiB, Site } from "./site.ts";

const AT_WORK = "32 reads are under way";
const program = process.argv[1] ?? "";
const PATIENCE_MS = 60_000;

export async function nvmeEnds(site: Site): Promise<void> {
  await testLater("after kill -9 with 32 reads under way, another driver starts as if nothing had been", async () => {
    await killChild("nvme-hold", AT_WORK);
    await freshStart(site);
  });
  await testLater("a worker that is ended while it listens to the controller ends nothing else", async () => {
    const child = spawn(process.execPath, [program, "nvme-worker"], { stdio: ["ignore", "inherit", "inherit"] });
    assert.is(await endOf(child), 0);
    await freshStart(site);
  });
  await testLater(
    "a device that is unbound while it is open: the driver is asked for it, closes it, and all of it ends well",
    () => takenAway(site),
  );
  await testLater("a controller that is unbound at work: what was under way brings its data before it is closed", () =>
    takenAwayAtWork(site),
  );
}

/** A session with data that arrives. */
async function freshStart(site: Site): Promise<void> {
  await withNvme(site, { completions: "msix" }, async (session) => {
    assert.is(await session.read(77, 200), 0, "wrong bytes");
    assert.ok(session.controller.interrupts > 0);
  });
}

/** A child's part: has reads under way for ever. */
export async function nvmeHold(): Promise<void> {
  const site = new Site();
  await withNvme(
    site,
    { completions: "msix", queues: 1, depth: 32, transferBytes: Number(64n * KiB) },
    async (session) => {
      let rounds = 0;
      const again = async (first: number): Promise<void> => {
        for (;;) {
          await session.read(first, 128);
          if (++rounds === 64) say(AT_WORK);
        }
      };
      await Promise.all(Array.from({ length: 32 }, (_, i) => again(128 * i)));
    },
  );
}

/** A child's part: a thread that listens is ended, and then this process ends as it should. */
export async function nvmeWorker(): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.url), { argv: ["nvme-listener"] });
  await new Promise<void>((resolve, reject) => {
    worker.on("message", () => resolve());
    worker.on("error", reject);
  });
  await worker.terminate();
}

/** A thread's part: opens the controller, listens, says so, and waits. */
export async function nvmeListener(): Promise<void> {
  const { parentPort } = await import("node:worker_threads");
  const { device } = new Site().openNvme();
  const [vector] = device.irqs.msix(1);
  vector?.on(() => {});
  parentPort?.postMessage("listening");
}

/** The kernel asks, and waits: whoever writes to `unbind` does too. */
async function takenAway(site: Site): Promise<void> {
  const { name } = site.nvme;
  const { container, device } = site.openNvme();
  const asked = new Promise<number>((resolve) => device.on("request", resolve));
  const unbinding = unbind(name);
  const unbound = endOf(unbinding);
  assert.ok((await within(asked)) >= 1, "the request was heard");
  assert.is(unbinding.exitCode, null, "whoever unbinds waits for the driver");
  device.close();
  assert.is(await within(unbound), 0);
  container.close();
  assert.equal(bindNvme(), site.nvme);
  await freshStart(site);
}

/** The driver goes on until it is asked for the controller. */
async function takenAwayAtWork(site: Site): Promise<void> {
  const session = await NvmeSession.open(site, { completions: "msix", queues: 1, depth: 32 });
  let isAsked = false;
  const asked = new Promise<void>((resolve) =>
    session.device.on("request", () => {
      isAsked = true;
      resolve();
    }),
  );
  const unbound = endOf(unbind(site.nvme.name));
  const goOn = async (first: number): Promise<number> => {
    let wrong = 0;
    do wrong += await session.read(first, 64);
    while (!isAsked);
    return wrong;
  };
  const reads = Array.from({ length: 32 }, (_, i) => goOn(64 * i));
  await within(asked);
  assert.equal(new Set(await Promise.all(reads)), new Set([0]), "wrong bytes");
  await session.close();
  assert.is(await within(unbound), 0);
  assert.equal(bindNvme(), site.nvme);
  await freshStart(site);
}

/** Somebody takes the device from its driver, and waits until it is closed. */
function unbind(name: string): ReturnType<typeof spawn> {
  const command = `echo ${name} > /sys/bus/pci/drivers/vfio-pci/unbind`;
  return spawn("/bin/sh", ["-c", command], { stdio: ["ignore", "inherit", "inherit"] });
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = pause(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new Error(`nothing came within ${PATIENCE_MS / 1000} s`);
  });
  return Promise.race([promise, late]);
}

function endOf(child: ReturnType<typeof spawn>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => resolve(status ?? signal));
  });
}

/** Starts a child's part, and kills it when it says that it is in the middle. */
async function killChild(part: string, word: string): Promise<void> {
  const child = spawn(process.execPath, [program, part], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    if (said.includes(word)) child.kill("SIGKILL");
  });
  const end = await endOf(child);
  if (end !== "SIGKILL") throw new Error(`the child ended before it could be killed (${end}): ${said}`);
}
