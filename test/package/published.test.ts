/** The tarball as others look at it: publint, and are-the-types-wrong. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./imports.ts";
import { execute } from "./installed.ts";

const tarball = suite("the tarball");
const directory = mkdtempSync(join(tmpdir(), "dma-window-tarball-"));
let file = "";

tarball.before(() => {
  const { status, stderr } = execute("npm", ["pack", "--ignore-scripts", "--pack-destination", directory], {
    cwd: root,
  });
  assert.is(status, 0, stderr);
  file = join(directory, readdirSync(directory)[0] ?? "");
});
tarball.after(() => rmSync(directory, { recursive: true }));

const tool = (path: string, ...words: readonly string[]) =>
  execute(process.execPath, [join(root, "node_modules", path), ...words], { cwd: root });

/**
 * A checkout that has not cross-compiled the shims packs without them (`npm publish` refuses to). Then the pattern that exports them
 * matches nothing, and that is all there is to say.
 */
const SAID = existsSync(join(root, "prebuilds/SHA256SUMS"))
  ? ["All good!"]
  : ["Errors:", '1. pkg.exports["./prebuilds/*.node"] is ./prebuilds/*.node but does not match any files.'];

tarball("is as publint wants it, suggestions included", () => {
  const { stdout, stderr } = tool("publint/src/cli.js", "run", file, "--strict", "--level", "suggestion");
  const lines = stripVTControlCharacters(stdout).trim().split("\n");
  assert.equal(lines.slice(lines.indexOf("Linting...") + 1), SAID, stdout + stderr);
});

tarball("has the right types for each way in which a module of ES is resolved", () => {
  const { status, stdout, stderr } = tool(
    "@arethetypeswrong/cli/dist/index.js",
    file,
    "--profile",
    "esm-only",
    "--no-emoji",
  );
  assert.is(status, 0, stdout + stderr);
  for (const entry of ["dma-window", "dma-window/core", "dma-window/model", "dma-window/trace"])
    assert.match(stdout, `"${entry}"`);
});

tarball.run();
