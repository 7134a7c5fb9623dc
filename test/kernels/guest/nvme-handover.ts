/** The disk goes from Linux's own driver to ours and back, and each finds what the other has written. */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, readSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import * as assert from "uvu/assert";
import { bindToVfio, unbindFromVfio } from "../../../src/index.ts";
import { BLOCK_BYTES } from "../blocks.ts";
import { newBytes, withNvme, wrongIn } from "./nvme-session.ts";
import { say, testLater } from "./say.ts";
import type { Site } from "./site.ts";

const PATIENCE_MS = 30_000;
const LINUX_WRITES = 26_000;
const WE_WRITE = 27_000;
const BLOCKS = 300;

export async function handOver(site: Site): Promise<void> {
  const missing = loadDriver();
  if (missing !== undefined) {
    say(`no hand-over: ${missing}`);
    return;
  }
  const { name } = site.nvme;
  await testLater("a disk goes from Linux's nvme driver to ours and back: each sees the other's blocks", async () => {
    assert.is(unbindFromVfio(name), "nvme");
    await withBlockDevice(name, (file) => {
      compare(file, 100, "what the host made");
      writeSync(file, newBytes(LINUX_WRITES, BLOCKS), 0, BLOCKS * BLOCK_BYTES, LINUX_WRITES * BLOCK_BYTES);
      fsyncSync(file);
    });
    const binding = bindToVfio(name);
    assert.is(binding.previousDriver, "nvme");
    await withNvme(site, { completions: "msix" }, async (session) => {
      assert.is(await session.read(LINUX_WRITES - 10, BLOCKS + 20), 0, "wrong bytes in what Linux wrote");
      await session.write(WE_WRITE, BLOCKS);
      await session.disk.flush();
    });
    binding.restore();
    await withBlockDevice(name, (file) => {
      compare(file, LINUX_WRITES, "what Linux wrote");
      compare(file, WE_WRITE, "what we wrote");
    });
  });
  // As it was before, also where that went wrong.
  bindToVfio(name, { force: true });
}

/** Loads Linux's driver; says why where it cannot. */
function loadDriver(): string | undefined {
  const list = "/lib/modules/disk";
  const modules = existsSync(list) ? readFileSync(list, "utf8").split("\n").filter(Boolean) : [];
  if (!modules.includes("nvme")) return "this image has not Linux's driver for NVMe";
  for (const module of modules) {
    const { status, stderr } = spawnSync("insmod", [`/lib/modules/${module}.ko`], { encoding: "utf8" });
    if (status !== 0) return `${module} cannot be loaded: ${stderr.trim()}`;
  }
  return undefined;
}

/** The disk as Linux shows it, once it does. */
async function withBlockDevice(address: string, use: (file: number) => void): Promise<void> {
  const node = `/dev/${await blockDevice(address)}`;
  const file = openSync(node, "r+");
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}

async function blockDevice(address: string): Promise<string> {
  const controllers = `/sys/bus/pci/devices/${address}/nvme`;
  for (const began = Date.now(); Date.now() - began < PATIENCE_MS; await pause(50)) {
    const controller = existsSync(controllers) ? readdirSync(controllers)[0] : undefined;
    if (controller === undefined) continue;
    // With multipath the disk is a device of the subsystem's; its name is the same.
    const found = readdirSync("/sys/block").find((name) => name.startsWith(`${controller}n`));
    if (found !== undefined && existsSync(`/dev/${found}`)) return found;
  }
  throw new Error(`Linux shows no disk of ${address}`);
}

function compare(file: number, first: number, what: string): void {
  const bytes = new Uint8Array(BLOCKS * BLOCK_BYTES);
  assert.is(readSync(file, bytes, 0, bytes.length, first * BLOCK_BYTES), bytes.length);
  assert.is(wrongIn(bytes, first), 0, `wrong bytes in ${what}`);
}
