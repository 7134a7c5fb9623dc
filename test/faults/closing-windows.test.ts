/** A window is closed on a bad day: it stays as it was, or what is left is named. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree, stateOf } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { ready } from "../support/program.ts";

const PAGE = 4096n;

/** Tables with three segments each, attached to one window. */
function attached(tables: number) {
  const { program, window, va } = ready();
  const memories = Array.from({ length: tables }, () => {
    const memory = program.memory();
    const list = memory.addList({ pageSize: PAGE, maxBytes: 16n * PAGE });
    program.container.attach(memory);
    for (const pages of [1, 2, 3]) memory.allocate(list, pages);
    return memory;
  });
  return { program, window, va, memories, container: program.container };
}

test("closing the window: of several attached memories all stay, when one cannot be unmapped", () => {
  for (let nth = 0; nth < 6; nth++) {
    const { program, window, container, memories } = attached(2);
    const before = stateOf(program, window);
    program.kernel.fail({ call: "UNMAP_DMA", nth, answer: no.EIO });
    const error = failure("ERR_KERNEL", () => window.close());
    assert.is(error.residue, undefined);
    assert.equal(stateOf(program, window), before);
    for (const memory of memories) failure("ERR_ATTACHED", () => container.attach(memory));
    agree(program, window);
    window.close();
    assert.is(window.closed, true);
  }
});

test("closing the window: a REMOVE that fails names the window, and the registrations that stay beside it", () => {
  const { program, window } = attached(1);
  program.kernel.fail({ call: "TCE_REMOVE", answer: no.EIO }, { call: "UNREGISTER_MEMORY", times: 50, answer: no.EIO });
  const error = failure("ERR_KERNEL", () => window.close());
  assert.is(error.residue?.left[0], "the window at 0x0 stays, with nothing in it");
  assert.is(error.residue?.left.length, 4);
  assert.is(window.liveBytes, 0n);
  agree(program, window);
  program.kernel.heal();
  window.close();
  assert.equal(program.seen.registrations, []);
});

test("closing the window: registrations that stay are named beside what is still mapped", () => {
  const { program, window, va } = ready();
  window.map({ va, length: PAGE, iova: 0n });
  window.map({ va: va + 2n * PAGE, length: PAGE, iova: 2n * PAGE });
  program.kernel.fail(
    { call: "UNREGISTER_MEMORY", times: 50, answer: no.EIO },
    { call: "UNMAP_DMA", nth: 1, times: 50, answer: no.EIO },
  );
  const error = failure("ERR_WINDOW_IN_USE", () => window.close());
  assert.equal(error.residue?.left, [
    "4 KiB at IOVA 0x2000 is still mapped",
    `4 KiB of memory at 0x${va.toString(16)} are still registered (locked)`,
  ]);
  agree(program, window);
});

test.run();
