/** The conformance suite on this kernel: its own program, in a process of its own, because what some rows leave stays. */
import { spawn } from "node:child_process";
import { chmodSync } from "node:fs";
import { createInterface } from "node:readline";
import * as assert from "uvu/assert";
import type { Summary } from "../../conformance/run-on.ts";
import { report, say, test } from "./say.ts";
import { Site } from "./site.ts";

/** The kinds of machine that the rows know, by ours. A container of type1 may be of either version. */
const platforms = { pseries: ["pseries"], powernv: ["powernv"], x86: ["type1 v2", "type1 v1"] } as const;

/** Where the host has put the suite's program. */
const PROGRAM = "/app/src/conformance.mjs";

export async function conformance(): Promise<void> {
  const site = new Site();
  const nodes = site.devices.map(({ group }) => `/dev/vfio/${group}`);
  // Rows with a limit are run by a user without rights.
  for (const node of [...nodes, "/dev/vfio/vfio"]) chmodSync(node, 0o666);
  const machine = ["--groups", nodes.join(","), "--devices", site.devices.map(({ name }) => name).join(",")];
  for (const platform of platforms[site.machine.machine]) {
    const { summary, end } = await run(["--platform", platform, ...machine]);
    test(`the conformance suite for ${platform} comes to its end`, () => {
      assert.is(end, 0);
      assert.ok(summary !== undefined, "without a summary");
    });
    if (summary === undefined) continue;
    report({ kind: "conformance", rows: summary.rows, differences: summary.differences.length });
    test(`every row of ${platform} is answered as it says`, () => {
      assert.ok(summary.rows > 50, `${summary.rows} rows`);
      assert.equal(
        summary.differences.map(({ id }) => id),
        [],
      );
    });
  }
}

/** Runs the suite, and says what it says. Every limit may be set there: a user may only lower the hard one. */
function run(args: readonly string[]): Promise<{ summary: Summary | undefined; end: unknown }> {
  return new Promise((resolve, reject) => {
    const command = ["-c", 'ulimit -H -l unlimited; exec "$@"', "sh", process.execPath, PROGRAM, ...args];
    const child = spawn("/bin/sh", command, { stdio: ["ignore", "pipe", "inherit"] });
    let summary: Summary | undefined;
    createInterface(child.stdout).on("line", (line) => {
      if (line.startsWith("SUMMARY ")) summary = JSON.parse(line.slice("SUMMARY ".length)) as Summary;
      else say(line);
    });
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ summary, end: status ?? signal }));
  });
}
