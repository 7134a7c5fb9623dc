/**
 * The kernel interface throws in the middle of a list of calls, before or after the kernel did the call: the tables say what the
 * kernel has, and where nobody can know, the residue says so and the tables keep what may be there.
 */
import { suite, test } from "uvu";
import * as assert from "uvu/assert";
import { core } from "../../src/core.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { agree, agreed, covers } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { type Program, ready } from "../support/program.ts";
import { batchAt, leavesNothing, machines, mapBatch, mends, PAGE } from "./interfaces.ts";

/** From the `nth` struct call on, `times` of them throw, before or after the kernel has done them; gives the way back. */
function breakAt(
  program: Program,
  nth: number,
  when: "before" | "after",
  times = Number.POSITIVE_INFINITY,
): () => void {
  const { kernel, record } = program;
  const whole = kernel.ioctlStruct.bind(kernel);
  let made = 0;
  kernel.ioctlStruct = (...parameters) => {
    const turn = made++;
    if (turn < nth || turn >= nth + times) return whole(...parameters);
    if (when === "after") record.ioctlStruct(...parameters); // and its result is not written into the batch
    throw new Error("the interface broke");
  };
  return () => {
    kernel.ioctlStruct = whole;
  };
}

for (const { name, options, calls } of machines) {
  const thrown = suite(name);
  const begin = () => ready(options);

  thrown("one call of a batch of maps throws: all is taken back, and the error names the request", () => {
    for (const when of ["before", "after"] as const) {
      for (let nth = 0; nth < calls; nth++) {
        const { program, window, va } = begin();
        const mend = breakAt(program, nth, when, 1);
        const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
        mend();
        const index = Math.floor((3 * nth) / calls);
        assert.equal([error.facts?.index, error.facts?.count, error.facts?.va], [index, 3, batchAt(va)[index]?.va]);
        assert.is((error.cause as Error).message, "the interface broke");
        assert.is(error.residue, undefined);
        assert.is(window.liveBytes, 0n);
        agreed(program, window);
        window.mapMany(batchAt(va));
        agreed(program, window);
        leavesNothing(program);
      }
    }
  });

  thrown("one call of a batch of unmaps throws: it is made sure of, and all of them are gone", () => {
    for (const when of ["before", "after"] as const) {
      for (let nth = 0; nth < calls; nth++) {
        const { program, window, va } = begin();
        const placed = mapBatch(window, va);
        const mend = breakAt(program, nth, when, 1);
        const error = failure("ERR_INTERFACE", () => window.unmapMany(placed));
        mend();
        assert.is(error.residue, undefined);
        assert.is(window.liveBytes, 0n);
        agreed(program, window);
        leavesNothing(program);
      }
    }
  });

  thrown("from one call on it throws for good: what may be mapped is kept and named, and later unmapped", () => {
    for (const when of ["before", "after"] as const) {
      for (let nth = 0; nth < calls; nth++) {
        const { program, window, va } = begin();
        const mend = breakAt(program, nth, when);
        const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
        const left = error.residue?.left ?? [];
        assert.ok(left.length > 0, "nothing is said to be left");
        covers(program, window, left);
        mend();
        mends(program, window, va);
      }
    }
  });

  thrown("an undo that is broken off leaves on record what it may not have taken back", () => {
    for (const when of ["before", "after"] as const) {
      for (let nth = calls - 1; nth < 2 * calls - 1; nth++) {
        const { program, window, va } = begin();
        program.kernel.fail({ call: "MAP_DMA", nth: 2, answer: no.ENOMEM });
        const mend = breakAt(program, nth + 1, when);
        const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
        const left = error.residue?.left ?? [];
        assert.ok(nth === 2 * calls - 2 || left.some((one) => one.includes("the interface broke")), `${nth}: ${left}`);
        covers(program, window, left);
        mend();
        window.close();
        leavesNothing(program);
      }
    }
  });

  thrown("a batch of unmaps that is broken off for good is unmapped as far as it came; the rest stays, or may", () => {
    for (const when of ["before", "after"] as const) {
      for (let nth = 0; nth < calls; nth++) {
        const { program, window, va } = begin();
        const placed = mapBatch(window, va);
        const mend = breakAt(program, nth, when);
        const error = failure(nth === 5 ? "ERR_STILL_REGISTERED" : "ERR_INTERFACE", () => window.unmapMany(placed));
        covers(program, window, error.residue?.left ?? []);
        mend();
        mends(program, window, va);
      }
    }
  });

  thrown("all of a batch was made, and then the interface throws: maps are taken back, unmaps are done", () => {
    const { program, window, va } = begin();
    const whole = program.kernel.ioctlBatch.bind(program.kernel);
    const once = () => {
      program.kernel.ioctlBatch = (...parameters) => {
        program.kernel.ioctlBatch = whole;
        whole(...parameters);
        throw new Error("the interface broke");
      };
    };
    once();
    failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
    agreed(program, window);
    assert.is(window.liveBytes, 0n);
    const placed = mapBatch(window, va);
    once();
    assert.is(failure("ERR_INTERFACE", () => window.unmapMany(placed)).residue, undefined);
    assert.is(window.liveBytes, 0n);
    agreed(program, window);
  });

  thrown("the calls were made, and no result was written before it threw: all of it is taken back all the same", () => {
    for (let made = 0; made <= calls; made++) {
      const { program, window, va } = begin();
      const whole = program.kernel.ioctlBatch.bind(program.kernel);
      program.kernel.ioctlBatch = (fd, memory, table, count) => {
        program.kernel.ioctlBatch = whole;
        const before = memory.slice(table, table + 16 * count);
        whole(fd, memory, table, Math.min(made, count));
        memory.set(before, table);
        throw new Error("the interface broke");
      };
      assert.is(failure("ERR_INTERFACE", () => window.mapMany(batchAt(va))).residue, undefined);
      assert.is(window.liveBytes, 0n);
      agreed(program, window);
    }
  });

  thrown.run();
}

