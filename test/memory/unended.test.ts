/** Views that cannot be ended: the interface throws. Their addresses are nobody else's until they have ended all the same. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { failure } from "../support/failure.ts";

const PAGE = 4096n;
const RW = Protection.READ | Protection.WRITE;

class Broken extends Through {
  breaks: (view: Uint8Array) => boolean = () => true;
  /** Whether `seen` of what unview gives throws; `undefined`: it gives nothing. */
  throws: boolean | undefined;
  refuses: (call: Passing) => boolean = () => false;
  readonly calls: string[] = [];

  override unview(view: Uint8Array): unknown {
    if (this.breaks(view)) throw new Error("broke");
    this.inner.unview(view);
    if (this.throws === undefined) return undefined;
    const seen = () => {
      if (this.throws) throw new Error("nobody knows");
      return false;
    };
    return { moved: false, seen };
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    if (this.refuses(call)) throw new Error("broke too");
    this.calls.push(`${call.name} ${call.protection ?? ""} ${call.va}+${call.length}`);
    return make();
  }
}

function table(pages = 4n) {
  const kernel = new Broken(modelKernel());
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: pages * PAGE });
  const segment = memory.allocate(list, 2);
  return { kernel, memory, list, segment, bytes: segment.bytes.fill(1) };
}

const hex = (va: bigint) => `0x${va.toString(16)}`;

test("a view that cannot be ended keeps its addresses, over harmless memory, and free says so", () => {
  const { kernel, memory, list, segment, bytes } = table();
  const error = failure("ERR_INTERFACE", () => memory.free(segment));
  assert.is(error.residue?.left.length, 1);
  assert.match(
    error.residue?.left[0] ?? "",
    `a view of 8 KiB of memory at ${hex(segment.va)} may be left, and its addresses are kept`,
  );
  assert.equal([segment.freed, memory.size, bytes.length], [true, 0, 8192]);
  assert.is(kernel.calls.at(-1), `mmap ${RW} ${segment.va}+${segment.length}`);
  const next = memory.allocate(list, 2);
  assert.is(next.va, segment.va + segment.length);
  failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
  kernel.breaks = () => false;
  assert.is(memory.allocate(list, 2).va, segment.va);
  assert.is(bytes.length, 0);
});

test("one that is ended at the second attempt leaves nothing", () => {
  const { kernel, memory, list, segment, bytes } = table();
  let attempts = 0;
  kernel.breaks = () => attempts++ === 0;
  memory.free(segment);
  assert.is(bytes.length, 0);
  assert.is(memory.allocate(list, 4).va, segment.va);
});

test("the other views are ended, and what those say counts", () => {
  const { kernel, memory, list, segment, bytes } = table();
  // As if its buffer had been moved away: the segment is shown by a second view.
  kernel.breaks = () => true;
  Object.defineProperty(bytes, "byteLength", { value: 0, configurable: true });
  const second = segment.bytes;
  assert.is.not(second, bytes);
  kernel.breaks = (view) => view === bytes;
  failure("ERR_INTERFACE", () => memory.free(segment));
  assert.is.not(memory.allocate(list, 1).va, segment.va);
});

test("a sight that cannot say whether it sees anything sees it", () => {
  const { kernel, memory, list, segment } = table();
  kernel.breaks = () => false;
  kernel.throws = true;
  memory.free(segment);
  assert.is(memory.allocate(list, 2).va, segment.va + segment.length);
  kernel.throws = false;
  assert.is(memory.allocate(list, 2).va, segment.va);
});

test("where harmless memory cannot be put in place either the addresses are kept all the same", () => {
  const { kernel, memory, list, segment } = table();
  kernel.refuses = ({ name, flags = 0 }) => name === "mmap" && (flags & MapFlag.NORESERVE) !== 0;
  const error = failure("ERR_INTERFACE", () => memory.free(segment));
  assert.is(error.residue?.left.length, 2);
  kernel.refuses = () => false;
  assert.is(memory.allocate(list, 2).va, segment.va + segment.length);
});

test("close gives back the rest of the list, and the addresses once the view can be ended", () => {
  const { kernel, memory, list, segment } = table();
  kernel.calls.length = 0;
  const error = failure("ERR_CLOSE", () => memory.close());
  assert.match(error.residue?.left.join() ?? "", `at ${hex(segment.va)} may be left`);
  assert.equal(kernel.calls, [
    `mmap ${RW} ${segment.va}+${2n * PAGE}`,
    `munmap  ${list.base + 2n * PAGE}+${2n * PAGE}`,
  ]);
  kernel.breaks = () => false;
  kernel.calls.length = 0;
  new MemsegTable({ kernel }).addList({ pageSize: PAGE, maxBytes: PAGE });
  assert.is(kernel.calls[0], `munmap  ${segment.va}+${2n * PAGE}`);
});

test.run();
