/** Addresses of freed memory that something may still reach, with a kernel whose sights the test holds in its hand. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection, type Sight, type Syscalls } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { failure } from "../support/failure.ts";

const PAGE = 4096n;
const RW = Protection.READ | Protection.WRITE;

/** While `held` is true, whatever is unviewed stays seen. */
class Watching extends Through {
  held = true;
  moved = true;
  collections = 0;
  /** Whether a collection of garbage ends what is seen. */
  collects = false;
  readonly calls: string[] = [];
  refuses: (call: Passing) => boolean = () => false;

  override unview(view: Uint8Array): Sight | undefined {
    this.inner.unview(view);
    if (!this.held) return undefined;
    const collect = () => {
      this.collections++;
      if (this.collects) this.held = false;
    };
    return { moved: this.moved, seen: () => this.held, collect };
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    if (this.refuses(call)) return (call.name === "mmap" ? -16n : -16) as R; // EBUSY
    const answer = make();
    if (answer >= 0) this.calls.push(`${call.name} ${call.protection ?? ""} ${call.va}+${call.length}`);
    return answer;
  }
}

function table(pages = 4n, kernel: Syscalls = modelKernel()) {
  const watching = new Watching(kernel);
  const memory = new MemsegTable({ kernel: watching });
  const list = memory.addList({ pageSize: PAGE, maxBytes: pages * PAGE });
  const freed = (count: number) => {
    const segment = memory.allocate(list, count);
    segment.bytes.fill(1);
    memory.free(segment);
    return segment;
  };
  watching.calls.length = 0;
  return { watching, memory, list, freed };
}

test("pages that are seen go back at once, harmless memory takes their place, and nobody gets the addresses", () => {
  const { watching, memory, list, freed } = table();
  const { va } = freed(2);
  assert.is(watching.calls.at(-1), `mmap ${RW} ${va}+${2n * PAGE}`);
  assert.equal([memory.size, memory.bytes, [...memory.memsegs()], memory.find(va)], [0, 0n, [], undefined]);
  assert.is(memory.allocate(list, 2).va, va + 2n * PAGE);
});

test("hugepages that are seen are in the pool again when free returns", () => {
  const files = modelKernel({ hugepages: { 21: 2 } });
  const watching = new Watching(files);
  const memory = new MemsegTable({ kernel: watching });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 8 << 20 });
  const free = () => files.files.text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  const segment = memory.allocate(list, 2);
  assert.is(free(), "0\n");
  segment.bytes[0] = 1;
  memory.free(segment);
  assert.is(free(), "2\n");
  assert.is(memory.allocate(list, 2).va, segment.va + segment.length);
});

test("once nothing is seen any more the addresses are address space again, and the first to be given out", () => {
  const { watching, memory, list, freed } = table();
  const { va } = freed(2);
  watching.held = false;
  watching.calls.length = 0;
  assert.is(memory.allocate(list, 1).va, va);
  assert.equal(watching.calls, [`mmap 0 ${va}+${2n * PAGE}`, `mmap ${RW} ${va}+${PAGE}`]);
});

test("a list that is full because of them has garbage collected first, and says so where that does not help", () => {
  const { watching, memory, list, freed } = table();
  freed(3);
  const error = failure("ERR_LIST_FULL", () => memory.allocate(list, 2));
  assert.is(error.facts?.waiting, 3n * PAGE);
  assert.match(error.message, "12 KiB are freed, and wait");
  assert.is(watching.collections, 1);
  assert.is(memory.allocate(list, 1).va, list.base + 3n * PAGE);
  watching.collects = true;
  assert.is(memory.allocate(list, 2).va, list.base);
});

test("what only input and output may reach is avoided, and given out before a list is called full", () => {
  const { watching, memory, list, freed } = table();
  watching.moved = false;
  const { va } = freed(2);
  assert.is(memory.allocate(list, 1).va, va + 2n * PAGE);
  const again = memory.allocate(list, 2);
  assert.is(again.va, va);
  assert.ok(again.bytes.every((byte) => byte === 0));
  // The one before may still be reached: so its addresses are no hole, though nobody looked at the new one's memory.
  watching.calls.length = 0;
  memory.free(again);
  assert.is(watching.calls.at(-1), `mmap ${RW} ${va}+${2n * PAGE}`);
  watching.held = false;
  assert.is(memory.allocate(list, 2).va, va);
});

