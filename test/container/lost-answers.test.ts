/**
 * The kernel interface makes a list of calls in full, and every answer is lost: as one that works on a copy of the memory, in
 * another thread or process, and breaks off. The kernel is asked once more, and what it says then is believed.
 */
import { suite, test } from "uvu";
import * as assert from "uvu/assert";
import { agreed, covers } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { type Program, ready } from "../support/program.ts";
import { batchAt, leavesNothing, machines, mapBatch, mends, PAGE } from "./interfaces.ts";

/** The next `times` batches lose their answers: it throws, or says that all is done and writes nothing. Gives the way back. */
function lose({ kernel }: Program, times: number, how: "throws" | "is silent" = "throws"): () => void {
  const whole = kernel.ioctlBatch.bind(kernel);
  let left = times;
  kernel.ioctlBatch = (fd, memory, table, count) => {
    if (left-- <= 0) return whole(fd, memory, table, count);
    whole(fd, memory.slice(), table, count);
    if (how === "throws") throw new Error("the answers are lost");
    return count;
  };
  return () => {
    kernel.ioctlBatch = whole;
  };
}

for (const { name, options } of machines) {
  const lost = suite(name);

  lost("answers to unmaps: they are done, or may be mapped still and are unmapped later", () => {
    for (const times of [1, 2, 3, 4, 5]) {
      const { program, window, va } = ready(options);
      const placed = mapBatch(window, va);
      const mend = lose(program, times);
      const error = failure("ERR_INTERFACE", () => window.unmapMany(placed));
      const left = error.residue?.left ?? [];
      if (times === 1) assert.equal(left, []);
      covers(program, window, left);
      mend();
      mends(program, window, va);
    }
  });

  lost("answers to maps: they are taken back, or may be mapped and are unmapped later", () => {
    for (const times of [1, 2, 3, 4, 5, 9]) {
      const { program, window, va } = ready(options);
      const mend = lose(program, times);
      const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
      covers(program, window, error.residue?.left ?? []);
      if (times <= 2) assert.equal(error.residue, undefined);
      mend();
      mends(program, window, va);
    }
  });

  lost("maps were made, and then the interface is dead: each of them may be mapped, not only the first", () => {
    const { program, window, va } = ready(options);
    lose(program, 1);
    const once = program.kernel.ioctlBatch.bind(program.kernel);
    let calls = 0;
    program.kernel.ioctlBatch = (...parameters) => {
      if (calls++ === 0) return once(...parameters);
      throw new Error("the interface is dead");
    };
    const error = failure("ERR_INTERFACE", () => window.mapMany(batchAt(va)));
    assert.is(program.model.live(program.group).length, 3);
    covers(program, window, error.residue?.left ?? []);
    assert.is(error.residue?.left.length, 3);
    program.kernel.ioctlBatch = once;
    window.close();
    leavesNothing(program);
  });

  lost("an interface that says that all was unmapped, and wrote it into a copy", () => {
    const { program, window, va } = ready(options);
    const placed = mapBatch(window, va);
    lose(program, 1, "is silent");
    const error = failure("ERR_INTERFACE", () => window.unmapMany(placed));
    covers(program, window, error.residue?.left ?? []);
    window.unmapMany(placed);
    window.mapMany(batchAt(va));
    agreed(program, window);
    leavesNothing(program);
  });

  lost("a segment is freed: it is gone, or may be mapped still, and its place can be used again", () => {
    for (const times of [1, 2, 3, 4]) {
      const { program, window } = ready(options);
      const memory = program.memory();
      const list = memory.addList({ pageSize: PAGE, maxBytes: 16n * PAGE });
      program.container.attach(memory);
      const segment = memory.allocate(list, 1);
      const at = window.iovaOf(segment.va);
      const mend = lose(program, times);
      const error = failure("ERR_INTERFACE", () => memory.free(segment));
      const left = error.residue?.left ?? [];
      if (segment.freed) assert.equal(left, []);
      else {
        assert.match(left[0] ?? "", `4 KiB at IOVA 0x${at.toString(16)} may still be mapped`);
        mend();
        memory.free(segment);
      }
      mend();
      assert.is(window.liveBytes, 0n);
      assert.is(memory.allocate(list, 1).va, segment.va);
      agreed(program, window);
      program.container.close();
      memory.close();
      assert.equal(program.model.leaks(), []);
    }
  });

  lost("the container is closed: nothing is said to be left that is not there", () => {
    const { program, window, va } = ready(options);
    window.mapMany(batchAt(va));
    lose(program, 1);
    const error = failure("ERR_CLOSE", () => program.container.close());
    assert.not.match(error.message, /still|ENOENT/);
    assert.is(error.residue, undefined);
    assert.equal(program.model.leaks(), []);
  });

  lost.run();
}

test("registrations that an earlier failure left are ended, and the answers are lost", () => {
  const { program, window, va } = ready();
  const placed = mapBatch(window, va);
  program.kernel.fail({ call: "UNREGISTER_MEMORY", times: 3, answer: no.EIO });
  assert.is(failure("ERR_STILL_REGISTERED", () => window.unmapMany(placed)).residue?.left.length, 3);
  lose(program, 1);
  assert.is(failure("ERR_INTERFACE", () => window.mapMany(batchAt(va))).residue, undefined);
  assert.equal(program.seen.registrations, []);
  window.mapMany(batchAt(va));
  agreed(program, window);
});

test("registrations are ended, and an interface says so and writes it into a copy: they are asked for once more", () => {
  const { program, window, va } = ready();
  const placed = mapBatch(window, va);
  program.kernel.fail({ call: "UNREGISTER_MEMORY", times: 3, answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => window.unmapMany(placed));
  lose(program, 1, "is silent");
  failure("ERR_STALE_REGISTRATION", () => window.mapMany(batchAt(va)));
  assert.equal(program.seen.registrations, []);
  window.mapMany(batchAt(va));
  agreed(program, window);
});

test.run();
