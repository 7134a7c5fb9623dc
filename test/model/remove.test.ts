import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { errno, GiB, HIGH, KiB, MiB, Rig, started } from "./rig.ts";

const lazy = suite("the default window");

for (const [platform, charge] of [
  ["powernv", 8n * MiB],
  ["pseries", 2n * MiB],
] as const) {
  lazy(`${platform}: is charged by the first call that needs it`, () => {
    const program = started({ platform });
    const va = program.allocate(4n * KiB);
    program.register(va, 4n * KiB);
    assert.is(program.info(), 0);
    assert.is(program.locked, 4n * KiB);
    assert.is(program.unmap(0n, 4n * KiB), 0);
    assert.is(program.locked, 4n * KiB + charge);
  });
}

lazy("makes even a first UNMAP answer ENOMEM, and is tried again", () => {
  const lockedMemory = { limit: MiB, privileged: false };
  const program = started({ lockedMemory });
  const va = program.allocate(4n * KiB);
  program.register(va, 4n * KiB);
  assert.is(program.unmap(0n, 4n * KiB), -errno.ENOMEM);
  assert.is(program.create(30, 64n * GiB), -errno.ENOMEM, "CREATE needs it too");
  lockedMemory.limit = 9n * MiB;
  assert.is(program.map(va, 0n, 4n * KiB), 0);
});

lazy("is only cancelled by a first REMOVE", () => {
  const program = started({ lockedMemory: { limit: MiB, privileged: false } });
  const va = program.allocate(4n * KiB);
  assert.is(program.remove(0x1000n), -errno.EINVAL, "there is no window yet that has this address inside");
  assert.is(program.remove(0n), 0);
  assert.is(program.remove(0n), -errno.EINVAL);
  program.register(va, 4n * KiB);
  assert.is(program.map(va, 0n, 4n * KiB), -errno.ENXIO);
  assert.is(program.unmap(0n, 4n * KiB), -errno.ENXIO);
});

lazy.run();

const removal = suite("REMOVE");

removal("takes any address inside a window, with live mappings in it", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(8n * KiB);
  program.register(va, 8n * KiB);
  program.map(va, MiB, 8n * KiB);
  assert.is(program.remove(MiB + 1n), 0);
  assert.is(kernel.tceAt(26, MiB), undefined);
  assert.is(program.locked, 8n * KiB);
  assert.is(program.unregister(va, 8n * KiB), 0);
  assert.equal(kernel.snapshot().zombies, []);
});

for (const [why, start, head] of [
  ["the window's end", 2n * GiB, {}],
  ["an address above both", HIGH, {}],
  ["flags", 0n, { flags: 1 }],
  ["a short struct", 0n, { argsz: 15 }],
] as const) {
  removal(`refuses ${why}`, () => {
    const program = started();
    program.create(12, MiB);
    program.remove(HIGH);
    assert.is(program.remove(start, head), -errno.EINVAL);
  });
}

removal("does not change what GET_INFO says", () => {
  const program = started();
  program.info();
  const before = program.memory.slice(0, 32);
  program.remove(0n);
  program.info();
  assert.equal(program.memory.slice(0, 32), before);
});

removal("of a huge window with one live TCE costs what is live", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.remove(0n);
  program.create(12, 1n << 46n, 3);
  const va = program.allocate(4n * KiB);
  program.register(va, 4n * KiB);
  program.map(va, 1n << 45n, 4n * KiB);
  assert.is(program.unmap(0n, 1n << 45n), 0);
  assert.is(kernel.snapshot().containers[0]?.windows[0]?.liveTces, 1);
  assert.is(program.remove(0n), 0);
  assert.is(program.unregister(va, 4n * KiB), 0);
  assert.is(program.locked, 0n);
});

removal.run();
