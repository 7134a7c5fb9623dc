/** A plan that is made again while its memory is mapped: what is counted already is not counted twice. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bytes as showBytes } from "../../src/hex.ts";
import { type FullGrowth, planWindow } from "../../src/plan/index.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";

/** What of full growth does not depend on what is there by now. */
const lasting = ({ memoryBytes, lockedBytes, lockable }: FullGrowth) => ({ memoryBytes, lockedBytes, lockable });

for (const platform of ["powernv", "pseries", "type1"] as const) {
  const test = suite(platform);

  /** A list of 64 MiB of which half is there, in two segments. */
  const build = (limit = GiB) => {
    const limits = { limit, privileged: false };
    const program = new Program({ platform, lockedMemory: limits, groups: [27, 26] });
    const memory = program.memory();
    const list = memory.addList({ pageSize: 4n * KiB, maxBytes: 64n * MiB });
    memory.allocate(list, Number((24n * MiB) / list.pageSize));
    memory.allocate(list, Number((8n * MiB) / list.pageSize));
    const plan = (of = program) => planWindow({ memory, info: of.container.info() });
    /** From now on so many bytes more may be locked. */
    const leave = (bytes: bigint) => {
      limits.limit = program.model.lockedMemory().used + bytes;
    };
    return { program, memory, plan, leave };
  };

  test("numbers of full growth are the same before and after, and so are the warnings", () => {
    const { program, memory, plan } = build();
    const before = plan();
    assert.equal(before.warnings, []);
    const window = program.container.createWindow(before);
    // The window's own table is counted from now on: another plan is for another window.
    const made = plan();
    program.container.attach(memory, window);
    const after = plan();
    assert.equal(lasting(after.fullGrowth), lasting(made.fullGrowth));
    assert.equal(after.warnings, []);
    program.container.detach(memory);
    assert.equal(lasting(plan().fullGrowth), lasting(made.fullGrowth));
    program.container.close();
    assert.equal(program.model.leaks(), []);
    memory.close();
  });

  test("the other half does not fit: a warning with what is locked already, and no refusal for what is there", () => {
    const { program, memory, plan, leave } = build();
    const first = plan();
    const window = program.container.createWindow(first);
    program.container.attach(memory, window);
    leave(32n * MiB + first.chargeBytes);
    assert.equal(plan().warnings, []);
    leave(32n * MiB + first.chargeBytes - 1n);
    const [warning = ""] = plan().warnings;
    assert.match(warning, "64 MiB of memory, 32 MiB of it locked already");
    assert.match(warning, `full growth locks ${showBytes(32n * MiB + first.chargeBytes)} more`);
    leave(first.chargeBytes);
    assert.is(plan().size, window.size);
    program.container.detach(memory);
    program.container.attach(memory, window);
    program.container.close();
    memory.close();
  });

  test("a container that does not have it counts it again on type1 only, where each container counts for itself", () => {
    const { program, memory, plan } = build();
    const other = program.beside(27);
    program.container.createWindow(plan());
    const apart = plan(other).fullGrowth.lockable;
    program.container.attach(memory);
    const counted = platform === "type1" ? 32n * MiB : 0n;
    assert.is(plan(other).fullGrowth.lockable, (apart ?? 0n) - counted);
    other.container.close();
    program.container.close();
    memory.close();
  });

  test.run();
}

const maps = suite("maps of type1");

maps("pages that are mapped in few maps are not counted as many", () => {
  const program = new Program({ platform: "type1", dmaEntryLimit: 600 });
  const memory = program.memory();
  const list = memory.addList({ pageSize: 4n * KiB, maxBytes: 64n * MiB });
  memory.allocate(list, 16000);
  const plan = () => planWindow({ memory, info: program.container.info() });
  const window = program.container.createWindow(plan());
  assert.equal([plan().fullGrowth.maps, plan().fullGrowth.mapsAvailable], [16384n, 600]);
  program.container.attach(memory, window);
  assert.equal([plan().fullGrowth.maps, plan().fullGrowth.mapsAvailable], [385n, 600]);
  assert.equal(plan().warnings, []);
  program.container.close();
  memory.close();
});

maps("facts that cannot be are refused", () => {
  const program = new Program({ platform: "type1" });
  const info = program.container.info();
  const facts = { lists: [], bytes: MiB };
  const planOf = (mapped: unknown) =>
    planWindow({ memory: { ...facts, mapped: mapped as [] }, info, growTo: 64n * MiB });
  assert.throws(() => planOf({}), /memory\.mapped must be an array/);
  assert.throws(() => planOf([null]), /memory\.mapped\[0\] must be/);
  assert.throws(() => planOf([{ container: 1, bytes: 1n, pages: 1n }]), /memory\.mapped\[0\]\.maps must be/);
  program.container.close();
});

maps.run();
