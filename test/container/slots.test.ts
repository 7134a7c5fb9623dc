/** How many windows a container takes, and where: the two platforms differ, and a mistake on an LPAR lasts until reboot. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { GiB, HIGH, KiB, MiB, Program } from "../support/program.ts";

test("PowerNV: a second window begins at 1 << 59, and maps work in both", () => {
  const program = new Program();
  const first = program.window(16n * MiB);
  const second = program.window(16n * MiB);
  assert.equal([first.start, second.start], [0n, HIGH]);
  assert.equal([first.dmaMaskBits, second.dmaMaskBits], [24, 60]);
  const va = program.allocate(64n * KiB);
  assert.is(first.map({ va, length: 64n * KiB }), 0n);
  assert.is(second.map({ va, length: 64n * KiB }), HIGH);
  agree(program, first);
  agree(program, second);
  assert.is(second.iovaOf(va + 4097n), HIGH + 4097n);
  assert.is(second.vaOf(HIGH + 4097n), va + 4097n);
});

test("PowerNV: memory that two windows map is registered once, and as long as one of them maps it", () => {
  const program = new Program();
  const [first, second] = [program.window(16n * MiB), program.window(16n * MiB)];
  const va = program.allocate(8n * KiB);
  program.record.take();
  first.map({ va, length: 8192 });
  second.map({ va, length: 8192 });
  assert.equal(program.record.takeNames(), ["REGISTER_MEMORY", "MAP_DMA", "MAP_DMA"]);
  first.unmap({ iova: 0n, length: 8192 });
  assert.equal(program.record.takeNames(), ["UNMAP_DMA"]);
  agree(program, second);
  second.unmap({ iova: HIGH, length: 8192 });
  assert.equal(program.record.takeNames(), ["UNMAP_DMA", "UNREGISTER_MEMORY"]);
});

test("a third window is refused by us: the kernel is only asked what it can do", () => {
  const program = new Program();
  program.window(16n * MiB);
  program.window(16n * MiB);
  const plan = { ...planLike(program), size: 16n * MiB };
  program.record.take();
  const error = failure("ERR_NO_WINDOW_SLOT", () => program.container.createWindow(plan));
  assert.match(error.message, "2 windows are open");
  assert.equal(program.record.takeNames(), ["TCE_GET_INFO"]);
});

test("a slot is free again once its window is closed", () => {
  const program = new Program();
  const first = program.window(16n * MiB);
  program.window(16n * MiB);
  first.close();
  assert.is(program.window(32n * MiB).start, 0n);
});

test("LPAR: a window like the default one is at 0, any other at 1 << 59, and rebased maps work there", () => {
  const small = new Program({ platform: "pseries" });
  assert.is(small.window(GiB).start, 0n);

  const large = new Program({ platform: "pseries" });
  const window = large.window(4n * GiB);
  assert.equal([window.start, window.dmaMaskBits], [HIGH, 60]);
  const va = large.allocate(64n * KiB);
  assert.is(window.map({ va, length: 64n * KiB }), HIGH);
  assert.is(
    window.map({ va: large.allocate(4n * KiB), length: 4096, iova: HIGH + 4n * GiB - 4096n }),
    HIGH + 4n * GiB - 4096n,
  );
  assert.is(window.headroom(HIGH), 4n * GiB);
  assert.is(window.headroom(0n), 0n);
  agree(large, window);
  window.unmap({ iova: HIGH, length: 64n * KiB });
  agree(large, window);
});

test("LPAR: beside a large window no other is asked for, whatever its shape: firmware would refuse the group for good", () => {
  for (const size of [4n * GiB, MiB]) {
    const program = new Program({ platform: "pseries" });
    const window = program.window(4n * GiB);
    program.record.take();
    const error = failure("ERR_NO_WINDOW_SLOT", () => program.window(size));
    assert.match(error.message, "1 << 59");
    assert.equal(new Set(program.record.takeNames()), new Set(["TCE_GET_INFO"]));
    // And the group is as good as before.
    window.close();
    assert.is(program.window(4n * GiB).start, HIGH);
  }
});

test("LPAR: first a window like the default one, then a large one: both work", () => {
  const program = new Program({ platform: "pseries" });
  const small = program.window(GiB);
  const large = program.window(4n * GiB);
  assert.equal([small.start, large.start], [0n, HIGH]);
  const va = program.allocate(4n * KiB);
  assert.is(small.map({ va, length: 4096 }), 0n);
  assert.is(large.map({ va, length: 4096 }), HIGH);
  agree(program, small);
  agree(program, large);
  failure("ERR_NO_WINDOW_SLOT", () => program.window(GiB));
  // The small one gone, the large one stays where a second must not be asked for.
  small.close();
  failure("ERR_NO_WINDOW_SLOT", () => program.window(GiB));
  large.close();
  assert.is(program.window(GiB).start, 0n);
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

test("LPAR: a second window like the default one lands at 1 << 59, which is fine for rebased and refused for va", () => {
  const program = new Program({ platform: "pseries" });
  program.window(GiB);
  failure("ERR_WINDOW_ELSEWHERE", () => program.window(GiB, { iovaMode: "va" }));
  assert.is(program.window(GiB).start, HIGH);
});

function planLike(program: Program) {
  const [window] = program.container.windows;
  if (window === undefined) throw new Error("no window");
  const { start, size, pageShift, levels, iovaMode, dmaMaskBits } = window;
  const fullGrowth = { memoryBytes: 0n, lockedBytes: 0n, lockable: null, maps: 0n, mapsAvailable: null, hugepages: [] };
  const nothing = {
    fullGrowth,
    warnings: [],
    levelBytes: [],
    tableBytes: 0n,
    chargeBytes: 0n,
    holes: [],
    rejected: [],
  };
  return {
    kind: "spapr" as const,
    start,
    size,
    needed: size,
    tces: size >> 12n,
    pageShift,
    levels,
    iovaMode,
    dmaMaskBits,
    ...nothing,
  };
}

test.run();
