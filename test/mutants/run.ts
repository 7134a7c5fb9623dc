/**
 * Breaks the library on purpose, in a copy, one way at a time, and looks whether the test that should notice does.
 *
 *     npm run mutants                 all of them
 *     npm run mutants -- struct       those whose words, or whose files, contain "struct"
 *
 * A test that fails with a mutant and passes without it is a test that can fail; the list is mutants.ts.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { mutants } from "./mutants.ts";

/**
 * What a test plays at random it plays the same here each time: whether a mutant is noticed must not depend on luck. Where it is not
 * noticed with these numbers, another test has to notice it, and not other numbers.
 */
const SEED = "1";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2] ?? "";
const chosen = mutants.filter(({ broken, file }) => broken.includes(wanted) || file.includes(wanted));
const queue = [...chosen];
const missed: string[] = [];

/** A whole checkout, but for what is only read. */
function copy(): string {
  const tree = mkdtempSync(join(tmpdir(), "dma-window-mutant-"));
  for (const part of ["assembly", "bench", "dist", "docs", "examples", "lib", "shim", "src", "test", "tools"])
    cpSync(join(root, part), join(tree, part), { recursive: true });
  for (const part of [
    "asconfig.alloc.json",
    "asconfig.shared.json",
    "asconfig.json",
    "LICENSE",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
  ])
    cpSync(join(root, part), join(tree, part));
  for (const part of ["node_modules", "build"]) symlinkSync(join(root, part), join(tree, part));
  return tree;
}

interface Outcome {
  readonly code: number | string;
  readonly said: string;
}

function run(tree: string, command: string, ...parameters: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, DMA_WINDOW_SEED: SEED };
    execFile(command, parameters, { cwd: tree, env, timeout: 120_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? 1), said: stdout + stderr }),
    );
  });
}

/** A draft: the builds with asserts stay as they were, so it is the release that has to be noticed. */
const build = (tree: string, file: string) =>
  run(tree, process.execPath, "tools/build.mjs", "draft", file.startsWith("assembly/alloc/") ? "alloc" : "core");

/**
 * Whether the test passes, up to the first that does not: one is enough. uvu can end with 0 having lost tests, so a test that ran is one
 * that says how many passed.
 */
async function passes(tree: string, test: string): Promise<boolean> {
  const [, folder, file] = /^(.*)\/([^/]+)$/.exec(test) as unknown as [string, string, string];
  const only = `^${file.replaceAll(".", "\\.")}$`;
  const uvu = "node_modules/uvu/bin.js";
  const { code, said } = await run(tree, process.execPath, "--import", "tsx", uvu, folder, only, "--bail");
  return code === 0 && /Passed: +[1-9]/.test(stripVTControlCharacters(said));
}

/** What passed without any mutant: it need not be asked again, each copy is the same. */
const sound = new Map<string, Promise<boolean>>();

function isSound(tree: string, test: string): Promise<boolean> {
  const asked = sound.get(test) ?? passes(tree, test);
  sound.set(test, asked);
  return asked;
}

async function work(): Promise<void> {
  const tree = copy();
  try {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const { broken, file, from, to, noticedBy } = mutant;
      const path = join(tree, file);
      const text = readFileSync(path, "utf8");
      const inCore = file.startsWith("assembly/");
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
      const built = inCore ? await build(tree, file) : { code: 0, said: "" };
      const noticed = built.code === 0 && !(await passes(tree, noticedBy));
      writeFileSync(path, text);
      if (inCore) {
        for (const part of ["dist", "src/alloc-shared-wasm.ts", "src/alloc-wasm.ts", "src/core-wasm.ts"])
          cpSync(join(root, part), join(tree, part), { recursive: true });
      }
      // Alone it has to pass, or its failing says nothing of the mutant.
      const alone = noticed && (await isSound(tree, noticedBy));
      const verdict =
        built.code !== 0 ? "does not build" : !noticed ? "NOT NOTICED" : alone ? "noticed" : "fails without it";
      if (verdict !== "noticed") missed.push(broken);
      console.log(`${verdict.padEnd(16)} ${broken}  (${noticedBy})`);
      if (built.code !== 0) console.log(built.said);
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

await Promise.all(Array.from({ length: Math.min(availableParallelism(), chosen.length) }, work));
console.log(`\n${chosen.length - missed.length} of ${chosen.length} mutants were noticed`);
process.exitCode = missed.length === 0 && chosen.length > 0 ? 0 : 1;
