/** What the bench measures devices with: that it does what it is taken for, and notices what does not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inJavaScript } from "../../bench/harness/loop.ts";
import { buildRivals } from "../../bench/rivals/build.ts";
import { mappedFile } from "../../bench/tables/mapped-file.ts";
import { NvmeMachine, READS } from "../../bench/tables/nvme-machine.ts";
import { BLOCKS, buffers, checkEntries, Instant, NAMESPACE, Owner, queueWith } from "../../bench/tables/nvme-queue.ts";
import { Ringer } from "../../bench/threads/ringer.ts";
import { linuxKernel } from "../../src/index.ts";
import { shimAvailable } from "../../src/linux/shim.ts";

const test = suite("devices");
const READ = 2;

test("what comes before a repeat is done each time, and not timed", () => {
  const done: string[] = [];
  const pause = () => {
    done.push("before");
    for (const begun = performance.now(); performance.now() < begun + 2; );
  };
  const loop = inJavaScript({
    name: "a pause",
    before: "pause();",
    once: 'done.push("once"); sum++;',
    scope: { done, pause },
    expected: 1,
  });
  const begun = performance.now();
  const took = loop.time(5) as number;
  assert.equal(done, Array(5).fill(["before", "once"]).flat());
  assert.ok(took < (performance.now() - begun) * 1e6 - 5 * 2e6 * 0.99, `${took} ns have the pauses in them`);
});

test("the controller that completes at once completes what was put, in its order, round and round", () => {
  const instant = new Instant(4);
  const doorbells: [number, number][] = [];
  const bar = { read32: () => 0, write32: (offset: number, value: number) => void doorbells.push([offset, value]) };
  const queue = queueWith(instant, 4, bar);
  const owner = new Owner();
  const memory = buffers(4);
  for (let round = 1; round <= 6; round++) {
    for (let i = 0; i < 3; i++) queue.putBlocks(owner, i, READ, NAMESPACE, i, BLOCKS, memory.all.prps, i, 1);
    queue.ring();
    assert.is(queue.poll(), 0);
    instant.answer(3);
    assert.is(queue.poll(), 3);
    assert.equal([owner.done, owner.statuses, queue.stale], [3 * round, 0, 0]);
    const tail = (3 * round) % 5;
    assert.equal(doorbells.splice(0), [
      [0x1008, tail],
      [0x100c, tail],
    ]);
  }
  memory.close();
});

test("an entry with another word than it should have is found", () => {
  const instant = new Instant(8);
  const queue = queueWith(instant, 8, { read32: () => 0, write32: () => {} });
  const memory = buffers(4);
  const { all } = memory;
  for (let i = 0; i < 8; i++) queue.putBlocks(new Owner(), i, READ, NAMESPACE, i, BLOCKS, all.prps, i % 4, 1);
  checkEntries(instant.submission, 8, all);
  for (let word = 0; word < 8 * 16; word++) {
    instant.submission[word] = (instant.submission[word] as number) ^ 1;
    assert.throws(() => checkEntries(instant.submission, 8, all), /strictly deep-equal/, `word ${word}`);
    instant.submission[word] = (instant.submission[word] as number) ^ 1;
  }
  memory.close();
});

test("the driver's reads bring what the disk has, and the controller alone does as many", async () => {
  for (const places of [32, 1024]) {
    const machine = new NvmeMachine("powernv");
    const work = machine.reads("reads", await machine.open(), places);
    assert.is(work.expected, READS);
    assert.ok((inJavaScript(work).time(1) as number) > 0);
    work.spoil?.();
    assert.throws(() => work.verify?.(), /is not as the disk has it/);
    await machine.close();
  }
  const machine = new NvmeMachine("powernv");
  const alone = machine.alone("alone", await machine.open());
  assert.ok((inJavaScript(alone).time(1) as number) > 0);
  alone.spoil?.();
  assert.throws(() => alone.verify?.(), /a command failed/);
  await machine.close();
});

if (shimAvailable()) {
  test("a file that is mapped has what was written to its registers", () => {
    const file = mappedFile(4096);
    file.bar.write32(8, 0x12345678);
    assert.is(new DataView(file.read().buffer).getUint32(8, true), 0x12345678);
    file.write(new Uint8Array(4096).fill(7));
    assert.is(file.registers.read32(8), 0x07070707);
    file.close();
    assert.throws(() => file.registers.read32(8), /not mapped/);
  });

  test("every event that another thread writes is heard, in less than the time that went by", async () => {
    const kernel = linuxKernel();
    const fd = kernel.eventfd?.() as number;
    const ringer = new Ringer();
    const begun = performance.now();
    const took = await ringer.ring(fd, 20, {
      name: "a listener",
      begin: (heard) => {
        const listening = kernel.listen?.(fd, heard);
        if (typeof listening !== "object") throw new Error(`${listening}`);
        return () => listening.end();
      },
    });
    assert.is(took.length, 20);
    const all = took.reduce((sum, each) => sum + each, 0);
    assert.ok(Math.min(...took) > 0 && all < (performance.now() - begun) * 1e6, `${took}`);
    await ringer.close();
    kernel.close(fd);
  });
}

const { native } = buildRivals();
if (native !== undefined) {
  const { addon } = native;
  test("the native calls that do nothing do as much", () => {
    assert.is(addon.nothing(1, 2), undefined);
    assert.is(addon.second(1, 0xffff_fffe), 0xffff_fffe);
    assert.throws(() => addon.second(1, "2" as never), /second\(number, number\)/);
    assert.is(addon.blockReads(-1, true), -9);
  });
}

test.run();
