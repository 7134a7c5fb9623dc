/** An interface whose answer has not the shape that the seam says is told so: it is not the program's argument that is wrong. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { GROUP } from "../support/program.ts";

const PAGE = 4096;

/** A software kernel of which one call gives another answer. */
function answering(call: keyof Syscalls, answer: unknown, options: ModelOptions = {}) {
  const kernel = modelKernel(options);
  Object.defineProperty(kernel, call, { value: () => answer });
  return kernel;
}

function refusedAnswer(call: string, run: () => unknown): void {
  const error = failure("ERR_INTERFACE", run);
  assert.is(error.syscall, call);
  assert.match(error.message, new RegExp(`threw in ${call}: it answered .* which is no answer of a kernel`));
}

test("lockedMemory", () => {
  const none = { limit: null, used: 0n, privileged: false };
  const wrong = [
    undefined,
    null,
    5,
    {},
    { ...none, limit: 5 },
    { ...none, used: undefined },
    { ...none, privileged: 1 },
  ];
  for (const answer of [...wrong, Promise.resolve(none)]) {
    for (const platform of ["powernv", "type1"] as const) {
      const container = openContainer({ kernel: answering("lockedMemory", answer, { platform }), groups: [GROUP] });
      refusedAnswer("lockedMemory", () => container.info());
      container.close();
    }
  }
  const container = openContainer({ kernel: answering("lockedMemory", none), groups: [GROUP] });
  assert.equal(container.info().lockedMemory, none);
});

test("physicalAddresses: one for each page", () => {
  for (const answer of [undefined, [0n], 0n, new BigInt64Array(2), new BigUint64Array(1), new BigUint64Array(3)]) {
    const memory = new MemsegTable({ kernel: answering("physicalAddresses", answer), physical: true });
    const list = memory.addList({ pageSize: PAGE, maxBytes: 4 * PAGE });
    refusedAnswer("physicalAddresses", () => memory.allocate(list, 2));
    assert.is(memory.size, 0);
  }
});

test("view: all bytes that were asked for", () => {
  for (const answer of [undefined, new ArrayBuffer(PAGE), new Uint8Array(PAGE - 1), new Uint16Array(PAGE), "bytes"]) {
    const memory = new MemsegTable({ kernel: answering("view", answer) });
    const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE });
    const segment = memory.allocate(list, 1);
    refusedAnswer("view", () => segment.bytes);
    memory.free(segment);
  }
});

test.run();
