/** The declarations under the settings that programs have: no library of browsers, no types of Node, no skipped checks. */
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "./imports.ts";
import { execute, Home } from "./installed.ts";

const home = new Home();
symlinkSync(join(root, "node_modules/@types"), join(home.at, "node_modules/@types"));
symlinkSync(join(root, "node_modules/undici-types"), join(home.at, "node_modules/undici-types"));

const programs = {
  core: `import { type Core, type CoreBuild, core, coreBuild, instantiateCore, readCore, Status } from "dma-window/core";
    const build: CoreBuild = coreBuild;
    const own: Core = instantiateCore(readCore(build));
    const bytes: ArrayBuffer = own.memory.buffer;
    export const all: readonly [number, bigint, string, number] = [Status.OK, core.alignUp(5n, 12), build, bytes.byteLength];`,
  library: `import { type Container, linuxKernel, MemsegTable, modelKernel, openContainer, planWindow, type Window } from "dma-window";
    const kernel = Math.random() > 2 ? linuxKernel({ shim: "x" }) : modelKernel({ platform: "type1" });
    const container: Container = openContainer({ kernel, groups: [26] });
    const memory = new MemsegTable({ kernel });
    memory.addList({ pageSize: 4096n, maxBytes: 1n << 20n });
    const window: Window = container.createWindow(planWindow({ memory, info: container.info() }));
    export const iova: bigint = window.map({ va: 4096n, length: 4096n });
    for (const one of [window.requests(16), window, container, memory]) one.close();`,
  model: `import { modelKernel } from "dma-window/model";
    export const hash: string = modelKernel({ platform: "powernv" }).hash();`,
  trace: `import { recordTrace } from "dma-window/trace";
    import { modelKernel } from "dma-window/model";
    export const kernel = recordTrace(modelKernel(), () => {});`,
  disposing: `import { MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";
    const kernel = modelKernel({ platform: "type1" });
    using memory = new MemsegTable({ kernel });
    memory.addList({ pageSize: 4096n, maxBytes: 1n << 20n });
    using container = openContainer({ kernel, groups: [26] });
    using window = container.createWindow(planWindow({ memory, info: container.info() }));
    using rows = window.requests(16);
    export const capacity: number = rows.capacity;`,
} as const;

for (const [name, text] of Object.entries(programs)) home.write(`${name}.ts`, text);

const files = (...names: readonly (keyof typeof programs)[]) => names.map((name) => `${name}.ts`);
const common = files("core", "library", "model", "trace");

/** Compiles as a program would, with all declarations looked at too. Gives what the compiler says. */
function compile(names: readonly string[], ...options: readonly string[]): string {
  const always = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "false",
    "--target",
    "es2022",
    "--exactOptionalPropertyTypes",
  ];
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  return execute(process.execPath, [tsc, ...always, ...options, ...names], { cwd: home.at }).stdout;
}

const types = suite("the types");

const modules = {
  node16: ["--module", "node16", "--moduleResolution", "node16"],
  nodenext: ["--module", "nodenext"],
  bundler: ["--module", "esnext", "--moduleResolution", "bundler"],
} as const;

for (const [name, module] of Object.entries(modules)) {
  types(`hold with the library of es2022 alone, with and without Node's types (${name})`, () => {
    assert.is(compile(common, ...module, "--lib", "es2022", "--types", "node"), "");
    assert.is(compile(common, ...module, "--lib", "es2022", "--types", ""), "");
  });
}

types("hold where the library of browsers is known too", () => {
  assert.is(compile(common, ...modules.bundler, "--lib", "es2023,dom", "--types", ""), "");
});

types(
  "let `using` close what has close(), where TypeScript knows Symbol.dispose: from its library, or from Node 20's types",
  () => {
    const all = [...common, ...files("disposing")];
    assert.is(compile(all, ...modules.nodenext, "--lib", "es2022,esnext.disposable", "--types", ""), "");
    assert.is(compile(all, ...modules.nodenext, "--lib", "es2022", "--types", "node"), "");
    assert.match(compile(all, ...modules.nodenext, "--lib", "es2022", "--types", ""), /global type 'Disposable'/);
  },
);

types("add nothing to what is global", () => {
  home.write("global.ts", `${programs.library.replace("Math.random() > 2", "true")}\nexport const not = WebAssembly;`);
  assert.match(
    compile(["global.ts"], ...modules.nodenext, "--lib", "es2022", "--types", ""),
    /global\.ts.*Cannot find name 'WebAssembly'/,
  );
});

types.after(() => home.remove());
types.run();