test("an interface that gives up without a word is no success: all is taken back", () => {
  const { program, window, va } = ready();
  const whole = program.kernel.ioctlBatch.bind(program.kernel);
  program.kernel.ioctlBatch = (fd, memory, table, count) => whole(fd, memory, table, count === 6 ? 3 : count);
  const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
  assert.match(error.message, /neither made VFIO_IOMMU_MAP_DMA .* nor said why/);
  assert.is(error.facts?.index, 1);
  agree(program, window);
  assert.is(window.liveBytes, 0n);
});

test("an interface that says to have unmapped all, and wrote nothing, is not believed", () => {
  const { program, window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  const whole = program.kernel.ioctlBatch.bind(program.kernel);
  program.kernel.ioctlBatch = (_fd, _memory, _table, count) => count;
  const error = failure("ERR_INTERFACE", () => window.unmap({ iova: 0n, length: PAGE }));
  assert.equal(error.residue?.left, ["4 KiB at IOVA 0x0 may still be mapped (the kernel interface did not say)"]);
  program.kernel.ioctlBatch = whole;
  agree(program, window);
});

test("an answer that is none, and a thrown thing that is no error, have a code and words", () => {
  for (const answer of [undefined, Number.NaN, -3, 7, "0", 1n, Promise.resolve(0)]) {
    const { program, window, va } = ready();
    const whole = program.kernel.ioctlBatch.bind(program.kernel);
    program.kernel.ioctlBatch = () => {
      program.kernel.ioctlBatch = whole;
      return answer as number;
    };
    const error = failure("ERR_INTERFACE", () => window.map({ va, length: PAGE }));
    assert.match(error.message, "which is no answer of a kernel");
    agree(program, window);
  }
  for (const what of [undefined, null, "a string", 5, Symbol("s"), { toString: 5 }]) {
    const { program, window, va } = ready();
    const whole = program.kernel.ioctlBatch.bind(program.kernel);
    program.kernel.ioctlBatch = () => {
      program.kernel.ioctlBatch = whole;
      throw what;
    };
    const error = failure("ERR_INTERFACE", () => window.map({ va, length: PAGE }));
    assert.is(error.cause, what);
    agree(program, window);
  }
});

test("registrations that could not be ended, and the interface throws when they are tried again", () => {
  for (const when of ["before", "after"] as const) {
    const { program, window, va } = ready();
    window.map({ va, length: PAGE, iova: 0n });
    program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
    failure("ERR_STILL_REGISTERED", () => window.unmap({ iova: 0n, length: PAGE }));
    const mend = breakAt(program, 0, when);
    const error = failure("ERR_INTERFACE", () => window.map({ va: va + PAGE, length: PAGE }));
    assert.match(error.residue?.left[0] ?? "", `4 KiB of memory at 0x${va.toString(16)} may still be registered`);
    mend();
    window.map({ va, length: PAGE, iova: 0n });
    agree(program, window);
    assert.is(core.containerRegistrations(window.target.container), 1);
  }
});

test("errors of this package that an interface throws are not hidden", () => {
  const { program, window, va } = ready();
  const own = new DmaWindowError("ERR_SHIM_UNAVAILABLE", "no shim");
  const whole = program.kernel.ioctlBatch.bind(program.kernel);
  program.kernel.ioctlBatch = () => {
    program.kernel.ioctlBatch = whole;
    throw own;
  };
  assert.is(
    failure("ERR_SHIM_UNAVAILABLE", () => window.map({ va, length: PAGE })),
    own,
  );
  agree(program, window);
});

test.run();
