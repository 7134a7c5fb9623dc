/** The house has one-way streets; this is where they are written down so that a machine can hold us to them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { filesIn, importsIn, importsOf, ringIn, root } from "./imports.ts";

const reading = suite("reading import statements");

reading("finds each form of them, over several lines too, and what is gone at run time", () => {
  const text = [
    'import a from "./a.ts";',
    'import type { b } from "../b.ts";',
    "import {",
    "  type c,",
    "  type d,",
    '} from "./cd.ts";',
    'import { type e, f } from "./ef.ts";',
    'import * as g from "node:fs";',
    'export { h, type i } from "./deep/hi.ts";',
    'export * from "./j.ts";',
    'export type { k } from "./k.ts";',
    'import "./l.ts";',
    'const m = await import("./m.ts");',
    'export const n = "./not.ts";',
    'export function from(x: string) { return x + "./neither.ts"; }',
  ].join("\n");
  const found = importsOf("src/x/y.ts", text).map(({ to, typeOnly }) => `${to}${typeOnly ? " (type)" : ""}`);
  assert.equal(found, [
    "src/x/a.ts",
    "src/b.ts (type)",
    "src/x/cd.ts (type)",
    "src/x/ef.ts",
    "node:fs",
    "src/x/deep/hi.ts",
    "src/x/j.ts",
    "src/x/k.ts (type)",
    "src/x/l.ts",
    "src/x/m.ts",
  ]);
});

reading("finds a ring of files, and none where there is none", () => {
  const edges = (...pairs: readonly string[]) => pairs.map((pair) => ({ from: pair[0] ?? "", to: pair[1] ?? "" }));
  assert.equal(ringIn(edges("ab", "bc", "cd", "db")), ["b", "c", "d", "b"]);
  assert.equal(ringIn(edges("aa")), ["a", "a"]);
  assert.is(ringIn(edges("ab", "ac", "bd", "cd")), undefined);
});

reading.run();

const layers = suite("the layers");
const imports = importsIn("src");

/** `model` for src/model/x.ts, `core.ts` for src/core.ts. */
function part(file: string): string {
  return file.split("/")[1] ?? "";
}

/** Fails when a file of `from` imports one of a part that `allowed` does not allow. */
function mayImport(from: string, allowed: (part: string) => boolean): void {
  const wrong = imports.filter((one) => one.ours && part(one.from) === from && !allowed(part(one.to)));
  assert.equal(
    wrong.map((one) => `${one.from} imports ${one.to}`),
    [],
  );
}

/** All that a file needs at run time: itself, what it imports, and what those import. */
function reached(from: string): Set<string> {
  const found = new Set([from]);
  for (const file of found) for (const one of imports) if (one.from === file && !one.typeOnly) found.add(one.to);
  return found;
}

layers("are read from files that exist, and there are many", () => {
  assert.ok(imports.length > 150, `${imports.length} imports`);
  for (const { from, to, ours } of imports) if (ours) assert.ok(existsSync(join(root, to)), `${from} imports ${to}`);
});

layers("import nothing but Node itself and each other: there is one dependency, and the shim's build has it", () => {
  const foreign = imports.filter(({ to, ours }) => !ours && !to.startsWith("node:"));
  assert.equal(foreign, []);
});

layers("begin with the core, which needs its bytes and the errors, and nothing of Node: it can be used alone", () => {
  const needed = reached("src/core.ts");
  assert.equal([...needed].sort(), [
    ...[
      "src/base64.ts",
      "src/copies.ts",
      "src/core-build.ts",
      "src/core-unavailable.ts",
      "src/core-wasm.ts",
      "src/core.ts",
    ],
    ...["src/errno.ts", "src/error-json.ts", "src/errors.ts", "src/hex.ts", "src/inspect.ts", "src/unpack.ts"],
  ]);
});

/** What runs in a browser too, the pages of docs/playground.html among it. */
const anywhere = [
  ...["src/plan/index.ts", "src/explain.ts", "src/model/index.ts", "src/container/open.ts", "src/memory/table.ts"],
  ...["src/heap/heap.ts", "src/device/open.ts", "src/pci/devices.ts", "src/baseline/dynamic.ts"],
  ...["src/picture/index.ts", "src/plan/parse-plan.ts", "src/plan/described.ts", "src/explain/lines/explain.ts"],
  ...["src/system/iomem.ts", "src/trace/read.ts", "src/trace/recorder.ts", "src/cli/storm.ts", "src/cli/schemes.ts"],
];

