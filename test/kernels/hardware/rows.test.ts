/** The rows that are run on a machine that is somebody's: the model shows that nothing of them stays. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ModelKernel } from "../../../src/model/index.ts";
import { type Syscalls, VfioCall } from "../../../src/syscalls.ts";
import { type Passing, Through } from "../../../src/through.ts";
import { modelTarget } from "../../conformance/model-target.ts";
import { answerOf, needsOf } from "../../conformance/run-on.ts";
import type { Target } from "../../conformance/target.ts";
import { guests, platformsOf } from "../guests.ts";
import { gentleRows } from "./rows.ts";

for (const { name, machine, cpuPage } of guests.filter(({ isExtra }) => !isExtra)) {
  const test = suite(`rows for hardware like ${name}`);
  for (const platform of platformsOf[machine]) {
    const target = modelTarget(platform, cpuPage === 4096 ? 4096 : 65536);

    test(`${platform}: no row harms the kernel or leaves anything in it, and most rows are run`, () => {
      const { rows } = gentleRows(target, true);
      assert.ok(rows.length > 150, `${rows.length} rows`);
      for (const row of rows) {
        const { kernel, watched, emptyRegistrations } = watching(target);
        answerOf(row, watched);
        assert.equal(kernel().leaks(), [], row.id);
        assert.is(emptyRegistrations(), 0, `${row.id} registers 0 bytes`);
        assert.is(needsOf(row.row).reboot, undefined, row.id);
      }
    });

    test(`${platform}: without a device that can be told what to do none is opened`, () => {
      const { rows } = gentleRows(target, false);
      assert.ok(rows.length > 100, `${rows.length} rows`);
      for (const row of rows) {
        const { kernel, watched } = watching(target);
        answerOf(row, watched);
        const { calls = 0, failed = 0 } = kernel().counters().calls.VFIO_GROUP_GET_DEVICE_FD ?? {};
        assert.is(calls - failed, 0, row.id);
      }
    });

    test(`${platform}: what is left out is counted, with the reasons`, () => {
      const [all, without] = [gentleRows(target, true), gentleRows(target, false)];
      assert.match(without.leftOut ?? "", /\d+ need a device that does DMA/);
      assert.not.match(all.leftOut ?? "", /need a device/);
      if (machine !== "x86") assert.match(all.leftOut ?? "", /\d+ would harm this kernel or leave something in it/);
      else assert.is(all.leftOut, undefined);
    });
  }
  test.run();
}

/** The same target, the kernel that the row before got, and how often it was asked to register 0 bytes. */
function watching(target: Target) {
  let last: ModelKernel | undefined;
  let empty = 0;
  const begin: Target["begin"] = (needs) => {
    const machine = target.begin(needs);
    const { kernel } = machine;
    last = kernel as ModelKernel;
    return { ...machine, kernel: new Registering(kernel, () => empty++) };
  };
  return {
    watched: { ...target, begin },
    kernel: () => last as ModelKernel,
    emptyRegistrations: () => empty,
  };
}

/** Sees REGISTER pass; its size comes last, behind argsz, flags and vaddr. */
class Registering extends Through {
  readonly #hear: () => void;

  constructor(inner: Syscalls, hear: () => void) {
    super(inner);
    this.#hear = hear;
  }

  protected override pass<R extends number | bigint>({ call, memory, at = 0 }: Passing, make: () => R): R {
    if (call === VfioCall.IOMMU_SPAPR_REGISTER_MEMORY && memory !== undefined) {
      const struct = new DataView(memory.buffer, memory.byteOffset + at);
      if (struct.getBigUint64(16, true) === 0n) this.#hear();
    }
    return make();
  }
}
