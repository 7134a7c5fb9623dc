/** Two copies of the package in one process: an object of one is refused by the other with words that say so. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/copies.ts";
import type * as Library from "../../src/index.ts";
import { thrownBy } from "../support/failure.ts";
import { root } from "./imports.ts";

const there = mkdtempSync(join(tmpdir(), "dma-window-copies-"));
cpSync(join(root, "dist"), join(there, "dist"), { recursive: true });
writeFileSync(join(there, "package.json"), '{ "type": "module" }');

const load = (from: string): Promise<typeof Library> => import(pathToFileURL(join(from, "dist/index.js")).href);

test("the version that a copy says is the package's", () => {
  assert.is(VERSION, JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
});

test("objects of the other copy are named as such wherever one is asked for", async () => {
  const [one, other] = await Promise.all([load(root), load(there)]);
  const kernel = one.modelKernel();
  const container = one.openContainer({ kernel, groups: [26] });
  const memory = new one.MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 4096n, maxBytes: 65536n });
  const segment = memory.allocate(list, 1);
  const window = container.createWindow(one.planWindow({ memory, info: container.info(), growTo: 1n << 30n }));

  const second = other.modelKernel();
  const theirs = other.openContainer({ kernel: second, groups: [26] });
  const table = new other.MemsegTable({ kernel: second });
  const mine = table.allocate(table.addList({ pageSize: 4096n, maxBytes: 65536n }), 1);
  const place = theirs.createWindow(other.planWindow({ memory: table, info: theirs.info(), growTo: 1n << 30n }));
  const refusals: readonly [string, () => unknown][] = [
    ["Segment", () => memory.free(mine as never)],
    ["MemsegTable", () => container.attach(table as never)],
    ["MemsegTable", () => container.detach(table as never)],
    ["Window", () => container.attach(memory, place as never)],
    ["Segment", () => table.free(segment as never)],
    ["MemsegTable", () => theirs.attach(memory as never)],
    ["Window", () => theirs.attach(table, window as never)],
    ["Container", () => one.openContainer({ kernel: theirs as never, groups: [26] })],
  ];
  for (const [name, run] of refusals) {
    const error = thrownBy(run);
    assert.is(error.code, "ERR_INVALID_ARG_TYPE");
    assert.match(error.message, `got a ${name} of another copy of dma-window (both ${VERSION})`);
  }
  // Plans, kernels and memory as facts are plain: they may come from anywhere.
  window.close();
  container.createWindow(other.planWindow({ memory: memory as never, info: container.info(), growTo: 1n << 30n }));
  const shared = other.openContainer({ kernel: one.modelKernel(), groups: [26] });
  assert.is(shared.kind, "spapr");
});

test("an object of the same copy at the wrong place is named by its class, and a foreign one as before", async () => {
  const one = await load(root);
  const kernel = one.modelKernel();
  const container = one.openContainer({ kernel, groups: [26] });
  assert.match(thrownBy(() => new one.MemsegTable().free(container as never)).message, "got a Container");
  container.createWindow(one.planWindow({ memory: new one.MemsegTable(), info: container.info(), growTo: 1n << 30n }));
  class MemsegTable {}
  assert.match(thrownBy(() => container.attach(new MemsegTable() as never)).message, "got an object (MemsegTable)");
  const hostile = {
    get constructor(): never {
      throw new Error("not now");
    },
  };
  assert.match(thrownBy(() => container.attach(hostile as never)).message, "got an object that cannot be read");
  rmSync(there, { recursive: true });
});

test.run();