for (const file of anywhere) {
  layers(`need nothing of Node below ${file}: it runs in a browser`, () => {
    assert.equal(
      [...reached(file)].filter((each) => each.startsWith("node:")),
      [],
    );
  });
}

layers("explain answers, lines of logs and traces without Node: a page in a browser can", () => {
  for (const file of filesIn("src/explain").concat(filesIn("src/history"))) {
    const needed = [...reached(file)].filter((name) => name.startsWith("node:"));
    assert.equal(needed, [], file);
  }
});

layers("have a seam that imports nothing, and words that import little", () => {
  for (const leaf of [
    ...["syscalls.ts", "errno.ts", "guards.ts", "hex.ts", "closable.ts", "copies.ts", "error-json.ts"],
    ...["captured.ts", "linux-version.ts", "channels.ts", "power-of-two.ts"],
  ]) {
    mayImport(leaf, () => false);
  }
  mayImport("typed-arrays.ts", (to) => to === "captured.ts");
  mayImport("inspect.ts", (to) => to === "hex.ts");
  mayImport("errors.ts", (to) => ["errno.ts", "copies.ts", "error-json.ts", "inspect.ts"].includes(to));
  mayImport("exclusive.ts", (to) => ["channels.ts", "errors.ts"].includes(to));
  mayImport("debug-log.ts", (to) => ["errors.ts", "hex.ts", "syscalls.ts", "through.ts", "trace"].includes(to));
  const askedFor = ["captured.ts", "debug-log.ts", "errors.ts", "hex.ts", "inspect.ts", "syscalls.ts"];
  mayImport("asked.ts", (to) => askedFor.includes(to));
  mayImport("explain.ts", (to) => ["errors.ts", "syscalls.ts", "explain"].includes(to));
  const ofHistory = ["history", "explain", "trace", "syscalls.ts", "errno.ts", "errors.ts", "hex.ts"];
  mayImport("history", (to) => ofHistory.includes(to));
  const ofExplain = ["explain", "errno.ts", "guards.ts", "hex.ts", "power-of-two.ts", "syscalls.ts", "system"];
  mayImport("explain", (to) => ofExplain.includes(to));
  mayImport("known.ts", (to) => to === "errors.ts");
  mayImport("open-devices.ts", (to) => to === "syscalls.ts");
  mayImport("validate.ts", (to) => ["errors.ts", "syscalls.ts"].includes(to));
});

/** What is said of arguments holds no rule of the kernel's, so no mistake about one can hide in it. */
const words = [
  "builtin.ts",
  "errno.ts",
  "errors.ts",
  "guards.ts",
  "hex.ts",
  "inspect.ts",
  "known.ts",
  "captured.ts",
  "typed-arrays.ts",
  "validate.ts",
  "linux-version.ts",
  "power-of-two.ts",
];

layers("keep the software kernel to itself: of the rest it knows the seam, the errors and the words", () => {
  mayImport("model", (to) => ["model", "syscalls.ts", "through.ts", ...words].includes(to));
});

layers("let a kernel stand in front of any other, and a trace be read, without either of the two", () => {
  mayImport("through.ts", (to) => ["syscalls.ts", "typed-arrays.ts"].includes(to));
  mayImport("trace", (to) => ["trace", "syscalls.ts", "through.ts", ...words].includes(to));
});

layers("keep the real kernel to itself: it knows nothing of the model, nor of what is built on it", () => {
  mayImport("linux", (to) => !["model", "container", "memory", "plan", "baseline", "cli", "index.ts"].includes(to));
});

layers(
  "let programs be supervised through a seam of their own: exec knows the model, and neither Linux nor the library",
  () => {
    mayImport("supervision.ts", () => false);
    mayImport("exec", (to) => ["exec", "model", "supervision.ts", "syscalls.ts", ...words].includes(to));
  },
);

layers("let the machine's facts be read without a kernel", () => {
  mayImport("system", (to) => ["system", "syscalls.ts", "bounded-file.ts", ...words].includes(to));
});

layers("let PCI devices be found and bound by a machine's files alone", () => {
  const below = [
    "pci",
    "system",
    "explain",
    "syscalls.ts",
    "closable.ts",
    "exclusive.ts",
    "open-devices.ts",
    "warn.ts",
  ];
  mayImport("pci", (to) => [...below, ...words].includes(to));
});

layers("let a machine be diagnosed by its files alone: no kernel is called", () => {
  const below = ["doctor", "pci", "system", "explain", "core.ts", "syscalls.ts"];
  mayImport("doctor", (to) => [...below, ...words, "linux"].includes(to));
  // Of the real kernel it knows whether the shim loads, and no more.
  const ofLinux = imports.filter(({ from, to }) => part(from) === "doctor" && part(to) === "linux");
  assert.equal(
    ofLinux.map(({ from, to }) => `${from} ${to}`),
    ["src/doctor/doctor.ts src/linux/index.ts"],
  );
});

