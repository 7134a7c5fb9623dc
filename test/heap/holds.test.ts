/** Memory under a heap is not taken away: not by hand, and by `using` only with the heap. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaHeap } from "../../src/heap/heap.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, Program } from "../support/program.ts";
import { attached, HUGE, ready } from "./ready.ts";

test("what would take memory from under a heap is refused, with its name and what is live, and changes nothing", () => {
  const all = ready({ name: "rx" });
  const { heap, memory, list, window, container, model } = all;
  const handle = heap.alloc(64);
  const pool = heap.pool({ size: 64, count: 2 });
  pool.get();
  const segment = memory.segmentAt((heap.vaOf(handle) / HUGE) * HUGE);
  assert.ok(segment);
  const before = model.hash();
  for (const take of [
    () => memory.free(segment as NonNullable<typeof segment>),
    () => memory.close(),
    () => container.detach(memory),
    () => window.close(),
    () => container.close(),
  ]) {
    const error = failure("ERR_HELD", take);
    assert.match(error.message, 'heap "rx"');
    assert.match(error.message, "2 blocks of it are live");
    assert.equal(error.facts, { heap: 'heap "rx"', live: 2 });
  }
  failure("ERR_HELD", () => memory.removeList(list));
  assert.is(model.hash(), before);
  assert.is(heap.bytes(handle).length, 64);
  heap.close({ force: true });
  window.close();
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test("detach and attach: refused with a heap open, and once it is closed the memory is another heap's", () => {
  const { heap, memory, list, window, container, model } = ready();
  const handle = heap.alloc(64);
  heap.bytes(handle).fill(7);
  const before = model.hash();
  failure("ERR_HELD", () => container.detach(memory));
  failure("ERR_ATTACHED", () => container.attach(memory, window));
  assert.is(model.hash(), before);
  assert.is(heap.bytes(handle)[0], 7);
  heap.grow(HUGE); // it goes on as it was
  heap.close({ force: true });
  for (let i = 0; i < 2; i++) {
    container.detach(memory);
    failure("ERR_NOT_ATTACHED", () => new DmaHeap({ memory, list, window }));
    container.attach(memory, window);
    const next = new DmaHeap({ memory, list, window });
    const one = next.alloc(64);
    assert.is(window.translate(next.vaOf(one)), next.iovaOf(one));
    failure("ERR_HELD", () => container.detach(memory));
    next.close({ force: true });
  }
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test("an empty heap holds too: what it grows by later is to be mapped", () => {
  const { heap, memory, list, window, container } = ready({ grow: false });
  assert.is(memory.size, 0);
  failure("ERR_HELD", () => memory.removeList(list));
  failure("ERR_HELD", () => container.detach(memory));
  failure("ERR_HELD", () => window.close());
  heap.close();
  memory.removeList(list);
  container.detach(memory);
});

test("another container lets go of the memory as ever, and takes it again", () => {
  const one = new Program({ groups: [26, 27] });
  const two = one.beside(26);
  const memory = one.memory();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const [window, other] = [one.window(GiB), two.window(GiB)];
  one.container.attach(memory);
  two.container.attach(memory);
  const heap = new DmaHeap({ memory, list, window });
  const handle = heap.alloc(64);
  assert.is(heap.iovaOf(handle), window.iovaOf(heap.vaOf(handle)));
  assert.is(other.iovaOf(heap.vaOf(handle)), other.translate(heap.vaOf(handle)));
  failure("ERR_HELD", () => one.container.detach(memory));
  two.container.detach(memory);
  failure("ERR_NOT_ATTACHED", () => new DmaHeap({ memory, list, window: other }));
  two.container.close();
  failure("ERR_HELD", () => one.container.close());
  heap.close({ force: true });
  one.container.close();
  memory.close();
  assert.equal(one.model.leaks(), []);
});

for (const order of ["heap last", "heap left open", "an exception"] as const) {
  test(`using ends all in order, and leaves nothing: ${order}`, () => {
    const { memory, list, window, container, model } = attached();
    const heap = new DmaHeap({ memory, list, window });
    heap.buffer(4096);
    const pool = heap.pool({ size: 2048, count: 16 });
    pool.get();
    const bytes = heap.bytes(heap.alloc(64));
    // As `using container`, `using memory`, `using window`, `using heap` end: the last first.
    const ends = order === "heap last" ? [heap, window, memory, container] : [window, memory, container];
    for (const one of ends) one[Symbol.dispose]();
    assert.is(heap.closed, true);
    assert.is(pool.closed, true);
    assert.is(bytes.length, 0);
    assert.is(window.closed, true);
    failure("ERR_CLOSED", () => heap.alloc(64));
    assert.equal(model.leaks(), []);
  });
}

test("using a container or a memory alone closes the heap over them too", () => {
  for (const which of ["container", "memory"] as const) {
    const all = attached();
    const { memory, list, window, container, model } = all;
    const heap = new DmaHeap({ memory, list, window });
    heap.alloc(64);
    if (which === "memory") {
      // It is attached still, which it says as ever: with the heap closed.
      failure("ERR_ATTACHED", () => memory[Symbol.dispose]());
    } else {
      container[Symbol.dispose]();
    }
    assert.is(heap.closed, true);
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  }
});

test("segments that cannot be unmapped are the memory's once the heap is closed, and are named", () => {
  const { heap, memory, kernel, container, model } = ready({ grow: { step: HUGE } });
  heap.grow(HUGE);
  heap.alloc(64);
  kernel.fail({ call: "UNMAP_DMA", answer: no.EINVAL, times: 1 });
  const error = failure("ERR_CLOSE", () => heap.close({ force: true }));
  assert.is(error.residue?.left.length, 1);
  assert.match(error.residue?.left[0] ?? "", "a segment of 2 MiB at 0x");
  assert.is(heap.closed, true);
  assert.is(memory.size, 1, "one stays");
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test.run();
