/** The kernel interface itself throws in the middle of a list of calls: the tables still say what the kernel has. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { type Program, ready } from "../support/program.ts";

const PAGE = 4096n;

const batchAt = (va: bigint) => [0n, 8n, 16n].map((page) => ({ va: va + page * PAGE, length: 2n * PAGE }));

/** From the `nth` struct call on, the interface throws instead of asking the kernel; gives the way back. */
function breakAt(program: Program, nth: number): () => void {
  const { kernel } = program;
  const whole = kernel.ioctlStruct.bind(kernel);
  let made = 0;
  kernel.ioctlStruct = (...parameters) => {
    if (made++ >= nth) throw new Error("the interface broke");
    return whole(...parameters);
  };
  return () => {
    kernel.ioctlStruct = whole;
  };
}

test("a batch of maps that was broken off is mapped as far as it came, and the rest can be mapped later", () => {
  for (let nth = 0; nth < 6; nth++) {
    const { program, window, va } = ready();
    const mend = breakAt(program, nth);
    assert.is(thrownBy(() => window.mapMany(batchAt(va))).message, "the interface broke");
    mend();
    agree(program, window);
    assert.is(window.liveBytes, BigInt(nth >> 1) * 2n * PAGE);
    window.mapMany(batchAt(va).slice(nth >> 1));
    agree(program, window);
    program.container.close();
    assert.equal(program.model.leaks(), []);
  }
});

test("an undo that was broken off leaves on record what it did not take back", () => {
  // The third MAP is refused; the undo has REGISTER, MAP, REGISTER, MAP, REGISTER to take back.
  for (let nth = 5; nth < 10; nth++) {
    const { program, window, va } = ready();
    program.kernel.fail({ call: "MAP_DMA", nth: 2, answer: no.ENOMEM });
    const mend = breakAt(program, nth + 1);
    assert.is(thrownBy(() => window.mapMany(batchAt(va))).message, "the interface broke");
    mend();
    agree(program, window);
    program.container.close();
    assert.equal(program.model.leaks(), []);
  }
});

test("a batch of unmaps that was broken off is unmapped as far as it came, and the rest stays mapped", () => {
  for (let nth = 0; nth < 6; nth++) {
    const { program, window, va } = ready();
    const placed = window.mapMany(batchAt(va)).map((iova) => ({ iova, length: 2n * PAGE }));
    const mend = breakAt(program, nth);
    assert.is(thrownBy(() => window.unmapMany(placed)).message, "the interface broke");
    mend();
    agree(program, window);
    window.unmapMany(placed.slice((nth + 1) >> 1));
    agree(program, window);
    program.container.close();
    assert.equal(program.model.leaks(), []);
  }
});

test("an interface that gives up without a word is no success: all is taken back", () => {
  const { program, window, va } = ready();
  const whole = program.kernel.ioctlBatch.bind(program.kernel);
  program.kernel.ioctlBatch = (fd, memory, table, count) => whole(fd, memory, table, count === 6 ? 3 : count);
  const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
  assert.match(error.message, /neither made VFIO_IOMMU_MAP_DMA .* nor said why/);
  agree(program, window);
  assert.is(window.liveBytes, 0n);
});

test.run();
