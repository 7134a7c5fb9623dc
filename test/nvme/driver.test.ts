/** The driver on the software controller: data compared, on every platform and by every way in which completions are noticed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readSurely } from "../../examples/nvme/guards.mjs";
import type { Namespace } from "../../examples/nvme/namespace.mjs";
import { closeLeft, isSame, MODES, makeRig, outcome, PLATFORMS, pattern } from "./rig.ts";

const DISK = 16 << 20;

function diskOf(controller: { namespaces: Namespace[] }, id = 1): Namespace {
  const found = controller.namespaces.find((one) => one.id === id);
  assert.ok(found, `namespace ${id}`);
  return found as Namespace;
}

for (const platform of PLATFORMS) {
  for (const completions of MODES) {
    test(`what is on the disk is read, and what is written is on the disk: ${platform}, ${completions}`, async () => {
      const disk = pattern(DISK);
      const rig = await makeRig({ disk, completions: { seed: 7 } }, platform);
      const controller = await rig.open({ completions, queues: 3, depth: 40 });
      const namespace = diskOf(controller);
      assert.is(namespace.blocks, DISK / 512);
      for (const bytes of [512, 4096, 8192, 12288, 64 << 10, 128 << 10, 3 << 20]) {
        const got = await readSurely(namespace, 3, bytes / 512);
        assert.ok(isSame(got, disk.subarray(1536, 1536 + bytes)), `${bytes} bytes`);
      }
      const many = Array.from({ length: 300 }, (_, i) => readSurely(namespace, 8 * i, 8));
      for (const [i, got] of (await Promise.all(many)).entries()) {
        assert.ok(isSame(got, disk.subarray(4096 * i, 4096 * (i + 1))), `read ${i} of many at once`);
      }
      const before = disk.slice();
      for (const [lba, bytes] of [
        [0, 512],
        [100, 4096],
        [1000, 200 << 10],
      ] as const) {
        const data = pattern(bytes, lba + 2);
        await namespace.write(lba, data);
        before.set(data, 512 * lba);
      }
      await namespace.flush();
      assert.ok(isSame(disk, before), "the whole disk, byte by byte");
      if (completions !== "poll") assert.ok(controller.interrupts > 0);
      assert.is(controller.missed, 0);
      assert.is(controller.stale, 0);
      await controller.close();
      assert.not(rig.device.busMaster);
      rig.end();
    });
  }
}

test("memory that the controller reaches itself is filled and read without a copy, wherever it begins, by lists of several pages", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({ disk, mdts: 0, completions: "later" });
  const controller = await rig.open({ completions: "poll", depth: 8 });
  const namespace = diskOf(controller);
  const memory = rig.heap.buffer(9 << 20, { align: 4096 });
  for (const [offset, length] of [
    [0, 9 << 20],
    [4092, 4096],
    [4, 512],
    [0, 2 << 20],
    [0, (2 << 20) + 4096],
    [512, (2 << 20) + 4096],
    [4, (4 << 20) - 512],
  ] as const) {
    memory.bytes.fill(7);
    await namespace.readDirect(9, { iova: memory.iova + BigInt(offset), length });
    const expected = new Uint8Array(memory.length).fill(7);
    expected.set(disk.subarray(9 * 512, 9 * 512 + length), offset);
    assert.ok(isSame(memory.bytes, expected), `${length} bytes from ${offset} on, and none beside them`);
  }
  await namespace.writeDirect(64, { iova: memory.iova + 4n, length: 1 << 20 });
  assert.ok(isSame(disk.subarray(64 * 512, 64 * 512 + (1 << 20)), memory.bytes.subarray(4, 4 + (1 << 20))));
  memory.close();
  await controller.close();
  rig.end();
});

test("controllers of other kinds: blocks of 4 KiB, doorbells apart, one page a command, few queues, short queues", async () => {
  for (const nvme of [
    { blockBytes: 4096 },
    { doorbellStride: 64 },
    { mdts: 1 },
    { queues: 1 },
    { vectors: 1 },
    { vectors: 2 },
    { maxQueueEntries: 2 },
  ] as const) {
    const disk = pattern(DISK);
    const rig = await makeRig({ disk, completions: "later", ...nvme });
    const controller = await rig.open({ queues: 4, depth: 16 });
    const namespace = diskOf(controller);
    const block = namespace.blockBytes;
    const got = await readSurely(namespace, 5, (1 << 20) / block);
    assert.ok(isSame(got, disk.subarray(5 * block, 5 * block + (1 << 20))), JSON.stringify(nvme));
    const all = Array.from({ length: 64 }, (_, i) => readSurely(namespace, i, 1));
    for (const [i, one] of (await Promise.all(all)).entries())
      assert.ok(isSame(one, disk.subarray(block * i, block * (i + 1))));
    await controller.close();
    rig.end();
  }
});

test("every namespace that is there has its own blocks, and those that are not there are not asked for", async () => {
  const [first, third] = [pattern(1 << 20, 1), pattern(1 << 20, 3)];
  const rig = await makeRig({ namespaces: [{ disk: first }, undefined, { disk: third, blockBytes: 4096 }] });
  const controller = await rig.open();
  assert.equal(
    controller.namespaces.map(({ id, blocks, blockBytes }) => [id, blocks, blockBytes]),
    [
      [1, 2048, 512],
      [3, 256, 4096],
    ],
  );
  assert.ok(isSame(await readSurely(diskOf(controller, 1), 0, 2048), first));
  assert.ok(isSame(await readSurely(diskOf(controller, 3), 0, 256), third));
  await controller.close();
  rig.end();
});

test("what cannot be is refused before the controller is asked, with the numbers", async () => {
  const rig = await makeRig({ blocks: 100 });
  const controller = await rig.open();
  const namespace = diskOf(controller);
  const message = (promise: Promise<unknown>) =>
    promise.then(
      () => "done",
      (error: Error) => error.message,
    );
  assert.match(
    await message(namespace.read(99, new Uint8Array(1024))),
    /2 blocks from LBA 99 on are behind .* has 100 blocks/,
  );
  assert.match(
    await message(namespace.read(-1, new Uint8Array(512))),
    /lba must be a whole number from 0 to 99; got -1/,
  );
  assert.match(await message(namespace.read(0.5, new Uint8Array(512))), /got 0\.5/);
  assert.match(await message(namespace.write(0, new Uint8Array(100))), /whole blocks of 512 bytes.* 100 bytes/);
  assert.match(await message(namespace.write(0, new Uint8Array(0))), /one at least/);
  assert.match(await message(namespace.read(0, "x" as never)), /must be a Uint8Array; got x/);
  assert.match(await message(namespace.readDirect(0, { iova: 2n, length: 512 })), /multiple of 4/);
  await namespace.read(99, new Uint8Array(512));
  await controller.close();
  assert.is(await outcome(namespace.read(0, new Uint8Array(512))), "ERR_NVME_CLOSED");
  await controller.close();
  rig.end();
});

test("settings that cannot be are refused in words", async () => {
  const rig = await makeRig();
  for (const [settings, words] of [
    [{ depth: 0 }, /depth must be a whole number from 1 to 4095; got 0/],
    [{ queues: 1.5 }, /queues must be .* got 1\.5/],
    [{ completions: "irq" }, /completions must be one of poll, msix, intx; got irq/],
    [{ dept: 1 }, /there is no setting "dept"/],
  ] as const) {
    const error = await rig.open(settings as never).catch((reason: Error) => reason);
    assert.match((error as Error).message, words);
  }
  rig.end();
});

test("an answer that says no rejects in words, and only what it answers", async () => {
  const disk = pattern(DISK);
  const rig = await makeRig({
    disk,
    completions: { seed: 3 },
    faults: ({ queue, dwords }) => (queue > 0 && dwords[0] === 256 ? 0x281 : undefined),
  });
  const controller = await rig.open({ depth: 16 });
  const namespace = diskOf(controller);
  const results = await Promise.all([0, 256, 512].map((lba) => outcome(namespace.read(lba, new Uint8Array(4096)))));
  assert.equal(results, ["done", "ERR_NVME_STATUS", "done"]);
  const error = await namespace.read(0, new Uint8Array(1 << 20)).catch((reason: unknown) => reason);
  assert.match(
    (error as Error).message,
    /^read of 256 blocks at LBA 256: unrecovered read error \(status 0x281: type 2, code 0x81\)$/,
  );
  assert.is((error as { status: number }).status, 0x281);
  await controller.close();
  rig.end();
});

test("a read is done when its last part is there, and not when its first is", async () => {
  const disk = pattern(DISK);
  for (let seed = 1; seed <= 10; seed++) {
    const rig = await makeRig({ disk, completions: { seed }, mdts: 1 });
    const controller = await rig.open({ completions: "poll", queues: 2, depth: 8 });
    const got = new Uint8Array(1 << 20);
    await diskOf(controller).read(0, got);
    assert.ok(isSame(got, disk.subarray(0, 1 << 20)), `seed ${seed}`);
    await controller.close();
    rig.end();
  }
});

test("opening and reset leave the event loop to others", async () => {
  const rig = await makeRig({ completions: "later" });
  let turns = 0;
  const counting = setInterval(() => turns++, 0);
  counting.unref();
  const controller = await rig.open();
  const opening = turns;
  await controller.reset();
  assert.ok(opening > 0 && turns > opening, `${opening} turns in opening, ${turns - opening} in a reset`);
  clearInterval(counting);
  await controller.close();
  rig.end();
});

test.after(closeLeft);
test.run();
