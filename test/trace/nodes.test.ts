/** Memory of a NUMA node in a trace. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag } from "../../src/syscalls.ts";
import { replay } from "../../src/trace/index.ts";
import { no } from "../support/faulty.ts";
import { answering, RW, Tape, words } from "./tape.ts";

const PAGE = 2n << 20n;
const twoNodes = () => modelKernel({ nodes: [{ 21: 4 }, { 21: 4 }] });

test("mbind is a line with its address, length and node, and is made again", () => {
  const tape = new Tape(twoNodes());
  tape.take();
  const address = tape.kernel.mmap(0n, PAGE, RW, MapFlag.HUGETLB, 21);
  const lines = tape.lines;
  assert.is(tape.kernel.bindNode?.(address, PAGE, 1), 0);
  assert.equal(tape.last, { call: "mbind", address: "m1", length: "0x200000", node: 1, answer: 0 });
  assert.is(tape.kernel.bindNode?.(address, PAGE, 5), no.EINVAL);
  assert.equal(tape.last, { call: "mbind", address: "m1", length: "0x200000", node: 5, answer: "EINVAL" });
  assert.is(lines.length, 3);
});

test("a replay binds too, and lists an answer that is another one", () => {
  const tape = new Tape(twoNodes());
  const address = tape.kernel.mmap(0n, PAGE, RW, MapFlag.HUGETLB, 21);
  tape.kernel.bindNode?.(address, PAGE, 1);
  assert.equal(words(replay(tape.lines, twoNodes()).differences), []);
  const [difference] = words(replay(tape.lines, modelKernel({ hugepages: { 21: 4 } })).differences);
  assert.match(String(difference), /mbind.*EINVAL/);
  const without = words(replay(tape.lines, answering({ mmap: () => 0x7000_0000_0000n })).differences);
  assert.match(String(without), /mbind.*ENOSYS/);
});

test("a kernel that cannot bind cannot be recorded binding", () => {
  assert.is(new Tape(answering({})).kernel.bindNode, undefined);
});

test.run();
