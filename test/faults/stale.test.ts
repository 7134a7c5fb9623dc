/** A registration that could not be ended keeps the old pages pinned: it must never stand for the new ones at its address. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { ready } from "../support/program.ts";

const PAGE = 4096n;

test("memory that comes where memory went that is still registered is refused, until that registration has been ended", () => {
  const { program, window } = ready();
  const memory = program.memory();
  const list = memory.addList({ pageSize: PAGE, maxBytes: PAGE });
  program.container.attach(memory);
  const before = memory.allocate(list, 1);
  before.bytes.fill(1);
  program.kernel.fail({ call: "UNREGISTER_MEMORY", times: Number.POSITIVE_INFINITY, answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => memory.free(before));
  failure("ERR_STALE_REGISTRATION", () => memory.allocate(list, 1));
  assert.is(window.liveBytes, 0n);
  program.kernel.heal();
  const after = memory.allocate(list, 1);
  assert.is(after.va, before.va);
  const got = new Uint8Array(4);
  after.bytes.set([7, 8, 9, 10]);
  assert.equal(program.model.device(program.group).read(window.iovaOf(after.va), got), { bytes: 4 });
  assert.equal([...got], [7, 8, 9, 10], "the device reads the new page and not the old one");
  program.container.close();
  memory.close();
  assert.equal(program.model.leaks(), []);
});

test.run();
