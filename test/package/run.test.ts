/** The command that runs the tests: it runs what it is asked for, all of it, or says that there is no such thing. */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./imports.ts";

const test = suite("the command that runs the tests");

const run = (...words: readonly string[]) =>
  spawnSync(process.execPath, ["test/run.mjs", ...words], { cwd: root, encoding: "utf8" });

test("runs every folder that it is given, once", () => {
  const { status, stdout } = run("baseline", "test/support/", "baseline");
  assert.is(status, 0, stdout);
  const ran = [...stdout.matchAll(/^--- test\/(.*)$/gm)].map(([, folder]) => folder);
  assert.equal(ran.sort(), ["baseline", "support"]);
});

test("refuses folders that are not there, or have no tests, before any test runs", () => {
  for (const wrong of ["nothing", "reference", "../src", "", "--grep"]) {
    const { status, stdout, stderr } = run("baseline", wrong);
    assert.is(status, 2, wrong);
    assert.is(stdout, "");
    assert.ok(stderr.startsWith(`no tests in ${wrong};`) && stderr.includes(" plan, "), stderr);
  }
});

test.run();
