/** The program of docs/using.md's section on hot paths does what it says there. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ready } from "../support/program.ts";

const USING = readFileSync(new URL("../../docs/using.md", import.meta.url), "utf8");

test("docs/using.md's rows are mapped and unmapped, and its questions are answered", () => {
  const [, section = ""] = /## In a hot path\n([\s\S]*?)\n## /.exec(USING) ?? [];
  const [, program = ""] = /```js\n([\s\S]*?)```/.exec(section) ?? [];
  assert.match(program, "window.mapInto(");
  const { program: machine, window, va } = ready();
  // A list of one page, which gets the lowest place behind what is mapped.
  window.map({ va: va + 0x1000n, length: 0x5000n, iova: 0n });
  const memory = machine.memory();
  const hugepages = memory.addList({ base: va, pageSize: 4096, maxBytes: 4096 });
  machine.container.attach(memory);
  memory.add(hugepages, { va, length: 4096n });
  machine.record.take();
  const said: string[] = [];
  const names = ["window", "segment", "hugepages", "noIommu", "buffers", "console"];
  const run = new Function(...names, `"use strict"; ${program}; return rows.iovas[0];`);
  const log = (line: string) => said.push(line);
  assert.is(run(window, { va }, hugepages, false, va + 0x6000n, { log }), window.iovaOf(va));
  assert.equal(said, ["TCE 5 of the window"]);
  const calls = machine.record.takeNames();
  assert.is(calls.filter((call) => call === "MAP_DMA").length, 16);
  assert.is(calls.filter((call) => call === "UNMAP_DMA").length, 16);
  assert.is(window.liveBytes, 0x6000n);
});

test.run();
