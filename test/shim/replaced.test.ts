/** Programs that replace built-ins of the language, or say other things of a view: no view lives longer than its memory. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withShim } from "./native.ts";

/** Each replaces something; what it gives is a view that the program keeps. A replacement that throws is another one. */
const ways: Readonly<Record<string, string>> = {
  "values of a Map": "Map.prototype.values = function* () {}",
  "forEach of a Map": "Map.prototype.forEach = () => {}",
  "forEach of a Set": "Set.prototype.forEach = () => {}",
  "the iterator of a Set": "Set.prototype[Symbol.iterator] = function* () {}",
  "has of a Map": "Map.prototype.has = () => false",
  "get of a WeakMap": "WeakMap.prototype.get = () => undefined",
  "Reflect.apply": "Reflect.apply = () => 0",
  "call of a function": "Function.prototype.call = () => 0",
  "filter of an array": "Array.prototype.filter = () => []",
  "filter of an array, throwing": "Array.prototype.filter = () => { throw new Error('replaced'); }",
  "push of an array": "Array.prototype.push = () => 0",
  "some of an array": "Array.prototype.some = () => false",
  "sort of an array": "Array.prototype.sort = () => []",
  "the iterator of an array": "Array.prototype[Symbol.iterator] = function* () {}",
  "a setter for new indexes": "Object.defineProperty(Array.prototype, 0, { configurable: true, set() {} })",
  "BigInt.asUintN": "BigInt.asUintN = () => 0n",
  "Uint8Array[Symbol.hasInstance]":
    "Object.defineProperty(Uint8Array, Symbol.hasInstance, { value: () => false, configurable: true })",
  "byteLength of a view": "Object.defineProperty(view, 'byteLength', { get() { throw new Error('replaced'); } })",
  "buffer of a view": "Object.defineProperty(view, 'buffer', { value: new ArrayBuffer(8) })",
  "the class of a view": "Object.setPrototypeOf(view, DataView.prototype)",
  "no class of a view": "Object.setPrototypeOf(view, null)",
  "the class of a buffer": "Object.setPrototypeOf(buffer, SharedArrayBuffer.prototype)",
};

const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)));

/** For each end of a segment: the view is moved or not, something is replaced, and the view is written to. */
const program = (replacing: string) => `
  import { linuxKernel } from ${source("linux/index.ts")};
  import { MemsegTable } from ${source("memory/table.ts")};
  import { writeSync } from "node:fs";
  const objects = [Map, Set, WeakMap, Array, Function].map(({ prototype }) => prototype).concat(Reflect, BigInt, Uint8Array);
  const before = objects.map((object) => [object, Object.getOwnPropertyDescriptors(object)]);
  const restore = () => {
    for (let i = 0; i < before.length; i++) Object.defineProperties(before[i][0], before[i][1]);
    delete Array.prototype[0];
    delete Uint8Array[Symbol.hasInstance];
  };
  for (const moves of [false, true]) {
    for (const end of ["free", "close", "free and allocate"]) {
      const memory = new MemsegTable({ kernel: linuxKernel() });
      const list = memory.addList({ pageSize: 4096, maxBytes: 1 << 16 });
      const segment = memory.allocate(list, 1);
      const view = segment.bytes;
      const buffer = view.buffer;
      const fixed = new Uint8Array(buffer);
      const moved = moves && buffer.transfer ? new Uint8Array(buffer.transfer()) : undefined;
      ${replacing};
      try { if (end !== "close") memory.free(segment); } catch {}
      let next;
      try { if (end === "free and allocate") next = memory.allocate(list, 1); } catch {}
      try { if (next) memory.free(next); } catch {}
      try { if (end === "close") memory.close(); } catch {}
      restore();
      fixed[0] = 1;
      if (moved) moved[0] = 1;
      try { memory.close(); } catch {}
      fixed[0] = 1;
      if (moved) moved[0] = 1;
    }
  }
  writeSync(1, "whole");`;

withShim(
  () => {
    for (const [what, replacing] of Object.entries(ways)) {
      test(`after a program has replaced ${what} its views end before their memory, or both stay`, () => {
        const child = spawnSync(
          process.execPath,
          ["--import", "tsx", "--input-type=module", "-e", program(replacing)],
          {
            encoding: "utf8",
            cwd: fileURLToPath(new URL("../..", import.meta.url)),
            timeout: 60_000,
          },
        );
        assert.equal([child.signal, child.stdout], [null, "whole"], child.stderr.slice(-2000));
      });
    }
  },
  "view()",
  (kernel) => kernel.view(4096n, 4096n),
);

test.run();
