/** What Node says of an error that nobody catches: the line that threw it, and the stack. The code that is published is made small. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { execute, Home } from "./installed.ts";

const COLUMNS = 200;

const home = new Home();
const uncaught = suite("an error that nobody catches");

const programs: Readonly<Record<string, readonly [program: string, code: string, stack: RegExp]>> = {
  "of a group that is not there": [
    'openContainer({ kernel: modelKernel({ platform: "type1" }), groups: [99] });',
    "ERR_KERNEL",
    /^ {4}at Groups\.join /m,
  ],
  "of a table that is closed": [
    "const memory = new MemsegTable({ kernel: modelKernel() }); memory.close(); memory.addList({ pageSize: 4096, maxBytes: 4096n });",
    "ERR_CLOSED",
    /^ {4}at MemsegTable\.addList /m,
  ],
  "of a plan that cannot be": [
    'planWindow({ memory: new MemsegTable({ kernel: modelKernel() }), info: { kind: "type1" } });',
    "ERR_",
    /^ {4}at .*uncaught\.mjs:2:\d+\)?$/m,
  ],
  "of an argument of another type": [
    "new MemsegTable({ kernel: 7 });",
    "ERR_INVALID_ARG_TYPE",
    /^ {4}at new MemsegTable /m,
  ],
  "of an option that is misspelt": ["modelKernel({ platfrom: 1 });", "ERR_", /^ {4}at .*uncaught\.mjs:2:\d+\)?$/m],
  "of a heap of nothing": ["new DmaHeap({});", "ERR_INVALID_ARG_TYPE", /^ {4}at new DmaHeap /m],
};

for (const [name, [program, code, stack]] of Object.entries(programs)) {
  uncaught(`shows a short line, and what to look for (${name})`, () => {
    const file = home.write(
      "uncaught.mjs",
      `import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";\n${program}\n`,
    );
    const { status, stderr } = execute(process.execPath, [file]);
    assert.is(status, 1);
    assert.match(stderr, new RegExp(code));
    assert.match(stderr, stack);
    const lines = stderr.split("\n");
    const caret = lines.findIndex((line) => /^\s*\^+$/.test(line));
    assert.ok(caret > 0, stderr);
    for (const line of lines.slice(0, caret + 1)) assert.ok(line.length <= COLUMNS, line);
  });
}

uncaught("could show no other line: none that is longer has a throw", () => {
  const lib = join(home.package, "lib");
  const files = (readdirSync(lib, { recursive: true }) as string[]).filter((name) => name.endsWith(".js"));
  assert.ok(files.length > 5);
  for (const name of files) {
    const long = readFileSync(join(lib, name), "utf8")
      .split("\n")
      .filter((line) => line.length > COLUMNS);
    for (const line of long) assert.not.match(line, /\bthrow\b/, `${name}: ${line}`);
    assert.ok(long.length < 30, `${name} has ${long.length} long lines`);
  }
});

uncaught("is of a class that says its name", () => {
  const file = home.write(
    "names.mjs",
    `import * as all from "dma-window";
     for (const [name, one] of Object.entries(all))
       if (typeof one === "function" && /^class\\b/.test(String(one)) && one.name !== name) console.log(name, one.name);`,
  );
  assert.is(execute(process.execPath, [file]).stdout, "");
});

uncaught.after(() => home.remove());
uncaught.run();
