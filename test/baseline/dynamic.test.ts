import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DynamicWindow, type Piece } from "../../src/baseline/dynamic.ts";
import { Witness } from "../../src/cli/witness.ts";
import { openContainer } from "../../src/container/open.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";

const page = 4096n;
const KiB = 1n << 10n;
const MiB = 1n << 20n;

/** The scheme on a software kernel, watched from both sides: by the witness, and by what the model is asked. */
function begin(options: ModelOptions = {}) {
  const model = modelKernel(options);
  const record = recording(model);
  const faults = faulty(record);
  const witness = new Witness(faults);
  const container = openContainer({ kernel: witness.kernel, groups: [26] });
  const window = new DynamicWindow(container, { memory: { lists: [] }, info: container.info() });
  const va = model.mmap(0n, 4n * MiB, Protection.READ | Protection.WRITE, 0, 0);
  record.take();
  /** A piece of the memory that lies as far behind the window's start as behind the memory's. */
  const piece = (offset: bigint, length: bigint): Piece => ({ va: va + offset, offset, length });
  const windows = () => model.snapshot().containers[0]?.windows ?? [];
  return { model, record, faults, witness, container, window, va, piece, windows };
}

const dynamic = suite("a dynamic window");

dynamic("is as small as the memory that is mapped, rounded up to a power of two", () => {
  const { window, piece, windows, witness } = begin();
  window.map(piece(0n, 3n * MiB));
  assert.equal(
    windows().map(({ size }) => size),
    [4n * MiB],
  );
  assert.equal([witness.windowsMade, witness.interrupted], [1, 0]);
});

dynamic("stays as it is while what comes fits into it", () => {
  const { window, piece, witness } = begin();
  window.map(piece(2n * MiB, MiB));
  window.map(piece(0n, MiB));
  window.map(piece(3n * MiB, MiB));
  assert.equal([witness.resizes, witness.interrupted, witness.livePages], [0, 0, 768]);
});

dynamic("is replaced when something comes that does not fit: all is unmapped, and mapped again in a larger one", () => {
  const { window, piece, record, windows, witness } = begin();
  const [first, second] = [piece(256n * KiB, 256n * KiB), piece(0n, 64n * KiB)];
  window.map(first);
  window.map(second);
  record.take();
  window.map(piece(3n * MiB, page));
  assert.equal(
    record.takeNames().filter((name) => name !== "TCE_GET_INFO"),
    [
      ...["UNMAP_DMA", "UNREGISTER_MEMORY", "UNMAP_DMA", "UNREGISTER_MEMORY", "TCE_REMOVE", "TCE_CREATE"],
      ...["REGISTER_MEMORY", "MAP_DMA", "REGISTER_MEMORY", "MAP_DMA", "REGISTER_MEMORY", "MAP_DMA"],
    ],
  );
  assert.is(windows().length, 1);
  assert.is(windows()[0]?.size, 4n * MiB);
  assert.equal([witness.resizes, witness.interrupted, witness.livePages], [1, 80, 81]);
});

dynamic("maps everything again at the offset it had, so that only the window's own move changes an IOVA", () => {
  const { window, piece, model, va } = begin();
  const pieces = [piece(0n, 8n * page), piece(MiB, page), piece(2n * MiB, 3n * page), piece(4n * MiB - page, page)];
  for (const one of pieces) window.map(one);
  const start = window.iovaOf(pieces[0] as Piece);
  for (const one of pieces) {
    assert.is(window.iovaOf(one), start + one.offset);
    for (let at = 0n; at < one.length; at += page) {
      assert.is(model.tceAt(26, start + one.offset + at)?.va, va + one.offset + at);
    }
  }
  assert.is(model.tceAt(26, start + 8n * page), undefined, "and nothing else");
});

dynamic("on an LPAR moves between the place of the default window and 1 << 59 as it grows, with all its memory", () => {
  const { window, model, record } = begin({ platform: "pseries" });
  const va = model.mmap(0n, page, Protection.READ | Protection.WRITE, 0, 0);
  const [low, high] = [
    { va, offset: 0n, length: page },
    { va: model.mmap(0n, page, 3, 0, 0), offset: 2n << 30n, length: page },
  ];
  window.map(low);
  assert.is(window.iovaOf(low), 0n);
  window.map(high);
  assert.is(window.iovaOf(low), 1n << 59n);
  assert.is(window.iovaOf(high), (1n << 59n) + (2n << 30n));
  assert.is(model.tceAt(26, 1n << 59n)?.va, va);
  assert.is(model.tceAt(26, 0n), undefined);
  assert.is(record.takeNames().filter((name) => name === "TCE_CREATE").length, 2);
});

dynamic("interrupts what is live every time it grows, and not what was unmapped before", () => {
  const { window, piece, witness } = begin();
  const [first, second] = [piece(0n, 4n * page), piece(4n * page, 2n * page)];
  window.map(first);
  window.map(second);
  assert.is(witness.interrupted, 4, "from 16 KiB to 32 KiB");
  witness.lettingGo(window.iovaOf(second), second.length);
  window.unmap(second);
  assert.equal([witness.interrupted, witness.livePages], [4, 4]);
  window.map(piece(MiB, page));
  assert.equal([witness.resizes, witness.interrupted, witness.livePages], [2, 8, 5]);
});

dynamic("unmaps a piece and nothing else, and may map it again", () => {
  const { window, piece, model } = begin();
  const [first, second] = [piece(0n, 2n * page), piece(2n * page, 2n * page)];
  window.map(first);
  window.map(second);
  window.unmap(first);
  assert.is(model.tceAt(26, page), undefined);
  assert.is(model.tceAt(26, 2n * page)?.va, second.va);
  window.map(first);
  assert.is(model.tceAt(26, page)?.va, first.va + page);
});

dynamic("does not carry along a piece that could not be mapped", () => {
  const { window, piece, faults, witness } = begin();
  window.map(piece(0n, page));
  faults.fail({ call: "REGISTER_MEMORY", nth: 1, answer: no.ENOMEM }); // the first one brings the old piece back
  failure("ERR_KERNEL", () => window.map(piece(MiB, page)));
  assert.is(witness.livePages, 1);
  window.map(piece(2n * MiB, page));
  assert.is(witness.livePages, 2);
});

dynamic("that cannot grow says what the kernel said, and everything ends with its container", () => {
  const { window, piece, faults, container, model } = begin();
  window.map(piece(0n, page));
  faults.fail({ call: "TCE_CREATE", answer: no.ENOMEM });
  assert.match(failure("ERR_KERNEL", () => window.map(piece(MiB, page))).message, /TCE_CREATE.*ENOMEM/);
  container.close();
  assert.equal(model.leaks(), []);
});

dynamic("leaves nothing behind when its container is closed", () => {
  const { window, piece, container, model } = begin();
  const pieces = [0n, MiB, 2n * MiB, 3n * MiB].map((offset) => piece(offset, MiB));
  for (const one of pieces) window.map(one);
  window.unmap(pieces[1] as Piece);
  container.close();
  assert.equal(model.leaks(), []);
  assert.is(model.lockedMemory().used, 0n);
});

dynamic("takes the pages that its memory has: no larger ones are assumed", () => {
  const { window, model, windows } = begin();
  const huge = model.mmap(0n, 2n * MiB, Protection.READ | Protection.WRITE, MapFlag.HUGETLB, 21);
  window.map({ va: huge, offset: 0n, length: 2n * MiB });
  assert.is(windows()[0]?.pageShift, 12);
});

dynamic.run();
