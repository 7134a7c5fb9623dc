/** Files that programs are given, and which of the model's they are. */
import { openSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { GivenFiles } from "../../src/exec/given-files.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { Supervision } from "../../src/supervision.ts";

const files = suite("files that programs are given");

files("have the model's numbers, also behind one for which no descriptor was left", () => {
  const kernel = modelKernel({ platform: "type1" });
  let inode = 0;
  let isFull = true;
  const native = {
    execFile: () => (isFull ? -24 : [openSync("/dev/null", "r"), openSync("/dev/null", "r"), 1, ++inode]),
    execGive: () => 3,
    execIsHeld: () => 0,
    execWatch: () => undefined,
  } as Partial<Supervision> as Supervision;
  const given = new GivenFiles(native);
  const program = { kernel, calls: kernel };
  const open = () => {
    const fd = kernel.open("/dev/vfio/vfio");
    const answer = given.give({ id: 1n, flags: 0 }, program, fd, { kind: "container", name: "/dev/vfio/vfio" });
    if (answer < 0) kernel.close(fd);
    return answer;
  };
  assert.is(open(), -24);
  isFull = false;
  assert.is(open(), 3);
  const [file] = given.all;
  assert.equal(
    [file?.number],
    kernel.snapshot().containers.map(({ id }) => id),
  );
  assert.equal(given.settle(), [file]);
  assert.equal(kernel.leaks(), []);
});

files.run();
