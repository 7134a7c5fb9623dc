/**
 * All tests on every Node that is supported, with the shim that is built: Node-API is the same on all. Left out are those of what no
 * user's Node runs: the page in a browser, the harness of the guests, the bench, and the documents' commands, which npm test runs.
 *
 *     npm run test:nodes             all but the one that runs this
 *     npm run test:nodes -- 22 26    these
 */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Engine, NODES, node } from "./binaries.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const own = Number(process.versions.node.split(".")[0]);
const ELSEWHERE = new Set(["playground", "kernels", "bench", "documents"]);
const folders = readdirSync(join(root, "test"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !ELSEWHERE.has(entry.name))
  .map(({ name }) => name)
  .filter((name) =>
    readdirSync(join(root, "test", name), { recursive: true }).some((file) => /\.test\.ts$/.test(String(file))),
  );
const words = process.argv.slice(2);
const majors = words.length > 0 ? words.map(Number) : NODES.filter((major) => major !== own);

interface Outcome {
  readonly name: string;
  readonly good: boolean;
  readonly said: string;
}

/** Runs all tests, with a copy where everybody may run it: some start programs as nobody, who may not enter a home's cache. */
async function run({ command, ...engine }: Engine): Promise<Outcome> {
  const copy = mkdtempSync(join(tmpdir(), "dma-window-node-"));
  try {
    chmodSync(copy, 0o755);
    cpSync(join(dirname(command), ".."), copy, { recursive: true });
    return await runTests({ ...engine, command: join(copy, "bin/node") });
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** The tests see this Node also where they start `node` or `npm` by name. */
async function runTests({ command, version }: Engine): Promise<Outcome> {
  const name = `Node ${version}`;
  console.log(`\n=== ${name}: npm test`);
  const begun = performance.now();
  const path = `${dirname(command)}${delimiter}${process.env.PATH}`;
  const child = spawn(command, ["test/run.mjs", ...folders], {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    process.stdout.write(text);
    last = `${last}${text}`.slice(-1000);
  });
  const code = await new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.on("close", (status, signal) => resolve(status ?? signal)),
  );
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
  const sum = /\d+ passed, \d+ failed(?!.*passed)/s.exec(last)?.[0] ?? `ended with ${code}`;
  console.log(`=== ${name}: ${minutes} min`);
  return { name, good: code === 0, said: `${sum}, ${minutes} min` };
}

async function on(major: number): Promise<Outcome> {
  let engine: Engine;
  try {
    if (!(NODES as readonly number[]).includes(major)) throw new Error(`supported are ${NODES.join(", ")}`);
    engine = node(major);
  } catch (error) {
    return { name: `Node ${major}`, good: false, said: `not run: ${(error as Error).message}` };
  }
  return run(engine);
}

const outcomes: Outcome[] = [];
for (const major of majors) outcomes.push(await on(major));

console.log("\nall tests, with the shim of this machine:");
for (const { name, good, said } of outcomes) console.log(`  ${name.padEnd(14)} ${good ? "good  " : "FAILED"} ${said}`);
process.exitCode = outcomes.every(({ good }) => good) ? 0 : 1;
