/** What can be imported is documented where it is declared. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { filesIn, root } from "./imports.ts";

/** The names that a file exports from others, and from which file each comes. */
function reexports(file: string): { readonly name: string; readonly from: string }[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}\s+from\s+"([^"]+)"/gm)].flatMap(
    ([, names = "", path = ""]) =>
      names
        .split(",")
        .map((name) => name.trim().replace(/^type /, ""))
        .filter((name) => name !== "")
        .map((name) => ({ name, from: join(dirname(file), path) })),
  );
}

const documentation = String.raw`(?<documentation>\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?`;

/** How a name is declared in a file, and the comment before it. Follows it to where it comes from. */
function declarationOf(name: string, file: string): { readonly kind: string; readonly documentation: string } {
  const further = reexports(file).find((one) => one.name === name);
  if (further) return declarationOf(name, further.from);
  const text = readFileSync(join(root, file), "utf8");
  const declaration = new RegExp(
    `^${documentation}export (?<kind>(?:abstract )?class|function\\*?|const|interface|type) ${name}\\b`,
    "m",
  );
  const groups = declaration.exec(text)?.groups;
  assert.ok(groups, `${file} declares ${name}`);
  return { kind: groups.kind ?? "", documentation: groups.documentation ?? "" };
}

for (const file of ["src/index.ts", "src/core.ts", "src/model/index.ts", "src/trace/index.ts"]) {
  const own = [
    ...readFileSync(join(root, file), "utf8").matchAll(/^export (?:class|function|const|interface|type) (\w+)/gm),
  ];
  const names = [...reexports(file), ...own.map(([, name = ""]) => ({ name, from: file }))];

  test(`every function and class that ${file} exports says what it is for`, () => {
    assert.ok(names.length > 3);
    for (const { name, from } of names) {
      const { kind, documentation } = declarationOf(name, from);
      if (!/class|function/.test(kind)) continue;
      assert.ok(documentation.replace(/[/*\s]/g, "").length > 20, `${name} of ${from} has no documentation`);
      assert.not.match(documentation, /@internal|TODO|FIXME/, name);
    }
  });
}

test("what a function of the public surface throws is said by its code", async () => {
  for (const { name, from } of reexports("src/index.ts")) {
    const { kind, documentation } = declarationOf(name, from);
    if (kind !== "function" || name === "linuxKernel" || name === "modelKernel") continue;
    assert.match(documentation, /`ERR_[A-Z_]+`/, name);
  }
});

const blocksOf = (document: string) =>
  [...readFileSync(join(root, document), "utf8").matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);

test("the program in README.md is one of the examples, to the letter", () => {
  assert.ok(blocksOf("README.md").length > 0);
  // Its blocks stand one behind the other.
  assert.is(readFileSync(join(root, "examples/static-window.mjs"), "utf8"), blocksOf("README.md").join("\n"));
});

test("the programs in docs/model.md are examples, to the letter", () => {
  const examples = ["examples/test-on-the-model.mjs", "examples/device-of-ones-own.mjs"];
  assert.equal(
    examples.map((example) => readFileSync(join(root, example), "utf8")),
    blocksOf("docs/model.md"),
  );
});

for (const platform of ["type1", "powernv", "pseries"]) {
  test(`the example of a device of one's own is driven, on ${platform}`, () => {
    const example = ["examples/device-of-ones-own.mjs", platform];
    const { status, stdout, stderr } = spawnSync(process.execPath, example, { cwd: root, encoding: "utf8" });
    assert.is(status, 0, stderr);
    assert.is(stdout, "the device says 10\n");
  });
}

for (const platform of ["powernv", "pseries", "type1", "noiommu"]) {
  test(`the README's blocks run one behind the other, on ${platform}`, () => {
    const run = spawnSync(process.execPath, ["examples/static-window.mjs", platform], { cwd: root, encoding: "utf8" });
    assert.is(run.status, 0, run.stderr);
    assert.match(
      run.stdout,
      /^a device finds 4096 bytes at IOVA 0x[0-9a-f]+\n2 of 3 addresses are mapped\nTCE \d+ of the window\n$/,
    );
  });
}

const ring = (platform: string) =>
  spawnSync(process.execPath, ["examples/ring.mjs", platform], { cwd: root, encoding: "utf8" });

for (const platform of ["powernv", "pseries", "type1", "noiommu"]) {
  test(`the example of a ring moves all bytes right while its heap grows eightfold, on ${platform}`, () => {
    const { status, stdout, stderr } = ring(platform);
    assert.is(status, 0, stderr);
    const [, moved, before, after] =
      /^(\d+) bytes moved, 0 wrong; (\d+) MiB became (\d+) MiB\nthe ring is still at IOVA 0x[0-9a-f]+\n$/
        .exec(stdout)
        ?.map(Number) ?? [];
    assert.ok(Number(moved) > 0 && Number(before) > 0 && Number(after) >= 8 * Number(before), stdout);
  });
}

test("the README shows what the example of a ring says", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const shown = /`node (examples\/ring\.mjs) (\w+)`[^`]*```\n([^`]*)```/.exec(readme);
  assert.ok(shown, "an example of a ring, and what it says");
  assert.is(ring(shown[2] as string).stdout, shown[3]);
});

test("documents lead to files that exist", () => {
  for (const document of ["README.md", ...filesIn("docs").filter((file) => file.endsWith(".md"))]) {
    const text = readFileSync(join(root, document), "utf8");
    for (const [, path = ""] of text.matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(path)) assert.ok(existsSync(join(root, dirname(document), path)), `${document}: ${path}`);
    }
  }
});

test("the README speaks of exports that exist", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const all = Object.keys(await import("../../src/index.ts"));
  for (const [, names = ""] of readme.matchAll(/^import \{ ([^}]+) \} from "dma-window";$/gm)) {
    for (const name of names.split(", ")) assert.ok(all.includes(name), name);
  }
});

test.run();
