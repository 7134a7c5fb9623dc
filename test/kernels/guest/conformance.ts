/** The conformance suite on this kernel: its own program, in a process of its own, because what some rows leave stays. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import * as assert from "uvu/assert";
import { runAlone } from "../../conformance/alone.ts";
import { linuxTarget, runningLinux } from "../../conformance/linux-target.ts";
import type { PlatformName } from "../../conformance/row.ts";
import { needsOf, runRows, type Summary } from "../../conformance/run-on.ts";
import { platformsOf } from "../guests.ts";
import { programs } from "../hardware/programs.ts";
import { gentleRows } from "../hardware/rows.ts";
import { lend } from "./machine.ts";
import { report, say, test } from "./say.ts";
import { Site } from "./site.ts";

interface Run {
  readonly summary: Summary | undefined;
  /** The suite's exit code, or the signal that ended it. */
  readonly end: unknown;
}

export async function conformance(): Promise<void> {
  const site = new Site();
  // Rows with a limit are run by a user without rights.
  const giveBack = nodesOf(site).map(lend);
  try {
    for (const platform of platformsOf[site.machine.machine]) {
      judge(platform, site.isExpendable ? await suite(argumentsFor(site, platform)) : await gently(site, platform));
    }
  } finally {
    for (const give of giveBack) give();
  }
}

/** The rows about a device, on QEMU's NVMe controller. Neither version of type1 makes a difference to it. */
export async function device(): Promise<void> {
  const site = new Site();
  const [platform = "powernv"] = platformsOf[site.machine.machine];
  const { nvme, card, port } = site;
  const devices = Object.entries({ nvme, card, port }).flatMap(([what, found]) =>
    found === undefined ? [] : [`--${what}`, found.name, `--${what}-group`, `/dev/vfio/${found.group}`],
  );
  judge(platform, await suite(["--platform", platform, "--raw", "/app/raw", ...devices]));
  site.reportLeaks();
}

function judge(platform: PlatformName, { summary, end }: Run): void {
  test(`the conformance suite for ${platform} comes to its end`, () => {
    assert.is(end, 0);
    assert.ok(summary !== undefined, "without a summary");
  });
  if (summary === undefined) return;
  report({ kind: "conformance", rows: summary.rows, differences: summary.differences.length });
  test(`every row of ${platform} is answered as it says`, () => {
    assert.ok(summary.rows > 50, `${summary.rows} rows`);
    assert.equal(
      summary.differences.map(({ id }) => id),
      [],
    );
  });
}

/**
 * The rows that leave nothing behind, in this process; those with a limit in processes of their own, for which whoever
 * started this one has to have raised the hard limit.
 */
async function gently(site: Site, platform: PlatformName): Promise<Run> {
  const again = [process.execPath, ...process.execArgv, programs.conformance, ...argumentsFor(site, platform)];
  const target = linuxTarget({
    platform,
    linux: runningLinux(),
    groups: nodesOf(site),
    devices: site.hasEdu ? site.devices.map(({ name }) => name) : [],
    hugepages: Object.fromEntries(site.machine.hugepages),
    alone: true,
    again,
  });
  const { rows, leftOut } = gentleRows(target, site.hasEdu);
  if (leftOut !== undefined) say(`${platform}: ${leftOut}`);
  const withLimit = rows.filter(({ row }) => needsOf(row).limit !== undefined);
  const here = runRows(
    target,
    say,
    rows.filter((one) => !withLimit.includes(one)),
  );
  const limited = withLimit.filter(({ row }) => target.cannot(needsOf(row)) === undefined);
  const differences = [...here.differences, ...(await runAlone(limited, target, again, say))];
  say(`${target.name}: ${limited.length} more under a limit`);
  return { summary: { ...here, rows: here.rows + limited.length, differences }, end: 0 };
}

function nodesOf(site: Site): string[] {
  return site.devices.map(({ group }) => `/dev/vfio/${group}`);
}

function argumentsFor(site: Site, platform: PlatformName): string[] {
  const devices = site.devices.map(({ name }) => name).join(",");
  return ["--platform", platform, "--groups", nodesOf(site).join(","), "--devices", devices];
}

/** Runs the suite, and says what it says. Every limit may be set there: a user may only lower the hard one. */
export function suite(args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const command = ["-c", 'ulimit -H -l unlimited; exec "$@"', "sh", process.execPath, programs.conformance, ...args];
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
