/** Rows of requests in the core's memory: whose they are, what they begin as, and what happens when the memory grows. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import type { RequestRows, Window } from "../../src/container/window.ts";
import { core, NO_ADDRESS } from "../../src/core.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { type Passing, Through } from "../../src/through.ts";
import { agree } from "../support/agreement.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { MiB, ready } from "../support/program.ts";

const PAGE = 4096n;

const map = (window: Window, rows: RequestRows, count: number) =>
  window.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions, count);
const unmap = (window: Window, rows: RequestRows, count: number) =>
  window.unmapFrom(rows.iovas, rows.lengths, rows.vas, count);

/** Two requests of one page. */
function fill(rows: RequestRows, va: bigint, iova = NO_ADDRESS): void {
  rows.vas.set([va, va + 2n * PAGE]);
  rows.lengths.set([PAGE, PAGE]);
  rows.iovas.set([iova, iova === NO_ADDRESS ? iova : iova + PAGE]);
}

const fresh = suite("new rows");
fresh("lie in the core's memory, apart from each other, and ask for nothing", () => {
  const { window } = ready();
  const rows = window.requests(100);
  const columns = [rows.vas, rows.iovas, rows.lengths, rows.indexes, rows.permissions];
  for (const column of columns) {
    assert.is(column.buffer, core.memory.buffer);
    assert.is(column.length, 100);
    assert.ok(column.every((value) => value === column[0]));
  }
  assert.equal(
    columns.map(([first]) => first),
    [NO_ADDRESS, NO_ADDRESS, 0n, NO_ADDRESS, 3],
  );
  const spans = columns.map(({ byteOffset, byteLength }) => [byteOffset, byteOffset + byteLength] as const);
  spans.sort(([a], [b]) => a - b);
  for (const [i, [start]] of spans.entries()) if (i > 0) assert.ok(start >= (spans[i - 1]?.[1] ?? 0));
  failure("ERR_ZERO_LENGTH", () => map(window, rows, 1));
});

fresh("are from 1 to 2^24", () => {
  const { window } = ready();
  for (const [, value] of badValues()) refusesArgument(() => window.requests(value as never));
  for (const value of [0, 2 ** 24 + 1, 2 ** 32]) refusesArgument(() => window.requests(value));
  const one = window.requests(1);
  assert.equal([one.capacity, one.vas.length], [1, 1]);
});

fresh("begin empty, also where others were before", () => {
  const { window } = ready();
  const old = window.requests(64);
  old.vas.fill(5n);
  old.lengths.fill(6n);
  old.iovas.fill(7n);
  old.indexes.fill(8n);
  old.permissions.fill(1);
  old.close();
  const rows = window.requests(60);
  assert.ok(rows.vas.every((va) => va === NO_ADDRESS) && rows.iovas.every((iova) => iova === NO_ADDRESS));
  assert.ok(rows.lengths.every((length) => length === 0n) && rows.indexes.every((index) => index === NO_ADDRESS));
  assert.ok(rows.permissions.every((permission) => permission === 3));
});
fresh.run();

const kept = suite("rows");
kept("are touched by no other call, whatever it is", () => {
  const { program, window, va } = ready();
  const rows = window.requests(4);
  fill(rows, va, MiB);
  const before = [...rows.vas, ...rows.lengths, ...rows.iovas, ...rows.permissions, ...rows.indexes];
  window.mapMany(Array.from({ length: 20 }, (_, i) => ({ va: va + BigInt(20 + i) * PAGE, length: PAGE })));
  window.translateInto(new BigUint64Array(5000), new BigUint64Array(5000));
  const other = window.requests(4);
  fill(other, va + 8n * PAGE, 2n * MiB);
  map(window, other, 2);
  assert.ok([...window.maps()].length > 0);
  program.window(PAGE).close();
  const after = [...rows.vas, ...rows.lengths, ...rows.iovas, ...rows.permissions, ...rows.indexes];
  assert.equal(after, before);
  map(window, rows, 2);
  assert.equal([window.translate(va), window.translate(va + 2n * PAGE)], [MiB, MiB + PAGE]);
  unmap(window, other, 2);
  unmap(window, rows, 2);
  assert.is(window.liveBytes, 20n * PAGE);
  agree(program, window);
});

kept("of one window serve another", () => {
  const { program, window, va } = ready();
  const second = program.window(16n * MiB);
  const rows = window.requests(2);
  fill(rows, va);
  map(second, rows, 2);
  assert.is(second.liveBytes, 2n * PAGE);
  assert.is(window.liveBytes, 0n);
  assert.is(rows.iovas[0], second.start);
});

kept("can be mapped and unmapped again and again as they are", () => {
  const { program, window, va } = ready();
  const rows = window.requests(2);
  fill(rows, va);
  for (let i = 0; i < 50; i++) {
    map(window, rows, 2);
    unmap(window, rows, 2);
  }
  assert.equal([...rows.iovas], [0n, PAGE]);
  agree(program, window);
});
kept.run();

