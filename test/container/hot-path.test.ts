/** The program of README's section on hot paths does what it says there. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ready } from "../support/program.ts";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("README's rows are mapped and unmapped, and its questions are answered", () => {
  const [, section = ""] = /## In a hot path\n([\s\S]*?)\n## /.exec(README) ?? [];
  const [, program = ""] = /```js\n([\s\S]*?)```/.exec(section) ?? [];
  assert.match(program, "window.mapInto(");
  const { program: machine, window, va } = ready();
  window.map({ va, length: 4096n, iova: 0x5000n });
  machine.record.take();
  const said: string[] = [];
  const run = new Function("window", "segment", "buffers", "console", `"use strict"; ${program}`);
  run(window, { va }, va + 0x2000n, { log: (line: string) => said.push(line) });
  assert.equal(said, ["TCE 5 of the window"]);
  const calls = machine.record.takeNames();
  assert.is(calls.filter((call) => call === "MAP_DMA").length, 16);
  assert.is(calls.filter((call) => call === "UNMAP_DMA").length, 16);
  assert.is(window.liveBytes, 4096n);
});

test.run();
