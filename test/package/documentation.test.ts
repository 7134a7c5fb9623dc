/** What can be imported is documented where it is declared. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errors } from "./driver-errors.ts";
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

for (const file of ["bar", "config", "device", "interrupts", "vector", "vectors"]) {
  test(`every member of the class in src/device/${file}.ts says what it does`, () => {
    const [, body = ""] = readFileSync(join(root, `src/device/${file}.ts`), "utf8").split(/^export class .*$/m);
    const lines = body.slice(0, body.search(/^\}/m)).split("\n");
    const member = /^ {2}(?:(?:get|async|readonly) )*(\w+|\[Symbol\.\w+\])\??[(:]/;
    const found = lines.flatMap((line, i) => {
      const name = member.exec(line)?.[1];
      return name === undefined || name === "constructor" ? [] : [{ name, before: lines[i - 1] ?? "" }];
    });
    assert.ok(found.length > 3);
    for (const { name, before } of found) assert.match(before, /\*\/$/, name);
  });
}

const blocksOf = (document: string) =>
  [...readFileSync(join(root, document), "utf8").matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);

const exampleOf = (name: string) => readFileSync(join(root, "examples", name), "utf8");

test("the programs in README.md, docs/guide.md and docs/using.md are examples, to the letter", () => {
  assert.equal(blocksOf("README.md"), [exampleOf("drive-a-device.mjs")]);
  assert.equal(blocksOf("docs/guide.md"), [exampleOf("first-register.mjs")]);
  // Its blocks stand one behind the other.
  assert.is(exampleOf("static-window.mjs"), blocksOf("docs/using.md").join("\n"));
});

test("the program in docs/drivers.md is an example, to the letter, in pieces", () => {
  assert.ok(blocksOf("docs/drivers.md").length > 8);
  assert.is(exampleOf("first-driver.mjs"), blocksOf("docs/drivers.md").join("\n"));
});

test("the programs in docs/model.md are examples, to the letter", () => {
  const examples = ["examples/test-on-the-model.mjs", "examples/device-of-ones-own.mjs"];
  assert.equal(
    examples.map((example) => readFileSync(join(root, example), "utf8")),
    blocksOf("docs/model.md"),
  );
});

const firstDriver = (platform: string) =>
  spawnSync(process.execPath, ["examples/first-driver.mjs", platform], { cwd: root, encoding: "utf8" });

for (const platform of ["type1", "powernv", "pseries", "noiommu"]) {
  test(`the first driver says what docs/drivers.md shows, on ${platform}`, () => {
    const [, shown = ""] =
      /^ {4}\$ node examples\/first-driver\.mjs type1\n((?: {4}.*\n)+)/m.exec(
        readFileSync(join(root, "docs/drivers.md"), "utf8"),
      ) ?? [];
    const { status, stdout, stderr } = firstDriver(platform);
    assert.is(status, 0, stderr);
    assert.is(stdout, shown.replace(/^ {4}/gm, ""));
    assert.match(stdout, /\b0 wrong\n/);
  });
}

test("the first driver gives its device back, and says why, where it goes no further", () => {
  const gone = `
    import { register } from "node:module";
    process.argv[2] = "type1";
    // The example's library is the one whose class is broken here.
    const library = ${JSON.stringify(pathToFileURL(join(root, "dist/index.js")).href)};
    const hooks = "export const resolve = (name, at, next) => next(name === 'dma-window' ? '" + library + "' : name, at);";
    register("data:text/javascript," + encodeURIComponent(hooks));
    const { Device } = await import(${JSON.stringify(join(root, "dist/device/device.js"))});
    Object.defineProperty(Device.prototype, "busMaster", { set() { throw new Error("not today"); }, get: () => false });
    await import(${JSON.stringify(join(root, "examples/first-driver.mjs"))});
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", gone], {
    cwd: root,
    encoding: "utf8",
  });
  assert.is.not(status, 0);
  assert.match(stderr, "not today");
  assert.match(stdout, /is with edu again\n$/);
});

/** Those that stand in a document on lines of their own, each as one line; \`...\` ends one that is not shown in full. */
const errorsIn = (document: string) =>
  [...readFileSync(join(root, document), "utf8").matchAll(/^ {4}(ERR_.*(?:\n {6}\S.*)*)/gm)].map(([, text = ""]) =>
    text.replace(/\s+/g, " "),
  );

test("the errors that docs/drivers.md shows are said so, and it shows all that were tried", () => {
  const said = errors.map((make) => make().replace(/\s+/g, " "));
  const shown = errorsIn("docs/drivers.md");
  assert.is(shown.length, said.length);
  for (const text of shown) {
    const found = said.some((one) => (text.endsWith(" ...") ? one.startsWith(text.slice(0, -4)) : one === text));
    assert.ok(found, text);
  }
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
  test(`the blocks in docs/using.md run one behind the other, on ${platform}`, () => {
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

const documents = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/nvme/README.md"],
  ...filesIn("docs").filter((file) => file.endsWith(".md") && !file.startsWith("docs/api/")),
];

/** As GitHub makes them of headings. */
const anchorsIn = (document: string) =>
  [...readFileSync(join(root, document), "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );

test("the house is drawn with each of its rooms, and of a device's rooms each file", () => {
  const drawing = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const files = [...filesIn("src"), ...filesIn("shim")];
  const rooms = new Set(files.map((file) => `${basename(dirname(file))}/`));
  for (const room of rooms) assert.match(drawing, room);
  const words = new Set(drawing.match(/[\w.-]+/g));
  const named = files.filter((file) => /^src\/(device|pci)\//.test(file));
  assert.equal(
    named.filter((file) => !words.has(basename(file))),
    [],
  );
});

test("documents lead to headings that exist", () => {
  for (const document of documents) {
    const text = readFileSync(join(root, document), "utf8");
    for (const [, path = "", anchor = ""] of text.matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)) {
      const other = path === "" ? document : join(dirname(document), path);
      assert.ok(anchorsIn(other).includes(anchor), `${document}: ${path}#${anchor}`);
    }
  }
});

test("documents lead to files that exist", () => {
  for (const document of documents) {
    const text = readFileSync(join(root, document), "utf8");
    for (const [, path = ""] of text.matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(path)) assert.ok(existsSync(join(root, dirname(document), path)), `${document}: ${path}`);
    }
  }
});

test("documents speak of exports that exist", async () => {
  const all = Object.keys(await import("../../src/index.ts"));
  for (const document of documents) {
    const text = readFileSync(join(root, document), "utf8");
    for (const [, names = ""] of text.matchAll(/^import \{ ([^}]+) \} from "dma-window";$/gm)) {
      for (const name of names.split(", ")) assert.ok(all.includes(name), `${document}: ${name}`);
    }
  }
});

test.run();
