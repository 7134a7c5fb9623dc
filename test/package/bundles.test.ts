/** The library in one file, as bundlers make it, in a directory where there is nothing else. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import vm from "node:vm";
import { build } from "esbuild";
import { rollup } from "rollup";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { prebuiltName } from "../../src/linux/prebuilt.ts";
import { root } from "./imports.ts";
import { execute, Home } from "./installed.ts";

const home = new Home();
const outside = mkdtempSync(join(tmpdir(), "dma-window-bundle-"));
const addon = join(root, "build/Release/vfio_shim.node");

/** The main job on all platforms, what every entry point is for, and what the shim says. */
const source = home.write(
  "program.mjs",
  `import { linuxKernel, MemsegTable, openContainer, planWindow } from "dma-window";
   import { core, coreBuild } from "dma-window/core";
   import { modelKernel } from "dma-window/model";
   import { recordTrace } from "dma-window/trace";

   const said = ["powernv", "pseries", "type1"].map((platform) => {
     const lines = [];
     const kernel = recordTrace(modelKernel({ platform }), (line) => lines.push(line));
     const memory = new MemsegTable({ kernel });
     const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
     const container = openContainer({ kernel, groups: [26] });
     const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 1n << 30n }));
     container.attach(memory);
     const { va } = memory.allocate(list, 2);
     const mapped = window.translate(va) === window.iovaOf(va) && lines.length > 3;
     container.close();
     memory.close();
     return platform + " " + mapped;
   });
   const open = () => {
     try {
       const kernel = linuxKernel();
       return kernel.open("/nonexistent") < 0 ? "asked Linux" : "opened";
     } catch (error) {
       return error.code + " " + error.message;
     }
   };
   console.log(JSON.stringify({ said, core: core.usesSimd() === (coreBuild === "core" ? 1 : 0), shim: open() }));
  `,
);

/** Bundles the program to a file of its own, and gives the file's path. */
type Bundler = (format: "esm" | "cjs", to: string) => Promise<unknown>;

const withEsbuild: Bundler = (format, outfile) =>
  build({ entryPoints: [source], bundle: true, platform: "node", format, outfile, logLevel: "error", minify: true });

/** Finds packages as Node does from the program's place: rollup itself finds files only. */
const resolving = {
  name: "resolving",
  resolveId: (id: string) => (id.startsWith("dma-window") ? createRequire(source).resolve(id) : null),
};

const withRollup: Bundler = async (format, file) => {
  const bundle = await rollup({ input: source, external: /^node:/, plugins: [resolving] });
  await bundle.write({ file, format, inlineDynamicImports: true });
};

const bundled: { readonly name: string; readonly file: string }[] = [];
for (const [bundler, make] of Object.entries({ esbuild: withEsbuild, rollup: withRollup })) {
  for (const format of ["esm", "cjs"] as const) {
    const file = join(outside, bundler, `program.${format === "esm" ? "mjs" : "cjs"}`);
    await make(format, file);
    bundled.push({ name: `${bundler}, ${format}`, file });
  }
}

interface Said {
  readonly said: readonly string[];
  readonly core: boolean;
  readonly shim: string;
}

function observe(parameters: readonly string[], env: Readonly<Record<string, string | undefined>> = {}): Said {
  const { status, stdout, stderr } = execute(process.execPath, parameters, {
    cwd: outside,
    env: { DMA_WINDOW_SHIM: undefined, ...env },
  });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout) as Said;
}

function works({ said, core }: Said): void {
  assert.equal(said, ["powernv true", "pseries true", "type1 true"]);
  assert.ok(core);
}

const bundles = suite("a bundle");

for (const { name, file } of bundled) {
  bundles(`does the main job where nothing else is (${name})`, () => {
    const said = observe([file]);
    works(said);
    assert.match(said.shim, /^ERR_SHIM_UNAVAILABLE .*bundled.*linuxKernel\(\{ shim: path \}\).*DMA_WINDOW_SHIM/);
  });

  bundles(`works in a worker (${name})`, () => {
    const program = `new (require("node:worker_threads").Worker)(${JSON.stringify(file)})`;
    works(observe(["--eval", program]));
  });

  if (existsSync(addon)) {
    bundles(`makes system calls through the shim that the environment names (${name})`, () => {
      assert.is(observe([file], { DMA_WINDOW_SHIM: addon }).shim, "asked Linux");
    });

    bundles(`finds the shim of the package that is installed where it runs (${name})`, () => {
      const place = join(outside, "node_modules/dma-window");
      mkdirSync(join(place, ".."), { recursive: true });
      symlinkSync(root, place);
      try {
        assert.is(observe([file]).shim, "asked Linux");
      } finally {
        rmSync(join(place, ".."), { recursive: true });
      }
    });
  }
}

const prebuilt = prebuiltName();
if (prebuilt !== undefined && existsSync(join(root, "prebuilds", prebuilt))) {
  bundles("brings the prebuilt shim along, as docs/install.md says", async () => {
    cpSync(join(root, "prebuilds"), join(home.package, "prebuilds"), { recursive: true });
    const entry = home.write(
      "brings.mjs",
      `import { linuxKernel } from "dma-window";
       import file from "dma-window/prebuilds/${prebuilt}";
       console.log(linuxKernel({ shim: new URL(file, import.meta.url) }).open("/nonexistent") < 0);`,
    );
    const outfile = join(outside, "brings/program.mjs");
    const loader = { ".node": "file" } as const;
    await build({
      entryPoints: [entry],
      bundle: true,
      platform: "node",
      format: "esm",
      outfile,
      loader,
      logLevel: "error",
    });
    const { stdout, stderr } = execute(process.execPath, [outfile], {
      cwd: outside,
      env: { DMA_WINDOW_SHIM: undefined },
    });
    assert.is(stdout, "true\n", stderr);
  });
}

for (const { name, file } of bundled.filter((one) => one.file.endsWith(".cjs"))) {
  bundles(`can be evaluated, where there is no file and next to nothing is global (${name})`, () => {
    const lines: string[] = [];
    const require = createRequire(join(outside, "none.cjs"));
    const context = { require, module: {}, exports: {}, Buffer, console: { log: (line: string) => lines.push(line) } };
    vm.runInNewContext(readFileSync(file, "utf8"), context);
    works(JSON.parse(lines.join("")) as Said);
    assert.match(lines.join(""), "ERR_SHIM_UNAVAILABLE");
  });
}

bundles("has the core and the software kernel without anything of Node, for browsers", async () => {
  const entry = home.write(
    "browser.mjs",
    `import { core, coreBuild } from "dma-window/core";
     import { modelKernel } from "dma-window/model";
     const kernel = modelKernel({ platform: "type1" });
     said = [coreBuild, core.alignUp(5n, 12), kernel.open("/dev/vfio/vfio") > 0, kernel.hash().length > 0];
    `,
  );
  // platform "browser": an import of Node's would fail here
  const result = await build({ entryPoints: [entry], bundle: true, write: false, platform: "browser", format: "iife" });
  const context: { said?: unknown[] } = {};
  vm.runInNewContext(result.outputFiles[0]?.text ?? "", context);
  assert.match(context.said?.join() ?? "", /^core(\.scalar)?,4096,true,true$/);
});

bundles.after(() => {
  home.remove();
  rmSync(outside, { recursive: true });
});
bundles.run();
