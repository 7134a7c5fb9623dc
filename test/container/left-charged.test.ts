/** A CREATE that the kernel refused after it had counted the table: it stays counted, and the error says so, with the bytes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, KiB, MiB, Program } from "../support/program.ts";

/** A plan for 64 KiB pages, whose table on an LPAR has 8 bytes for each. */
function planFor({ container }: Program, size: bigint, window?: "default") {
  const lists = [{ base: 0n, length: size, pageSize: 64n * KiB }];
  return planWindow({ memory: { lists }, info: container.info(), ...(window === undefined ? {} : { window }) });
}

const locked = ({ model }: Program) => model.lockedMemory().used;
const leaked = ({ model }: Program) => model.snapshot().charges.leakedBytes;

test("firmware refuses: what stays counted is in the residue, in bytes, with the one end that it has", () => {
  const program = new Program({ platform: "pseries", firmwareLargestBlock: 0n });
  const plan = planFor(program, 2n * GiB);
  assert.is(plan.chargeBytes, 256n * KiB);
  for (const tries of [1n, 2n]) {
    const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
    assert.equal([error.errno, error.facts?.chargedBytes], [no.EINVAL, 256n * KiB]);
    assert.is(error.residue?.left.length, 1);
    const [left = ""] = error.residue?.left ?? [];
    assert.match(left, "256 KiB still count as locked memory, for a window of 2 GiB");
    assert.match(left, "only the end of this process gives it back");
    assert.match(error.message, left);
    assert.is(leaked(program), tries * 256n * KiB);
  }
  program.container.close();
  assert.is(locked(program), 512n * KiB);
});

test("the default window that would do is offered all the same", () => {
  const program = new Program({ platform: "pseries", firmwareLargestBlock: 0n });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor(program, 512n * MiB)));
  assert.match(error.message, 'plan with window: "default"');
  assert.equal([error.facts?.chargedBytes, leaked(program)], [64n * KiB, 64n * KiB]);
  assert.equal(error.facts?.defaultWindow, { start: 0n, size: GiB });
  assert.is(error.residue?.left.length, 1);
});

test("PowerNV counts as the kernel does, whatever a plan that was made by hand says", () => {
  const program = new Program({ platform: "powernv" });
  const plan = { ...planFor(program, 2n * GiB), size: 1n << 46n, levels: 1, chargeBytes: 1n };
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  assert.ok(leaked(program) > 0n);
  assert.is(error.facts?.chargedBytes, leaked(program));
});

test("what was refused before it was counted leaves nothing", () => {
  for (const answer of [no.EINVAL, no.ENOMEM, no.ENOSPC, no.EFAULT]) {
    const program = new Program({ platform: "pseries" });
    program.kernel.fail({ call: "TCE_CREATE", answer });
    const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor(program, 2n * GiB)));
    assert.equal([error.residue, error.facts?.chargedBytes], [undefined, undefined]);
  }
  const limited = new Program({ platform: "pseries", lockedMemory: { limit: 3n * MiB, privileged: false } });
  const plan = { ...planFor(limited, 2n * GiB), size: 64n * GiB };
  const error = failure("ERR_KERNEL", () => limited.container.createWindow(plan));
  assert.equal([error.errno, error.residue, leaked(limited)], [no.ENOMEM, undefined, 0n]);
});

test("the default window in use, which the same call may make first, is not what stays", () => {
  for (const isMade of [false, true]) {
    const program = new Program({ platform: "pseries", firmwareLargestBlock: 0n });
    const small = program.container.createWindow(planFor(program, 64n * MiB, "default"));
    if (isMade) small.map({ va: program.allocate(64n * KiB), length: 64n * KiB });
    const error = failure("ERR_KERNEL", () => program.container.createWindow(planFor(program, 2n * GiB)));
    assert.is(error.facts?.chargedBytes, 256n * KiB);
    assert.is(leaked(program), 256n * KiB);
    program.container.close();
  }
});

test("the default window that could not be put back: what that CREATE left is said too", () => {
  const program = new Program({ platform: "powernv" });
  const plan = { ...planFor(program, 2n * GiB), size: 1n << 46n, levels: 1 };
  program.kernel.fail({ call: "TCE_CREATE", nth: 1, answer: no.ENOMEM });
  const error = failure("ERR_KERNEL", () => program.container.createWindow(plan));
  const [charge = "", notBack = ""] = error.residue?.left ?? [];
  assert.match(charge, "still count as locked memory");
  assert.match(notBack, "not put back");
  assert.is(error.residue?.left.length, 2);
});

test("an interface that loses the answer of a refused CREATE: what stays is known all the same", () => {
  const program = new Program({ platform: "pseries", firmwareLargestBlock: 0n });
  const plan = planFor(program, 2n * GiB);
  const { ioctlStruct } = program.kernel;
  let lost = 0;
  Object.defineProperty(program.kernel, "ioctlStruct", {
    value(...parameters: Parameters<typeof ioctlStruct>) {
      const before = leaked(program);
      const answer = ioctlStruct.apply(program.kernel, parameters);
      if (leaked(program) === before) return answer;
      lost++;
      throw new Error("lost");
    },
  });
  const error = failure("ERR_INTERFACE", () => program.container.createWindow(plan));
  assert.equal([lost, error.facts?.chargedBytes], [1, 256n * KiB]);
  assert.match(error.residue?.left.join() ?? "", "256 KiB still count as locked memory");
});

test.run();
