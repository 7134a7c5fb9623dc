// Runs the tests: all, or those of some folders (node test/run.mjs plan kernels/hardware). Each folder is a process of its own, as
// many at a time as there are processors: so memory that one folder's tests leave to the collector is not the next one's burden.
//
// uvu ends with exit code 0 when its own reporter crashes, for example on a thrown value that is no Error; the rest of that
// file is then missing from the count. So what counts here is that as many tests passed as there are.
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const uvu = join(root, "node_modules/uvu/bin.js");
const colour = process.stdout.isTTY ? [] : ["--no-color"];

const files = readdirSync(join(root, "test"), { recursive: true }).filter((name) => name.endsWith(".test.ts"));
const asked = process.argv.slice(2).map((name) => name.replace(/^(\.\/)?test\//, "").replace(/\/+$/, ""));
const unknown = asked.filter((name) => testsIn(name).length === 0);
if (unknown.length > 0) {
  console.error(`no tests in ${unknown.join(", ")}; there are ${folders().sort().join(", ")}`);
  process.exit(2);
}

const waiting = asked.length > 0 ? [...new Set(asked)] : folders();
const sum = { total: 0, passed: 0, good: true };
await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, lane));
console.log(`\n${sum.passed} passed, ${sum.total - sum.passed} failed`);
process.exitCode = sum.good ? 0 : 1;

function testsIn(folder) {
  return files.filter((name) => name.startsWith(`${folder}/`));
}

/** The folders that have tests; those with the most text first, which take longest as a rule. */
function folders() {
  const bytes = (folder) => testsIn(folder).reduce((sum, name) => sum + statSync(join(root, "test", name)).size, 0);
  return [...new Set(files.map((name) => name.split("/")[0]))]
    .map((name) => ({ name, bytes: bytes(name) }))
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name }) => name);
}

async function lane() {
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    const { code, output } = await run(folder);
    const figure = (name) =>
      Number(output.match(new RegExp(`^ +${name}: +(?:\\x1b\\[\\d+m)*(\\d+)`, "m"))?.[1] ?? Number.NaN);
    const [total, passed] = [figure("Total"), figure("Passed")];
    const complete = total > 0 && passed === total;
    console.log(`\n--- test/${folder}\n${output}`);
    if (code === 0 && !complete)
      console.log(`uvu lost tests: ${passed} of ${total} passed, and none was reported as failed`);
    sum.total += total || 1;
    sum.passed += passed || 0;
    sum.good &&= code === 0 && complete;
  }
}

/** A folder's tests, and all that they say. */
function run(folder) {
  const args = ["--import", "tsx", uvu, ...colour, `test/${folder}`, "\\.test\\.ts$"];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}