const growth = suite("when the core's memory grows");
growth("arrays taken before are refused by name, the rows are still there, and nothing was asked of the kernel", () => {
  const { program, window, va } = ready();
  const rows = window.requests(2);
  fill(rows, va, MiB);
  const { vas, lengths, iovas, permissions, indexes } = rows;
  core.memory.grow(1);
  assert.is(vas.length, 0);
  const calls: Record<string, () => unknown> = {
    vas: () => window.mapInto(vas, lengths, iovas, permissions),
    lengths: () => window.mapInto(rows.vas, lengths, iovas, permissions),
    iovas: () => window.unmapFrom(iovas, lengths, vas),
    permissions: () => window.mapInto(rows.vas, rows.lengths, rows.iovas, permissions),
    indexes: () => window.checkInto(rows.iovas, rows.lengths, indexes),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = refusesArgument(call);
    assert.ok(error.message.startsWith(`${name} must be ${GONE}`), error.message);
  }
  for (const ask of [
    () => window.translateInto(vas, iovas),
    () => window.translateInto(rows.vas, iovas, 0),
    () => window.mapInto(vas, lengths, iovas, permissions, 0),
  ]) {
    assert.match(refusesArgument(ask).message, "the core's memory has grown");
  }
  assert.equal(program.record.takeNames(), []);
  assert.equal([rows.vas[1], rows.lengths[1], rows.iovas[1]], [va + 2n * PAGE, PAGE, MiB + PAGE]);
  map(window, rows, 2);
  agree(program, window);
});

const GONE = "an array that is there: the core's memory has grown, take it from its rows again";

growth("while the kernel is asked, IOVAs still arrive", () => {
  class Growing extends Through {
    protected pass<R extends number | bigint>(_call: Passing, make: () => R): R {
      return make();
    }

    override ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number {
      const done = super.ioctlBatch(fd, memory, table, count);
      core.memory.grow(1);
      return done;
    }
  }
  const kernel = new Growing(modelKernel({ platform: "type1" }));
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory: { lists: [] }, info: container.info(), growTo: MiB }));
  const va = kernel.mmap(0n, 8n * PAGE, 3, 0, 0);
  const rows = window.requests(2);
  fill(rows, va);
  map(window, rows, 2);
  assert.equal([...rows.iovas], [window.start, window.start + PAGE]);
  unmap(window, rows, 2);
  assert.is(window.liveBytes, 0n);
  container.close();
});

growth("to make room for the batch itself, every row still arrives", () => {
  const { program, window, va } = ready();
  const reserve = core.reserveRequests;
  const growing = core as { reserveRequests: typeof core.reserveRequests };
  const rows = window.requests(2);
  fill(rows, va);
  try {
    growing.reserveRequests = (count) => {
      core.memory.grow(1);
      return reserve(count);
    };
    map(window, rows, 2);
    assert.equal([...rows.iovas], [0n, PAGE]);
    const answers = new BigUint64Array(2);
    assert.is(window.translateInto(rows.vas, answers), 2);
    assert.equal([...answers], [0n, PAGE]);
    assert.is(window.checkInto(rows.iovas, rows.lengths, answers), 2);
    assert.equal([...answers], [0n, 1n]);
    assert.is(window.checkInto(answers, new BigUint64Array(2).fill(PAGE), rows.indexes), 2);
    assert.equal([...rows.indexes], [0n, 0n]);
    assert.is(window.translateInto(new BigUint64Array(rows.vas), rows.indexes), 2);
    assert.equal([...rows.indexes], [0n, PAGE]);
    unmap(window, rows, 2);
  } finally {
    growing.reserveRequests = reserve;
  }
  agree(program, window);
});
growth.run();

const ends = suite("rows end");
const CLOSED = ["vas", "iovas", "lengths", "indexes", "permissions"] as const;
ends("with close, with their window, and with its container; once more does nothing", () => {
  for (const end of [
    (rows: RequestRows) => rows.close(),
    (rows: RequestRows) => rows[Symbol.dispose](),
    (_: RequestRows, window: Window) => window.close(),
    (_: RequestRows, __: Window, container: { close(): void }) => container.close(),
  ]) {
    const { program, window } = ready();
    const rows = window.requests(8);
    end(rows, window, program.container);
    for (const column of CLOSED) failure("ERR_CLOSED", () => rows[column]);
    rows.close();
  }
});

ends("only when their window does: one that cannot be closed keeps them", () => {
  const { program, window, va } = ready();
  const rows = window.requests(2);
  fill(rows, va);
  map(window, rows, 2);
  program.kernel.fail({ call: "UNMAP_DMA", answer: -5 });
  failure("ERR_WINDOW_IN_USE", () => window.close());
  assert.is(rows.vas[0], va);
});

ends("and their memory serves rows that come later: it does not grow with their number", () => {
  const { window } = ready();
  const second = ready().window;
  window.requests(1000).close();
  const inUse = core.bytesInUse();
  for (let i = 0; i < 50; i++) window.requests(1000 + i).close();
  const [one, other] = [window.requests(1000), second.requests(1000)];
  assert.is.not(one.vas.byteOffset, other.vas.byteOffset);
  one.close();
  other.close();
  assert.is(core.bytesInUse(), inUse + 65536n, "two at once are two blocks");
});

ends("once: closed twice, their memory still serves one only", () => {
  const { window } = ready();
  const rows = window.requests(3000);
  rows.close();
  rows.close();
  const [one, other] = [window.requests(3000), window.requests(3000)];
  one.vas.fill(1n);
  other.vas.fill(2n);
  assert.ok(one.vas.every((va) => va === 1n));
});

ends("and an array that somebody kept reaches none of the core's tables", () => {
  const { program, window, va } = ready();
  const rows = window.requests(512);
  const { vas, iovas, lengths, indexes, permissions } = rows;
  rows.close();
  for (let i = 0; i < 40; i++) window.map({ va: va + BigInt(i) * PAGE, length: PAGE, iova: (BigInt(i) * MiB) / 4n });
  const maps = [...window.maps()];
  for (const each of [vas, iovas, lengths, indexes]) each.fill(NO_ADDRESS - 1n);
  permissions.fill(0xffff_ffff);
  assert.equal([...window.maps()], maps);
  agree(program, window);
  const later = window.requests(512);
  assert.ok(later.lengths.every((length) => length === 0n));
});
ends.run();
