/** Whatever the kernel refuses, the error names the request: which of how many, where it is, and how much is locked. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DmaWindowError } from "../../src/errors.ts";
import type { ModelOptions } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { MiB, type Program, ready } from "../support/program.ts";

const machines: readonly ModelOptions[] = [
  { platform: "powernv" },
  { platform: "pseries", pageSize: 4096 },
  { platform: "type1" },
  { platform: "type1", iommuVersion: 1 },
];

const page = (program: Program) => BigInt(program.model.pageSize);

/** Calls that map, by name: `memory` of which the second piece is refused. */
const requestsAt = (va: bigint, size: bigint) => [0n, 2n, 4n].map((i) => ({ va: va + i * size, length: size }));

function checkRequest(error: DmaWindowError, index: number, count: number, va: bigint, length: bigint): void {
  const facts = error.facts ?? {};
  assert.equal([facts.index, facts.count, facts.va, facts.length], [index, count, va, length]);
  assert.is(typeof facts.iova, "bigint");
  assert.match(error.message, `0x${va.toString(16)}`);
  assert.match(error.message, `0x${(facts.iova as bigint).toString(16)}`);
  if (count > 1) assert.match(error.message, `(request ${index} of ${count})`);
}

for (const options of machines) {
  const name = `${options.platform}${options.iommuVersion === 1 ? " v1" : ""}`;
  const calls = options.platform === "type1" ? ["MAP_DMA"] : ["REGISTER_MEMORY", "MAP_DMA"];

  test(`${name}: a refused map names itself, from objects and from arrays`, () => {
    for (const call of calls) {
      for (const answer of [no.EFAULT, no.EINVAL, no.ENOMEM, no.EIO]) {
        for (const nth of [0, 1, 2]) {
          const { program, window, va } = ready(options);
          const size = page(program);
          const requests = requestsAt(va, size);
          program.kernel.fail({ call, nth, answer });
          checkRequest(
            failure("ERR_KERNEL", () => window.mapMany(requests)),
            nth,
            3,
            va + BigInt(2 * nth) * size,
            size,
          );
          program.kernel.heal();
          program.kernel.fail({ call, nth, answer });
          const vas = BigUint64Array.from(requests, (request) => request.va);
          const lengths = BigUint64Array.from(requests, (request) => request.length);
          const iovas = new BigUint64Array(3).fill(2n ** 64n - 1n);
          const error = failure("ERR_KERNEL", () => window.mapInto(vas, lengths, iovas, Uint32Array.of(3, 3, 3)));
          checkRequest(error, nth, 3, va + BigInt(2 * nth) * size, size);
        }
      }
    }
  });

  test(`${name}: a refused unmap names itself`, () => {
    for (const nth of [0, 1, 2]) {
      const { program, window, va } = ready(options);
      const size = page(program);
      const placed = window.mapMany(requestsAt(va, size)).map((iova) => ({ iova, length: size }));
      program.kernel.fail({ call: "UNMAP_DMA", nth, times: Number.POSITIVE_INFINITY, answer: no.EIO });
      checkRequest(
        failure("ERR_KERNEL", () => window.unmapMany(placed)),
        nth,
        3,
        va + BigInt(2 * nth) * size,
        size,
      );
      const left = placed.slice(nth);
      const error = failure("ERR_KERNEL", () =>
        window.unmapFrom(
          BigUint64Array.from(left, ({ iova }) => iova),
          BigUint64Array.from(left, ({ length }) => length),
          new BigUint64Array(left.length).fill(2n ** 64n - 1n),
        ),
      );
      checkRequest(error, 0, left.length, va + BigInt(2 * nth) * size, size);
    }
  });

  test(`${name}: memory of a table is named by its list and its segment, when it is attached and when it comes`, () => {
    for (const call of calls) {
      const { program, window } = ready(options);
      const size = page(program);
      const memory = program.memory();
      memory.addList({ pageSize: size, maxBytes: 8n * size });
      const list = memory.addList({ pageSize: size, maxBytes: 8n * size });
      memory.allocate(list, 3);
      memory.allocate(list, 2);
      const known = { base: list.base, length: list.length, pageSize: list.pageSize };
      program.kernel.fail({ call, nth: 1, answer: no.EINVAL });
      const attaching = failure("ERR_KERNEL", () => program.container.attach(memory, window));
      checkRequest(attaching, 1, 2, list.base + 3n * size, 2n * size);
      assert.equal(attaching.facts?.list, known);
      assert.equal(attaching.facts?.segment, { va: list.base + 3n * size, length: 2n * size });
      assert.match(attaching.message, `of the list at 0x${list.base.toString(16)}`);
      program.container.attach(memory, window);
      program.kernel.fail({ call, answer: no.EINVAL });
      const coming = failure("ERR_KERNEL", () => memory.allocate(list, 1));
      checkRequest(coming, 0, 1, list.base + 5n * size, size);
      assert.equal(coming.facts?.list, known);
      assert.equal(coming.facts?.segment, { va: list.base + 5n * size, length: size });
    }
  });

  test(`${name}: where memory cannot be locked, the error has limit and use of that moment, and what was wanted`, () => {
    const limited = { ...options, lockedMemory: { limit: 64n * MiB, privileged: false } };
    const { program, window } = ready(limited);
    const size = page(program);
    const used = program.model.lockedMemory().used;
    program.model.limitLockedMemory({ limit: used + 3n * size });
    const va = program.allocate(16n * size);
    const requests = [0n, 4n].map((i) => ({ va: va + i * size, length: 2n * size }));
    const error = failure("ERR_KERNEL", () => window.mapMany(requests));
    assert.is(error.errno, no.ENOMEM);
    checkRequest(error, 1, 2, va + 4n * size, 2n * size);
    const locked = error.facts?.lockedMemory as { limit: bigint; used: bigint; needed: bigint; privileged: boolean };
    assert.equal([locked.limit, locked.needed, locked.privileged], [used + 3n * size, 2n * size, false]);
    assert.is(locked.used, used + 2n * size, "before the first one was taken back");
    assert.match(error.message, /locked are .* of at most .*, .* more asked for/);
    assert.is(window.liveBytes, 0n);
  });
}

