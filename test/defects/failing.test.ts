/** Defects of what this library grew out of, in what is done when the kernel says no. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { planWindow } from "../../src/plan/index.ts";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, KiB, MiB, Program, ready } from "../support/program.ts";

const PAGE = 4096n;

// Defect 3, its first part. When MAP failed, what REGISTER had locked stayed locked, and nobody knew of it.
test("a MAP that fails leaves no registration behind", () => {
  const { program, window, va } = ready();
  const used = program.model.lockedMemory().used;
  program.kernel.fail({ call: "MAP_DMA", answer: no.EINVAL });
  failure("ERR_KERNEL", () => window.map({ va, length: 4n * PAGE }));
  assert.equal(program.seen.registrations, []);
  assert.is(program.model.lockedMemory().used, used);
  agree(program, window);
});

// Defect 3, its second part. When UNREGISTER failed after UNMAP, the list still had what the kernel had unmapped.
test("an UNREGISTER that fails after its UNMAP: the tables say that nothing is mapped, as the kernel does", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 4n * PAGE });
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => window.unmap({ iova: 0n, length: 4n * PAGE }));
  assert.is(window.translate(va), undefined);
  assert.equal([...window.maps()], []);
  agree(program, window);
});

// Defect 5, its first part. The default window was removed first, and nothing put it back when CREATE failed.
test("when the window cannot be created the container has its default window again", () => {
  const program = new Program();
  program.kernel.fail({ call: "TCE_CREATE", answer: no.ENOMEM });
  failure("ERR_KERNEL", () => program.window(64n * MiB));
  assert.equal(
    program.seen.windows.map(({ start, size }) => [start, size]),
    [[0n, 2n * GiB]],
  );
});

// Defect 6. Any failure was answered with a CREATE of one level more, and every CREATE that fails can leak its charge.
test("a window is asked for once, with the levels that work: no CREATE is a trial, and no charge is lost", () => {
  const refused = new Program();
  refused.kernel.fail({ call: "TCE_CREATE", answer: no.EIO, times: 9 });
  const error = failure("ERR_KERNEL", () => refused.window(64n * MiB));
  assert.is(refused.kernel.refused.length, 2, "the window, and the default window that could not be put back");
  assert.is(error.residue?.left.length, 1);

  // 16 GiB of 4 KiB pages: one level is charged and then refused, and 64 MiB of the limit are gone for ever.
  const program = new Program();
  const lists = [{ base: 0n, length: 16n * GiB, pageSize: PAGE }];
  program.container.createWindow(planWindow({ memory: { lists }, info: program.container.info() }));
  assert.is(program.seen.windows[0]?.levels, 2);
  assert.is(program.model.snapshot().charges.leakedBytes, 0n);
  assert.is(program.model.lockedMemory().used, 64n * MiB + 32n * KiB);
});

// Defect 11. EEXIST was taken for success, and the map recorded, although other memory is mapped there.
test("EEXIST from MAP is a failure: nothing is recorded, and the registration is taken back", () => {
  const { program, window, va } = ready();
  program.kernel.fail({ call: "MAP_DMA", answer: no.EEXIST });
  const error = failure("ERR_KERNEL", () => window.map({ va, length: PAGE, iova: MiB }));
  assert.is(error.errno, no.EEXIST);
  assert.match(error.message, "other memory is mapped");
  assert.is(window.translate(va), undefined);
  assert.is(window.vaOf(MiB), undefined);
  assert.equal(program.seen.registrations, []);
  agree(program, window);
});

test.run();