layers("let a plan be made without a kernel and without a container", () => {
  mayImport("plan", (to) => ["plan", "core.ts", "iommu.ts", "syscalls.ts", ...words].includes(to));
});

layers(
  "draw pictures of plans and traces without a kernel, and without Node: they run in a browser, as planning does",
  () => {
    const below = ["picture", "plan", "trace", "syscalls.ts", "core.ts", "iommu.ts"];
    mayImport("picture", (to) => [...below, ...words].includes(to));
    for (const from of ["src/picture/index.ts", "src/plan/index.ts", "src/plan/compare.ts", "src/plan/described.ts"]) {
      const needed = [...reached(from)].filter((file) => file.startsWith("node:"));
      assert.equal(needed, [], from);
    }
  },
);

layers("let a device be driven without a container, which opens it", () => {
  mayImport("device", (to) => {
    const ours = [
      "channels.ts",
      "closable.ts",
      "closing.ts",
      "exclusive.ts",
      "explain.ts",
      "iommu.ts",
      "warn.ts",
      "pci",
      "system",
    ];
    return ["device", "syscalls.ts", "copies.ts", ...ours, ...words].includes(to);
  });
});

layers("let containers and memory know the seam, and neither of the kernels behind it", () => {
  for (const one of ["container", "memory", "baseline", "heap", "worker", "device"]) {
    mayImport(one, (to) => !["linux", "model", "cli", "index.ts"].includes(to));
  }
});

layers("let heaps lie over containers and memory, which know that they are held and not by whom", () => {
  const wrong = imports.filter(
    ({ from, to }) => to.startsWith("src/heap/") && !["heap", "cli", "index.ts"].includes(part(from)),
  );
  assert.equal(wrong, []);
});

layers("meet in the command line and in the public surface only: nobody else has both kernels", () => {
  const having = (kernel: string) =>
    new Set(imports.filter(({ to }) => to.startsWith(`src/${kernel}/`)).map(({ from }) => part(from)));
  const linux = having("linux");
  const both = [...having("model")].filter((one) => linux.has(one));
  assert.equal(both.sort(), ["cli", "index.ts"]);
});

layers(
  "have the command line on top: nobody imports it, nor the scheme it compares with, nor the public surface",
  () => {
    const wrong = imports.filter(
      ({ from, to }) =>
        (to.startsWith("src/cli/") && part(from) !== "cli") ||
        (to.startsWith("src/baseline/") && !["cli", "baseline"].includes(part(from))) ||
        to === "src/index.ts",
    );
    assert.equal(wrong, []);
  },
);

layers("load the native shim in one place", () => {
  const loaders = imports.filter(({ to, typeOnly }) => to === "src/linux/shim.ts" && !typeOnly).map(({ from }) => from);
  assert.equal([...new Set(loaders)], ["src/linux/index.ts"]);
  const requiring = filesIn("src").filter((file) =>
    /createRequire|dlopen/.test(readFileSync(join(root, file), "utf8")),
  );
  assert.equal(requiring, ["src/linux/shim.ts"]);
  const naming = filesIn("src").filter((file) => readFileSync(join(root, file), "utf8").includes("vfio_shim"));
  assert.equal(naming.sort(), ["src/linux/place.ts", "src/linux/prebuilt.ts", "src/linux/shim.ts"]);
});

layers("have no ring of files that need each other, be it for a type alone", () => {
  for (const all of [imports, importsIn("bench")]) {
    assert.is(ringIn(all.filter(({ ours }) => ours))?.join(" -> "), undefined);
  }
});

layers("have no ring in the core", () => {
  const core = importsIn("assembly", ".ts");
  assert.ok(core.length > 30);
  for (const { from, to } of core) assert.ok(existsSync(join(root, to)), `${from} imports ${to}`);
  assert.is(ringIn(core)?.join(" -> "), undefined);
});

layers.run();

const sizes = suite("the files");

/** Two screens hold one idea; twice that, and some, is where a reader gives up. */
const LINES_MAX = 450;

sizes("are small enough to be read", () => {
  const lines = ["src", "assembly", "shim"]
    .flatMap(filesIn)
    .map((file) => ({ file, lines: readFileSync(join(root, file), "utf8").split("\n").length - 1 }));
  assert.equal(
    lines.filter((one) => one.lines > LINES_MAX),
    [],
  );
});

sizes.run();