test("a registration that cannot be ended is in the facts", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 8192n, iova: 0n });
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  const error = failure("ERR_STILL_REGISTERED", () => window.unmap({ iova: 0n, length: 8192n }));
  assert.equal(error.facts, { va, length: 8192n });
});

test("windows: CREATE and REMOVE say which window, and what its tables would have locked", () => {
  const { program, window } = ready({ lockedMemory: { limit: 64n * MiB, privileged: false } });
  program.kernel.fail({ call: "TCE_REMOVE", answer: no.EIO });
  assert.equal(failure("ERR_KERNEL", () => window.close()).facts, { start: window.start });
  window.close();
  const lists = [{ base: 0n, length: 4096n, pageSize: 4096n }];
  const info = { ...program.container.info(), pageSizes: 4096n };
  const plan = planWindow({ memory: { lists }, info, growTo: 1n << 32n });
  program.model.limitLockedMemory({ limit: program.model.lockedMemory().used + 8192n });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  const { size, pageSize, levels, lockedMemory } = error.facts as Record<string, unknown>;
  assert.equal([size, pageSize, typeof levels], [1n << 32n, 4096n, "number"]);
  assert.is((lockedMemory as { needed: bigint }).needed, plan.chargeBytes);
});

test("a kernel that does not tell what is locked does not hide the error", () => {
  const { program, window, va } = ready();
  program.kernel.lockedMemory = () => {
    throw new Error("not told");
  };
  program.kernel.fail({ call: "REGISTER_MEMORY", answer: no.ENOMEM });
  const error = failure("ERR_KERNEL", () => window.map({ va, length: 4096n }));
  assert.is(error.errno, no.ENOMEM);
  assert.not.ok("lockedMemory" in (error.facts ?? {}));
});

test("a list that is full says how much is free, and how much of it in a row", () => {
  const { program } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: 4096n, maxBytes: 10n * 4096n });
  const segments = [1, 2, 3, 3].map((pages) => memory.allocate(list, pages));
  for (const index of [1, 3]) memory.free(segments[index] as never);
  const error = failure("ERR_LIST_FULL", () => memory.allocate(list, 5));
  const { wanted, free, longest, list: named } = error.facts as Record<string, unknown>;
  assert.equal([wanted, free, longest], [5n * 4096n, 6n * 4096n, 4n * 4096n]);
  assert.equal(named, { base: list.base, length: list.length, pageSize: 4096n });
  assert.match(error.message, "of its 40 KiB, 24 KiB are free, 16 KiB of them in a row");
  memory.allocate(list, 4);
  memory.allocate(list, 2);
  const full = failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
  assert.equal([full.facts?.free, full.facts?.longest], [0n, 0n]);
});

test.run();
