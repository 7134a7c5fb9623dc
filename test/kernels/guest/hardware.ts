/**
 * The runner for machines that are somebody's, tried on this one: what it refuses, and how it is interrupted. That it passes is
 * shown where docs/testing.md's commands are run.
 */
import { spawn } from "node:child_process";
import { chownSync, statSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import * as assert from "uvu/assert";
import { openContainer } from "../../../src/index.ts";
import { programs } from "../hardware/programs.ts";
import { NOBODY } from "./machine.ts";
import { test } from "./say.ts";
import { Site } from "./site.ts";

/** Somebody's, to whom the node has to go back. */
const OWNER = { uid: 1234, gid: 2345 };

export async function hardware(): Promise<void> {
  const site = new Site();
  const [group, other] = [site.device(0).group, site.device(1).group];
  const node = `/dev/vfio/${group}`;
  chownSync(node, OWNER.uid, OWNER.gid);
  const before = ownership(node);
  const container = openContainer({ kernel: site.kernel, groups: [other] });
  const refused = await start(other, "dma").ended;
  test("the runner for hardware refuses a group that is in use, and says so", () => {
    assert.match(refused.errors, new RegExp(`/dev/vfio/${other} is in use`));
    assert.is(refused.status, 2);
  });
  const interrupted = await interruptedWhileLent(group, node);
  test("a runner that is interrupted while the node is lent gives it back, and leaves nothing that has the group", () => {
    assert.is(interrupted.status, 130, interrupted.errors);
    assert.equal(ownership(node), before);
    openContainer({ kernel: site.kernel, groups: [group] }).close();
  });
  container.close();
  chownSync(node, 0, 0);
  site.reportLeaks();
}

function ownership(node: string): unknown {
  const { uid, gid, mode } = statSync(node);
  return { uid, gid, mode };
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

function start(group: number, parts: string): { readonly interrupt: () => void; readonly ended: Promise<Ended> } {
  const env = { ...process.env, DMA_WINDOW_GROUP: String(group) };
  const child = spawn(process.execPath, [programs.hardware, "--json", "--parts", parts], { env });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output, errors }));
  });
  return { interrupt: () => child.kill("SIGTERM"), ended };
}

/** Interrupts the runner as soon as nobody has the node, or lets it come to its end. */
async function interruptedWhileLent(group: number, node: string): Promise<Ended> {
  const runner = start(group, "ends");
  let isOver = false;
  const ended = runner.ended.finally(() => {
    isOver = true;
  });
  while (!isOver && statSync(node).uid !== NOBODY) await setTimeout(20);
  runner.interrupt();
  return ended;
}
