/**
 * One row of the conformance suite after which this kernel is not itself any more: the machine was started for it. Where the
 * kernel may also crash and there comes no answer, nothing is reported: the host has heard the crash, or asks once more.
 */
import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { allRows, mayCrash } from "../../conformance/run-on.ts";
import { platformsOf } from "../guests.ts";
import { suite } from "./conformance.ts";
import { report, say, test } from "./say.ts";
import { Site } from "./site.ts";

export async function harm(): Promise<void> {
  const site = new Site();
  const id = readFileSync("/app/row", "utf8"); // what the host has put there
  const groups = site.devices.map(({ group }) => `/dev/vfio/${group}`).join(",");
  const devices = site.devices.map(({ name }) => name).join(",");
  const [platform = ""] = platformsOf[site.machine.machine];
  const { summary } = await suite(["--platform", platform, "--groups", groups, "--devices", devices, "--harm", id]);
  const crashes = allRows.some((placed) => placed.id === id && mayCrash(placed.row));
  if (crashes && (summary === undefined || summary.differences.some(({ unanswered }) => unanswered))) {
    say(`${id} came to no answer`);
    return;
  }
  report({ kind: "conformance", rows: summary?.rows ?? 0, differences: summary?.differences.length ?? 1 });
  test(`${id}, in a boot of its own, is answered as it says`, () => {
    assert.is(summary?.rows, 1, "rows");
    assert.equal(summary?.differences, []);
  });
}
