/** Where the engine cannot run the core: importing says nothing, the first use says why and what to do. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";
import { build } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { execute, Home } from "./installed.ts";

const home = new Home();
const entries = ["dma-window", "dma-window/core", "dma-window/model", "dma-window/trace"];

/** What the uses of each entry point say, after all were imported; in a process of its own. */
const program = home.write(
  "program.js",
  `for (const name of ${JSON.stringify(entries)}) await import(name);
   const { MemsegTable, modelKernel, openContainer, planWindow, DmaWindowError } = await import("dma-window");
   const { core, coreBuild } = await import("dma-window/core");
   const kernel = modelKernel({ platform: "type1" });
   const uses = {
     core: () => core.log2Floor(8n),
     table: () => new MemsegTable(),
     container: () => openContainer({ kernel, groups: [26] }).close(),
   };
   const said = {};
   for (const [name, use] of Object.entries(uses)) {
     try { use(); said[name] = "works"; } catch (error) {
       said[name] = [error.code, error instanceof DmaWindowError, error.cause !== undefined, error.message].join("|");
     }
   }
   console.log(JSON.stringify({ said, coreBuild, files: kernel.snapshot().descriptors.length }));
  `,
);

interface Said {
  readonly said: Readonly<Record<"core" | "table" | "container", string>>;
  readonly coreBuild: string;
  /** Descriptors that openContainer left. */
  readonly files: number;
}

function observe(parameters: readonly string[], env: Readonly<Record<string, string>> = {}, limit = ""): Said {
  const command = [process.execPath, ...parameters, program].map((word) => `'${word}'`).join(" ");
  const { status, stdout, stderr } = execute("sh", ["-c", `${limit} exec ${command}`], { cwd: home.at, env });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout) as Said;
}

function refuses({ said, coreBuild, files }: Said, why: RegExp): void {
  for (const [use, message] of Object.entries(said)) {
    assert.match(message, /^ERR_CORE_UNAVAILABLE\|true\|true\|/, use);
    assert.match(message, why, use);
  }
  assert.match(coreBuild, /^core/);
  assert.is(files, 0, "nothing stays open");
}

const filesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const unavailable = suite("a core that cannot be used");

unavailable("is one without WebAssembly: --jitless", () => {
  refuses(observe(["--jitless"]), /no WebAssembly.*--jitless.*Run without/);
});

unavailable("is one that DMA_WINDOW_CORE does not name", () => {
  refuses(
    observe([], { DMA_WINDOW_CORE: "fast" }),
    /DMA_WINDOW_CORE must be unset, "simd" or "scalar"; got "fast"\. Set or unset it/,
  );
});

unavailable("is one with damaged bytes, and only that", () => {
  const files = filesBelow(join(home.package, "lib")).map((path) => ({ path, whole: readFileSync(path, "utf8") }));
  const builds = files.filter(({ whole }) => whole.includes("AGFzbQE"));
  assert.ok(builds.length > 0);
  try {
    for (const { path, whole } of builds) writeFileSync(path, whole.replaceAll("AGFzbQE", "AGFzbQI"));
    refuses(observe([]), /damaged.*Install dma-window again/);
  } finally {
    for (const { path, whole } of builds) writeFileSync(path, whole);
  }
  assert.is(observe([]).said.core, "works");
});

unavailable("is one whose memory finds no room; where the engine can do without, it works", () => {
  const little = "ulimit -v 8388608;"; // 8 GiB
  const { said, ...more } = observe([], {}, little);
  if (said.core !== "works")
    refuses({ said, ...more }, /address space.*10 GiB.*The limit keeps.*--disable-wasm-trap-handler.*ulimit -v/);
  assert.is(observe(["--disable-wasm-trap-handler"], {}, little).said.container, "works");
});

unavailable("is needed by no file beside it: the package has none with the builds", () => {
  assert.equal(
    filesBelow(home.package).filter((path) => path.endsWith(".wasm")),
    [],
  );
  assert.is(observe([]).said.container, "works");
  assert.is(observe(["--disallow-code-generation-from-strings"]).said.container, "works");
});

unavailable("is one that a policy forbids, and when that has changed it works", async () => {
  const entry = home.write(
    "use.mjs",
    'import { core } from "dma-window/core"; globalThis.use = () => core.log2Floor(8n);',
  );
  const result = await build({ entryPoints: [entry], bundle: true, write: false, platform: "browser", format: "iife" });
  const code = result.outputFiles[0]?.text ?? "";
  const forbidding: { use?: () => number } = {};
  vm.runInContext(code, vm.createContext(forbidding, { codeGeneration: { wasm: false, strings: true } }));
  for (let i = 0; i < 2; i++) {
    assert.throws(
      () => forbidding.use?.(),
      (error: { code?: string; message: string }) =>
        error.code === "ERR_CORE_UNAVAILABLE" && /forbids.*wasm-unsafe-eval.*codeGeneration/.test(error.message),
    );
  }
  // Here the engine is what comes later: the next use finds it.
  const late: { use?: () => number; WebAssembly?: unknown } = {};
  const context = vm.createContext(late);
  vm.runInContext("globalThis.kept = WebAssembly; WebAssembly = undefined;", context);
  vm.runInContext(code, context);
  assert.throws(() => late.use?.(), /no WebAssembly/);
  vm.runInContext("WebAssembly = kept;", context);
  assert.is(late.use?.(), 3);
});

unavailable("lets the command say so in one line, and help without it", () => {
  const command = join(home.package, "lib/cli/main.js");
  const run = (...parameters: readonly string[]) => execute(process.execPath, ["--jitless", command, ...parameters]);
  assert.is(run("--help").status, 0);
  assert.is(run("--version").status, 0);
  for (const words of [["run"], ["plan", "--grow-to", "1G"]]) {
    const { status, stderr } = run(...words);
    assert.is(status, 1);
    assert.match(stderr, /dma-window: The WebAssembly core.*\[ERR_CORE_UNAVAILABLE\]\n$/);
    assert.not.match(stderr, /^\s+at /m);
  }
});

unavailable.after(() => home.remove());
unavailable.run();
