/** What the build of the core promises, and that `src/core.ts` is its true dictionary. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  chooseBuild,
  coreBuild,
  engineHasSimd,
  ListFlag,
  NO_ADDRESS,
  NOT_CALLED,
  Owner,
  readCore,
  Shape,
  Status,
} from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { coreFile } from "../support/core-files.ts";
import { eachBuild } from "./support.ts";

function source(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** `const NAME: type = 7;` of an assembly file, as numbers by name. */
function constants(path: string): Record<string, number> {
  const found = source(path).matchAll(/^(?:export )?const (\w+): [iu]32 = (\d+);$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

/** The entries of `from` whose names begin with `prefix`, without it. */
function withPrefix(prefix: string, from: Record<string, number>): Record<string, number> {
  const mine = Object.entries(from).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(mine.map(([name, value]) => [name.slice(prefix.length), value]));
}

function interfaceBody(): string {
  return source("src/core.ts").match(/interface CoreExports \{(.*?)^\}/ms)?.[1] ?? "";
}

/** The functions of the interface CoreExports: how many parameters each takes. */
function dictionary(): Record<string, number> {
  const found = interfaceBody().matchAll(/^ {2}(\w+)\(([^)]*)\):/gm);
  return Object.fromEntries(
    [...found].map(([, name, parameters = ""]) => [name, parameters.split(",").filter((each) => each.trim()).length]),
  );
}

/** What a process that imports the core says of it; what it says on its way out when it cannot. */
function inProcess(wanted: string | undefined): string {
  const { DMA_WINDOW_CORE: _, ...environment } = process.env;
  const program = `
    const { core, coreBuild } = await import(${JSON.stringify(new URL("../../src/core.ts", import.meta.url).href)});
    console.log([coreBuild, core.usesSimd()].join(" "));
  `;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    encoding: "utf8",
    env: wanted === undefined ? environment : { ...environment, DMA_WINDOW_CORE: wanted },
  });
  return run.status === 0 ? run.stdout.trim() : run.stderr;
}

const choice = suite("the build in use");

choice("is the one with SIMD where the engine runs SIMD, and otherwise the one without", () => {
  assert.is(inProcess(undefined), engineHasSimd() ? "core 1" : "core.scalar 0");
  assert.is(inProcess(""), inProcess(undefined));
});

choice("is the one without SIMD when DMA_WINDOW_CORE asks for it", () => {
  assert.is(inProcess("scalar"), "core.scalar 0");
  assert.is(chooseBuild("simd"), "core");
});

choice("is none, and says why, when DMA_WINDOW_CORE asks for one that there is not", () => {
  for (const wanted of ["SIMD", "asserts", "0", " scalar"]) {
    assert.throws(
      () => chooseBuild(wanted),
      (error: RangeError & { code: string }) =>
        error.code === "ERR_OUT_OF_RANGE" && error.message.includes(JSON.stringify(wanted)),
    );
  }
  const said = inProcess("fast");
  assert.match(said, 'The environment variable DMA_WINDOW_CORE must be unset, "simd" or "scalar"; got "fast"');
  assert.match(said, "ERR_CORE_UNAVAILABLE");
});

choice.run();

const text = suite("the builds as text");

text("are the files of dist/, to the byte", () => {
  for (const build of ["core", "core.scalar"] as const) assert.equal(readCore(build), coreFile(build));
  assert.equal(readCore(), coreFile(coreBuild));
});

text.run();

eachBuild("the build", (test, core, build) => {
  test("needs nothing from outside: not one import", () => {
    assert.equal(WebAssembly.Module.imports(new WebAssembly.Module(coreFile(build))), []);
  });

  test("exports the functions of the dictionary, with as many parameters, and nothing else but its memory", () => {
    const exported = Object.entries(new WebAssembly.Instance(new WebAssembly.Module(coreFile(build)), {}).exports);
    const functions = exported.filter(([, value]) => typeof value === "function");
    assert.equal(
      Object.fromEntries(functions.map(([name, value]) => [name, (value as () => void).length])),
      dictionary(),
    );
    assert.equal(
      exported.filter(([, value]) => typeof value !== "function").map(([name]) => name),
      ["memory"],
    );
  });

  test("has nothing in the first page of its memory, and its static data right behind it", () => {
    assert.ok(
      core
        .bytes()
        .subarray(0, 4096)
        .every((byte) => byte === 0),
    );
    assert.ok(core.structScratch() >= 4096);
    assert.is(core.structScratch() % 8, 0);
  });

  test("has the statuses, shapes, owners and flags of the dictionary", () => {
    assert.equal(constants("assembly/status.ts"), { ...Status });
    assert.equal(withPrefix("SHAPE_", constants("assembly/tce.ts")), { ...Shape });
    assert.equal(withPrefix("OWNER_", constants("assembly/requests.ts")), { ...Owner });
    const { EXTERNAL, HEAP } = constants("assembly/memsegs.ts");
    assert.equal({ EXTERNAL, HEAP }, { ...ListFlag });
  });

  test("writes the calls under the numbers of the seam", () => {
    const { MAP, UNMAP, REGISTER, UNREGISTER } = constants("assembly/calls.ts");
    assert.equal(
      { MAP, UNMAP, REGISTER, UNREGISTER },
      {
        MAP: VfioCall.IOMMU_MAP_DMA,
        UNMAP: VfioCall.IOMMU_UNMAP_DMA,
        REGISTER: VfioCall.IOMMU_SPAPR_REGISTER_MEMORY,
        UNREGISTER: VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY,
      },
    );
    assert.is(NOT_CALLED, 2 ** 31 - 1);
  });

  test("says that there is no address with all ones", () => {
    assert.is(core.windowTranslate(0, 0n), NO_ADDRESS);
  });

  test("gives every address, size and count as the u64 that it is, though wasm knows signed ones only", () => {
    const names = [...interfaceBody().matchAll(/^ {2}(\w+)\([^)]*\): bigint;/gms)].map(([, name]) => name);
    const [, list = ""] = source("src/core.ts").match(/const U64_RESULTS = \[(.*?)\]/s) ?? [];
    assert.equal([...list.matchAll(/"(\w+)"/g)].map(([, name]) => name).sort(), names.sort());
    assert.is(core.alignUp(1n << 63n, 0), 1n << 63n);
    assert.is(core.powerOfTwoAtLeast((1n << 63n) - 1n), 1n << 63n);
  });

  test("computes in vectors exactly when it is one with SIMD", () => {
    assert.is(core.usesSimd(), build === "core.scalar" ? 0 : 1);
  });

  if (build !== "core.asserts") {
    test("is at most 16 KiB", () => {
      assert.ok(coreFile(build).length <= 16384, `${coreFile(build).length} bytes`);
    });
  }
});
