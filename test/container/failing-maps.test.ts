/** The kernel says no in the middle of a batch: all of it is undone, or the error says exactly what is not. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import { planWindow } from "../../src/plan/index.ts";
import { agree, stateOf } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GROUP, KiB, type Program, ready } from "../support/program.ts";

const PAGE = 4096n;
const FIRST = 0x10000n;

/** Three maps of 1, 2 and 3 pages that do not touch: REGISTER, MAP, REGISTER, MAP, REGISTER, MAP. */
const batchAt = (va: bigint) =>
  [1n, 2n, 3n].map((pages, i) => ({
    va: va + BigInt(i) * 8n * PAGE,
    length: pages * PAGE,
    iova: FIRST * BigInt(i + 1),
  }));
const CALLS = 6;

const answers = [no.EINVAL, no.ENOMEM, no.EFAULT, no.EBUSY, no.EEXIST, 1, 7];

test("wherever the kernel refuses, everything is taken back, latest first, and nothing has changed", () => {
  for (let nth = 0; nth < CALLS; nth++) {
    for (const answer of answers) {
      const { program, window, va } = ready();
      const before = stateOf(program, window);
      program.kernel.fail({ nth, answer });
      const error = failure(nth % 2 === 0 && answer > 0 ? "ERR_PINNED_PARTLY" : "ERR_KERNEL", () =>
        window.mapMany(batchAt(va)),
      );
      const syscall = nth % 2 === 0 ? "VFIO_IOMMU_SPAPR_REGISTER_MEMORY" : "VFIO_IOMMU_MAP_DMA";
      assert.equal([error.syscall, error.errno], [syscall, answer < 0 ? answer : undefined]);
      assert.is(error.residue, undefined);
      assert.match(error.message, `at IOVA 0x${(FIRST * BigInt((nth >> 1) + 1)).toString(16)}: `);
      assert.equal(stateOf(program, window), before);
      agree(program, window);
      const done = ["REGISTER_MEMORY", "MAP_DMA", "REGISTER_MEMORY", "MAP_DMA", "REGISTER_MEMORY"].slice(0, nth);
      const undone = done.map((call) => (call === "MAP_DMA" ? "UNMAP_DMA" : "UNREGISTER_MEMORY")).reverse();
      assert.equal(program.record.takeNames(), [...done, ...undone]);
      // The same batch works once the kernel takes it.
      window.mapMany(batchAt(va));
      agree(program, window);
    }
  }
});

/** What the kernel still has of the batch, in the residue's words. */
function leftInKernel(program: Program, va: bigint): string[] {
  return batchAt(va).flatMap(({ va: at, iova, length }) => {
    const size = `${length / KiB} KiB`;
    if (program.model.tceAt(GROUP, iova) !== undefined)
      return [`${size} at IOVA 0x${iova.toString(16)} is still mapped`];
    const registered = program.seen.registrations.some((one) => one.va === at);
    return registered ? [`${size} of memory at 0x${at.toString(16)} are still registered (locked)`] : [];
  });
}

/** A batch that fails at call `nth`, with the call of the undo that is number `undo` failing too. */
function failTwice(nth: number, undo: number, answer: number): { program: Program; window: Window; va: bigint } {
  const { program, window, va } = ready();
  program.kernel.fail({ nth, answer: no.EINVAL }, { nth: nth + 1 + undo, answer });
  const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
  const left = leftInKernel(program, va);
  assert.is(left.length, 1, "one thing is left");
  assert.equal(error.residue?.left, left);
  assert.match(error.message, `left behind: ${left[0]}`);
  agree(program, window);
  return { program, window, va };
}

test("an undo that fails is named exactly, the rest is undone, and the tables say what the kernel has", () => {
  for (let nth = 1; nth < CALLS; nth++) {
    for (let undo = 0; undo < nth; undo++) {
      for (const answer of [no.EINVAL, 1]) {
        const { program, window, va } = failTwice(nth, undo, answer);
        // What is still mapped can be unmapped; what is still registered is ended by the next map.
        for (const run of [...window.maps()]) window.unmap(run);
        window.map({ va: va + 32n * PAGE, length: PAGE });
        window.unmap({ iova: 0n, length: PAGE });
        assert.equal(program.seen.registrations, []);
        agree(program, window);
      }
    }
  }
});

test("an UNREGISTER never goes out for memory whose UNMAP failed", () => {
  const { program, window, va } = ready();
  program.kernel.fail({ nth: 3, answer: no.EINVAL }, { call: "UNMAP_DMA", answer: no.EPERM });
  const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
  assert.is(error.residue?.left.length, 1);
  const unregistered = program.record.take().filter(({ call }) => call === "UNREGISTER_MEMORY");
  assert.equal(
    unregistered.map(({ va: at }) => at),
    [va + 8n * PAGE],
  );
  assert.equal(program.model.snapshot().zombies, []);
});

