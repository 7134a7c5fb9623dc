/** What a segment shows, and copies: parts of it, all of it, more than one array holds, and with kernels that cannot do either. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";
import type { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument, thrownBy } from "../support/failure.ts";
import { GiB, MiB } from "../support/program.ts";

const PAGE = 4096;

function allocated(pages = 2, kernel: Syscalls = modelKernel()) {
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 16 * PAGE });
  return { memory, list, segment: memory.allocate(list, pages) };
}

/** As a kernel of version 0.1.0 was: none of what came later. */
function older(kernel: Syscalls): Syscalls {
  return new Proxy(kernel, {
    get(target, name) {
      if (name === "populate" || name === "read" || name === "write") return undefined;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** As on an engine that shows no memory but its own. */
function caged(kernel: Syscalls): Syscalls {
  return new Proxy(kernel, {
    get(target, name) {
      if (name === "view") {
        return () => {
          throw new DmaWindowError("ERR_NO_EXTERNAL_BUFFERS", "use read and write");
        };
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("a part is the memory itself: from an offset to a length, or to the end", () => {
  const { memory, segment } = allocated();
  segment.bytes[PAGE + 5] = 7;
  const part = segment.view(PAGE + 5, 2);
  assert.equal([part.length, part[0]], [2, 7]);
  part[1] = 8;
  assert.is(segment.bytes[PAGE + 6], 8);
  assert.is(segment.view(BigInt(PAGE)).length, PAGE);
  assert.is(segment.view().length, 2 * PAGE);
  assert.is(segment.view(2 * PAGE).length, 0);
  assert.is(segment.view(3, 0).length, 0);
  memory.free(segment);
  assert.equal([part.length, segment.freed], [0, true]);
  for (const ask of [() => segment.view(0, 1), () => segment.bytes]) failure("ERR_FREED", ask);
});

test("a part that is not within the segment, or no size, is refused", () => {
  const { segment } = allocated();
  for (const [offset, length] of [
    [2 * PAGE + 1, 0],
    [0, 2 * PAGE + 1],
    [PAGE, PAGE + 1],
    [2n ** 64n - 1n, 1],
    [1, 2n ** 64n - 1n],
  ] as const) {
    assert.is(thrownBy(() => segment.view(offset, length)).code, "ERR_OUT_OF_RANGE", `${offset} ${length}`);
  }
  for (const [, value] of badValues()) {
    if (value === undefined) continue;
    refusesArgument(() => segment.view(value as never, 1));
    refusesArgument(() => segment.view(0, value as never));
    refusesArgument(() => segment.read(value as never, new Uint8Array(1)));
  }
});

for (const [kind, kernel] of [
  ["the model", () => modelKernel()],
  ["a kernel that does not copy", () => older(modelKernel())],
] as const) {
  test(`copies go out of the memory and into it, across pages, on ${kind}`, () => {
    const { memory, segment } = allocated(2, kernel());
    const written = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
    segment.write(PAGE - 50, written);
    assert.equal(segment.bytes.subarray(PAGE - 50, PAGE + 50), written);
    const into = new Uint8Array(102).subarray(1, 101);
    segment.read(BigInt(PAGE - 50), into);
    assert.equal(into, written);
    assert.equal([new Uint8Array(into.buffer)[0], new Uint8Array(into.buffer)[101]], [0, 0]);
    segment.read(2 * PAGE, new Uint8Array(0));
    for (const copy of ["read", "write"] as const) {
      assert.is(thrownBy(() => segment[copy](PAGE, new Uint8Array(PAGE + 1))).code, "ERR_OUT_OF_RANGE");
      assert.is(thrownBy(() => segment[copy](2 * PAGE + 1, new Uint8Array(0))).code, "ERR_OUT_OF_RANGE");
      assert.is(thrownBy(() => segment[copy](2n ** 64n - 1n, new Uint8Array(2))).code, "ERR_OUT_OF_RANGE");
      for (const no of [[], new Uint16Array(1), new ArrayBuffer(8), new DataView(new ArrayBuffer(8)), undefined, {}]) {
        assert.is(thrownBy(() => segment[copy](0, no as never)).code, "ERR_INVALID_ARG_TYPE");
      }
    }
    memory.free(segment);
    failure("ERR_FREED", () => segment.read(0, into));
    failure("ERR_FREED", () => segment.write(0, into));
  });
}

test("an array's own length is believed, and nothing that is said in its name", () => {
  const { segment } = allocated(1);
  const lies = { value: 1 << 30 };
  segment.read(0, Object.defineProperties(new Uint8Array(8), { length: lies, byteLength: lies }));
  class Sub extends Uint8Array {
    override get byteLength() {
      return 0;
    }
  }
  assert.is(thrownBy(() => segment.read(0, new Sub(PAGE + 1))).code, "ERR_OUT_OF_RANGE");
  const proxy = new Proxy(new Uint8Array(8), {});
  assert.is(thrownBy(() => segment.read(0, proxy)).code, "ERR_INVALID_ARG_TYPE");
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.is(thrownBy(() => segment.read(0, gone)).code, "ERR_INVALID_ARG_TYPE");
  segment.write(0, Buffer.from("as a Buffer"));
  const text = Buffer.alloc(11);
  segment.read(0, text);
  assert.is(text.toString(), "as a Buffer");
});

test("where memory cannot be shown it can be copied, and the error says so", () => {
  const { segment } = allocated(1, caged(modelKernel()));
  for (const ask of [() => segment.bytes, () => segment.view(0, 8)]) failure("ERR_NO_EXTERNAL_BUFFERS", ask);
  segment.write(8, Uint8Array.of(1, 2));
  const into = new Uint8Array(3);
  segment.read(7, into);
  assert.equal([...into], [0, 1, 2]);
});

test("a segment of more than one array holds is shown in parts, wherever they begin", () => {
  const kernel = modelKernel({ hugepages: { 30: 9 } });
  const memory = new MemsegTable({ kernel });
  const segment = memory.allocate(memory.addList({ pageSize: GiB, maxBytes: 9n * GiB }), 9);
  const error = failure("ERR_TOO_LARGE", () => segment.bytes);
  assert.equal(error.facts, { length: 9n * GiB, longest: 4n * GiB });
  assert.match(error.message, /view\(offset, length\)/);
  assert.is(thrownBy(() => segment.view(0, 4n * GiB + 1n)).code, "ERR_OUT_OF_RANGE");
  segment.write(4n * GiB - 1n, Uint8Array.of(1, 2, 3));
  const across = segment.view(4n * GiB - 2n, 4);
  assert.equal([...across], [0, 1, 2, 3]);
  assert.is(segment.view(4n * GiB - 2n, 4).buffer, across.buffer);
  const near = segment.view(4n * GiB + 1n, MiB);
  assert.is(near[0], 3);
  segment.view(9n * GiB - 1n)[0] = 9;
  const last = new Uint8Array(2);
  segment.read(9n * GiB - 2n, last);
  assert.equal([...last], [0, 9]);
  memory.free(segment);
  assert.equal([across.length, near.length], [0, 0]);
  memory.close();
});

test("a segment is what it was made: it cannot be made by others, or changed", () => {
  const { memory, list, segment } = allocated();
  const Made = segment.constructor as unknown as new (...parts: unknown[]) => Segment;
  assert.throws(() => new Made(undefined, modelKernel(), list, 4096n, 4096n), /made by allocate/);
  for (const [name, value] of Object.entries({ va: 0x1000n, length: GiB, list: undefined, freed: true, bytes: 1 })) {
    assert.throws(() => Object.assign(segment, { [name]: value }), TypeError);
  }
  assert.throws(() => Object.defineProperty(segment, "va", { value: 1n }), TypeError);
  assert.is("end" in segment, false);
  memory.free(segment);
});

test.run();
