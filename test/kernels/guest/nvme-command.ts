/** The command line of examples/nvme, as a person uses it: it reads what the host has made, and writes what the host finds. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { BLOCK_BYTES, BY_HOST, fillBlocks } from "../blocks.ts";
import { programs } from "../hardware/programs.ts";
import { disk, newBytes } from "./nvme-session.ts";
import { test } from "./say.ts";
import type { Site } from "./site.ts";

const READ_AT = 30_000;
const WRITE_AT = 31_000;
const BLOCKS = 300;

export function commandLine(site: Site): void {
  const run = (...args: readonly string[]) => {
    const all = [programs.nvme, ...args, "--kernel", "linux", "--device", site.nvme.name, "--json"];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: "utf8" });
    return { status, stderr, said: stdout.startsWith("{") ? (JSON.parse(stdout) as Record<string, unknown>) : {} };
  };
  test("the driver's command line reads the host's blocks, and exits with 0", () => {
    const { status, stderr, said } = run("read", "--lba", `${READ_AT}`, "--blocks", `${BLOCKS}`);
    assert.is(status, 0, stderr + JSON.stringify(said));
    const expected = new Uint8Array(BLOCKS * BLOCK_BYTES);
    fillBlocks(expected, READ_AT, BY_HOST, disk.seed);
    assert.is(said.sha256, createHash("sha256").update(expected).digest("hex"));
  });
  test("it writes blocks out of a file, and exits with 0", () => {
    writeFileSync("/tmp/blocks", newBytes(WRITE_AT, BLOCKS));
    const { status, stderr, said } = run(
      "write",
      "--i-know",
      "--lba",
      `${WRITE_AT}`,
      "--file",
      "/tmp/blocks",
      "--intx",
    );
    assert.is(status, 0, stderr + JSON.stringify(said));
  });
}
