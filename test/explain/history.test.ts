/** What a trace's calls have made of the process, beside the model, which knows it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { History } from "../../src/history/history.ts";
import { type ModelPlatform, modelKernel } from "../../src/model/index.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { readTrace } from "../../src/trace/index.ts";
import { PAGE, Tape } from "../trace/tape.ts";

const locked = suite("locked memory, by a trace");

/** A program of two groups, of which some memory is locked, and what it counts as locked in the end by the trace and by the model. */
function after(platform: ModelPlatform, act: (tape: Tape, groups: readonly number[]) => void): [bigint, bigint] {
  const model = modelKernel({ platform, groups: [26, 27] });
  const tape = new Tape(model);
  const groups: number[] = [];
  tape.start(["/dev/vfio/26"]);
  groups.push(tape.group);
  groups.push(tape.kernel.open("/dev/vfio/27"));
  tape.struct(groups[1] as number, VfioCall.GROUP_SET_CONTAINER, [tape.container]);
  const va = tape.mmap(8);
  if (platform === "type1") {
    tape.map(va, 0n, 2n * PAGE);
    tape.map(va + 4n * PAGE, 0x10000n, PAGE);
  } else {
    tape.register(va, 2n * PAGE);
    tape.register(va + 4n * PAGE, PAGE);
  }
  assert.is(model.lockedMemory().used, 3n * PAGE);
  act(tape, groups);
  const { header, calls } = readTrace(tape.lines);
  const history = new History(header);
  for (const call of calls) history.add(call);
  return [history.locked as bigint, model.lockedMemory().used];
}

for (const platform of ["powernv", "pseries", "type1"] as const) {
  locked(`stays while a group is in the container, and goes with the last one: ${platform}`, () => {
    const unset = (tape: Tape, fd: number) => assert.is(tape.kernel.ioctl(fd, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
    const one = after(platform, (tape, [first]) => unset(tape, first as number));
    assert.equal(one, [3n * PAGE, 3n * PAGE]);
    const both = after(platform, (tape, groups) => {
      for (const fd of groups) unset(tape, fd);
    });
    assert.equal(both, [0n, 0n]);
    const closed = after(platform, (tape, groups) => {
      for (const fd of groups) tape.kernel.close(fd);
    });
    assert.equal(closed, [0n, 0n]);
  });
}

locked.run();