test("when all of the undo fails, all of it is named", () => {
  const { program, window, va } = ready();
  program.kernel.fail({ nth: 5, answer: no.EINVAL }, { nth: 6, times: 20, answer: no.EIO });
  const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
  assert.equal(error.residue?.left, [
    "4 KiB at IOVA 0x10000 is still mapped",
    "8 KiB at IOVA 0x20000 is still mapped",
    `12 KiB of memory at 0x${(va + 16n * PAGE).toString(16)} are still registered (locked)`,
  ]);
  agree(program, window);
  program.kernel.heal();
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

test("memory that is only there in part: the pages are counted, and nothing stays registered", () => {
  const { program, window } = ready();
  const va = program.allocate(4n * PAGE);
  program.model.munmap(va + 3n * PAGE, PAGE);
  const error = failure("ERR_PINNED_PARTLY", () => window.map({ va, length: 4n * PAGE }));
  assert.equal(error.facts, { index: 0, count: 1, va, iova: 0n, length: 4n * PAGE, pages: 3 });
  assert.match(error.message, "only the first 3 pages could be locked");
  assert.is(error.errno, undefined);
  agree(program, window);
  assert.equal(program.seen.registrations, []);
});

test("memory that is not there at all is EFAULT, with a hint", () => {
  const { program, window } = ready();
  const error = failure("ERR_KERNEL", () => window.map({ va: 0x1000_0000n, length: PAGE }));
  assert.is(error.errno, no.EFAULT);
  assert.match(error.message, "must be mapped and writable");
  agree(program, window);
});

test("over the locked-memory limit in the middle of a batch: nothing stays locked", () => {
  const limits = { limit: 0n, privileged: false };
  const { program, window, va } = ready({ lockedMemory: { ...limits, limit: 256n * KiB } });
  const before = program.model.lockedMemory().used;
  const room = (256n * KiB - before) / PAGE;
  assert.ok(room > 3n && room < 64n);
  const error = failure("ERR_KERNEL", () =>
    window.mapMany([
      { va, length: 2n * PAGE },
      { va: va + 2n * PAGE, length: room * PAGE },
    ]),
  );
  assert.is(error.errno, no.ENOMEM);
  assert.match(error.message, "RLIMIT_MEMLOCK");
  assert.is(program.model.lockedMemory().used, before);
  agree(program, window);
  // Exactly at the limit is fine.
  window.map({ va, length: room * PAGE });
  assert.is(program.model.lockedMemory().used, 256n * KiB);
});

test("memory that overlaps what another container of the process has registered is refused by the kernel", () => {
  const { program, window, va } = ready({ groups: [27, 26] });
  const other = openContainer({ kernel: program.model, groups: [27] });
  const plan = { memory: { lists: [] }, info: other.info(), growTo: 64n * KiB };
  other.createWindow(planWindow(plan)).map({ va, length: 2n * PAGE });
  const before = stateOf(program, window);
  const error = failure("ERR_KERNEL", () => window.map({ va: va + PAGE, length: 2n * PAGE }));
  assert.equal([error.errno, error.syscall], [no.EINVAL, "VFIO_IOMMU_SPAPR_REGISTER_MEMORY"]);
  assert.match(error.message, "in another container");
  assert.equal(stateOf(program, window), before);
  // The very same range is fine, and charged once.
  const used = program.model.lockedMemory().used;
  window.map({ va, length: 2n * PAGE });
  assert.is(program.model.lockedMemory().used, used);
  agree(program, window);
});

test("a registration that could not be ended is tried again by every map, and not built upon", () => {
  const { program, window, va } = ready();
  program.kernel.fail({ call: "MAP_DMA", answer: no.EINVAL }, { call: "UNREGISTER_MEMORY", times: 3, answer: no.EIO });
  failure("ERR_KERNEL", () => window.map({ va, length: 2n * PAGE }));
  // Its memory may be another by now: mapping it with the old registration would map the old pages.
  failure("ERR_STALE_REGISTRATION", () => window.map({ va, length: 2n * PAGE }));
  assert.is(window.map({ va: va + 8n * PAGE, length: PAGE }), 0n);
  agree(program, window);
  // By now the kernel takes it.
  program.record.take();
  assert.is(window.map({ va, length: 2n * PAGE }), PAGE);
  assert.equal(program.record.takeNames(), ["UNREGISTER_MEMORY", "REGISTER_MEMORY", "MAP_DMA"]);
  agree(program, window);
});

test.run();