test("a part of such a range can be given out, and where that fails the whole is kept as before", () => {
  const { watching, memory, list, freed } = table();
  watching.moved = false;
  const { va } = freed(4);
  watching.refuses = ({ name, flags = 0 }) => name === "mmap" && (flags & MapFlag.POPULATE) !== 0;
  failure("ERR_KERNEL", () => memory.allocate(list, 1));
  assert.is(watching.calls.at(-1), `mmap ${RW} ${va}+${PAGE}`);
  watching.refuses = () => false;
  assert.is(memory.allocate(list, 2).va, va);
  assert.is(memory.allocate(list, 2).va, va + 2n * PAGE);
  failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
});

test("a list that is full again and again has garbage collected once, and not for what that left", () => {
  const { watching, freed } = table(1n);
  watching.moved = false;
  for (let i = 0; i < 100; i++) freed(1);
  assert.is(watching.collections, 1);
});

test("where the kernel puts nothing else in their place the pages stay until nothing is seen", () => {
  const { watching, memory, list, freed } = table();
  watching.refuses = ({ name, protection, flags = 0 }) =>
    name === "mmap" && protection === RW && (flags & MapFlag.NORESERVE) !== 0;
  const { va } = freed(2);
  assert.is(watching.inner.view(va, PAGE)[0], 1, "the old pages, and nobody else's");
  watching.held = false;
  memory.allocate(list, 4);
  assert.ok(watching.calls.includes(`mmap 0 ${va}+${2n * PAGE}`));
});

test("an address that the kernel does not take back is kept, and tried again", () => {
  const { watching, memory, list, freed } = table();
  freed(4);
  watching.held = false;
  watching.refuses = ({ name, protection }) => name === "mmap" && protection === Protection.NONE;
  failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
  watching.refuses = () => false;
  assert.is(memory.allocate(list, 4).va, list.base);
});

for (const end of ["removeList", "close"] as const) {
  test(`after ${end} they are still kept from the operating system, and go back with the next change`, () => {
    const { watching, memory, list, freed } = table(8n);
    const first = freed(1);
    const second = memory.allocate(list, 2);
    const third = freed(3);
    if (end === "removeList") memory.free(second);
    watching.calls.length = 0;
    if (end === "removeList") memory.removeList(list);
    else memory.close();
    const [a, b] = [first.va + PAGE, third.va + 3n * PAGE];
    assert.equal(watching.calls, [`munmap  ${a}+${2n * PAGE}`, `munmap  ${b}+${list.base + 8n * PAGE - b}`]);
    const taken = [first.va, third.va].map((va) => watching.inner.mmap(va, PAGE, 0, MapFlag.FIXED_NOREPLACE, 0) < 0n);
    assert.equal(taken, [true, true]);
    watching.held = false;
    watching.calls.length = 0;
    new MemsegTable({ kernel: watching }).addList({ pageSize: PAGE, maxBytes: PAGE });
    assert.equal(watching.calls.slice(0, 2), [`munmap  ${first.va}+${PAGE}`, `munmap  ${third.va}+${3n * PAGE}`]);
  });
}

test("closing ends views that are seen afterwards: their memory is replaced, and stays", () => {
  const { watching, memory, list } = table(2n);
  const segment = memory.allocate(list, 1);
  segment.bytes[0] = 1;
  watching.calls.length = 0;
  memory.close();
  assert.equal(watching.calls, [`mmap ${RW} ${segment.va}+${PAGE}`, `munmap  ${segment.va + PAGE}+${PAGE}`]);
});

test("memory of the program's own cannot be recorded where something is seen", () => {
  const { watching, memory, list, freed } = table();
  const { va } = freed(2);
  failure("ERR_OVERLAPS", () => memory.add(list, { va: va + PAGE, length: PAGE }));
  watching.held = false;
  memory.allocate(list, 4);
});

test("thousands of segments that are seen have garbage collected, and cost no more than the last hundreds", () => {
  const { watching, freed } = table(5000n);
  watching.collects = true;
  for (let i = 0; i < 2000; i++) {
    watching.held = true;
    freed(1);
  }
  assert.ok(watching.collections >= 1 && watching.collections < 20, String(watching.collections));
});

test("a view that was moved away is made anew, and both are remembered", () => {
  const { memory, list, watching } = table();
  const segment = memory.allocate(list, 1);
  const first = segment.bytes;
  assert.is(segment.bytes, first);
  // As if moved: of length 0, and not by free.
  Object.defineProperty(first, "byteLength", { value: 0 });
  const second = segment.bytes;
  assert.is.not(second, first);
  memory.free(segment);
  assert.is(second.length, 0);
  assert.is(memory.allocate(list, 1).va, segment.va + PAGE);
  watching.held = false;
});

test.run();
