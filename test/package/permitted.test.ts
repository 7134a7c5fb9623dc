/** The package under Node's permission model: what it may not read is said, and what it says to allow is all that it takes. */
import { cpSync, existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { prebuiltName } from "../../src/linux/prebuilt.ts";
import { root } from "./imports.ts";
import { execute, Home } from "./installed.ts";

const home = new Home();
const directory = realpathSync(home.package);
const shim = prebuiltName();
const lib = join(directory, "lib");
const manifest = join(directory, "package.json");
const program = home.write(
  "program.mjs",
  `
  import { linuxKernel } from "dma-window";
  const kernel = linuxKernel();
  const said = { unread: kernel.files.text("/etc/hostname"), names: kernel.files.names("/etc") };
  try { said.answer = kernel.close(1_000_000) } catch ({ code, facts }) { Object.assign(said, { code, ...facts }); }
  if (said.answer !== undefined) said.locked = typeof kernel.lockedMemory().limit;
  console.log(JSON.stringify(said));
`,
);

interface Said {
  readonly answer?: number;
  readonly locked?: string;
  readonly code?: string;
  readonly reason?: string;
  readonly why: string;
  readonly remedy: string;
  readonly unread: unknown;
  readonly names: unknown;
}

/** What the program prints that may read itself and these, with these options besides. */
function run(
  readable: readonly string[],
  { more = [], chosen }: { more?: readonly string[]; chosen?: string } = {},
): Said {
  const model = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const allowed = [realpathSync(program), ...readable].map((path) => `--allow-fs-read=${path}`);
  const { stdout, stderr } = execute(process.execPath, [model, ...allowed, ...more, realpathSync(program)], {
    cwd: home.at,
    env: { DMA_WINDOW_SHIM: chosen },
  });
  assert.match(stdout, /^\{.*\}\n$/, stderr);
  return JSON.parse(stdout) as Said;
}

/** The options that a remedy names. */
function optionsIn(remedy: string): string[] {
  return (remedy.match(/--allow-[^\s,]+/g) ?? []).map((option) => option.replace("DIRECTORY", directory));
}

const permitted = suite("under the permission model");

if (shim !== undefined && existsSync(join(root, "prebuilds", shim))) {
  cpSync(join(root, "prebuilds"), join(directory, "prebuilds"), { recursive: true });
  const file = join(directory, "prebuilds", shim);
  const built = join(directory, "build");
  const elsewhere = join(realpathSync(home.at), "elsewhere.node");
  cpSync(file, elsewhere);

  for (const [name, readable, hidden, chosen] of [
    // Later ones do not find a package then that they may not read the manifest of.
    ...(process.versions.node.startsWith("20.") ? [["its manifest", [lib], manifest, undefined] as const] : []),
    ["the shims", [lib, manifest], join(built, "Release/vfio_shim.node"), undefined],
    ["the shim that is there", [lib, manifest, join(built, "Release/vfio_shim.node")], file, undefined],
    [
      "the list of its sums",
      [lib, manifest, join(built, "Release/vfio_shim.node"), file],
      join(directory, "prebuilds/SHA256SUMS"),
      undefined,
    ],
    ["the shim that was chosen", [lib, manifest], elsewhere, elsewhere],
  ] as const) {
    permitted(`what hides ${name} is named, and what has to be allowed is all that it takes`, () => {
      const said = run(readable, chosen === undefined ? {} : { chosen });
      assert.is(said.code, "ERR_SHIM_UNAVAILABLE");
      assert.is(said.reason, "not-permitted", said.why);
      assert.ok(said.why.includes(`does not let this program read ${hidden}`), said.why);
      const options = optionsIn(said.remedy);
      const after = run(readable, { more: options, ...(chosen === undefined ? {} : { chosen }) });
      assert.equal([after.answer, after.locked], [-9, "bigint"], `${options.join(" ")}: ${JSON.stringify(after)}`);
    });
  }
}

permitted("a shim that was chosen, may be read, and is not there, is not there", () => {
  const missing = join(realpathSync(home.at), "missing.node");
  const { reason, why } = run([directory, missing], { chosen: missing });
  assert.is(reason, "not-there", why);
});

permitted("a machine's file that is hidden is one that may not be read", () => {
  const { unread, names } = run([directory]);
  assert.equal([unread, names], [-13, -13]);
});

permitted.after(() => home.remove());
permitted.run();
