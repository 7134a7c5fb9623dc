// Runs the tests: all, or those of one folder (node test/run.mjs plan).
//
// uvu ends with exit code 0 when its own reporter crashes, for example on a thrown value that is no Error; the rest of that
// file is then missing from the count. So what counts here is that as many tests passed as there are.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const folder = process.argv[2] === undefined ? "test" : `test/${process.argv[2]}`;
const uvu = fileURLToPath(new URL("../node_modules/uvu/bin.js", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
const run = spawn(process.execPath, ["--import", "tsx", uvu, folder, "\\.test\\.ts$"], {
  cwd: root,
  stdio: ["inherit", "pipe", "inherit"],
});

let output = "";
run.stdout.setEncoding("utf8").on("data", (text) => {
  process.stdout.write(text);
  output += text;
});

run.on("close", (code) => {
  const figure = (name) =>
    Number(output.match(new RegExp(`^ +${name}: +(?:\\x1b\\[\\d+m)*(\\d+)`, "m"))?.[1] ?? Number.NaN);
  const total = figure("Total");
  const passed = figure("Passed");
  const complete = total > 0 && passed === total;
  if (code === 0 && !complete)
    console.log(`uvu lost tests: ${passed} of ${total} passed, and none was reported as failed`);
  console.log(`\n${passed} passed, ${total - passed} failed`);
  process.exitCode = code === 0 && complete ? 0 : 1;
});
