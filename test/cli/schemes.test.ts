import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DynamicScheme, StaticScheme } from "../../src/cli/schemes.ts";
import type { ModelKernel } from "../../src/model/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { type RecordingSyscalls, recording } from "../support/recording.ts";
import { makeMachine } from "./machine.ts";

const rebased = { iovaMode: "rebased" } as const;

const both = [
  ["the static window", (machine: ReturnType<typeof makeMachine>) => new StaticScheme(machine, rebased, [2, 2])],
  ["the dynamic scheme", (machine: ReturnType<typeof makeMachine>) => new DynamicScheme(machine, [2, 2])],
] as const;

const low = suite("virtual addresses");

low("are looked for low, where something is at 4 GiB too, so that the window is small", () => {
  const machine = makeMachine();
  for (const [taken, expected] of [
    [[], 1n << 32n],
    [[1n << 32n], 1n << 34n],
    [[1n << 32n, 1n << 34n], 1n << 36n],
  ] as const) {
    const makeKernel = (): ModelKernel => {
      const kernel = machine.makeKernel() as ModelKernel;
      for (const address of taken) assert.is(kernel.mmap(address, 4096n, 3, 0, 0), address);
      return kernel;
    };
    const scheme = new StaticScheme({ ...machine, makeKernel }, { iovaMode: "va" }, [1]);
    assert.is(scheme.ground.list.base, expected);
    assert.is(scheme.plan.size, 2n * expected);
    assert.is(scheme.ground.memory.lists.length, 1);
    scheme.close();
  }
});

low.run();

for (const [name, make] of both) {
  const schemes = suite(name);

  schemes("maps what is allocated and unmaps what is freed, and a free is no interruption", () => {
    const machine = makeMachine();
    const scheme = make(machine);
    const { witness, memory } = scheme.ground;
    const before = witness.interrupted;
    assert.is(witness.livePages, 4);
    const segment = scheme.allocate(1);
    assert.is(witness.livePages, 5);
    const interrupted = witness.interrupted;
    (scheme.free as (segment: unknown) => void).call(scheme, segment);
    assert.equal([witness.livePages, witness.interrupted, memory.size], [4, interrupted, 2]);
    assert.ok(interrupted - before <= 4, "no more than was live");
    scheme.close();
  });

  schemes("gives memory back that could not be mapped", () => {
    const machine = makeMachine();
    const scheme = make({ ...machine, makeKernel: () => faulty(machine.makeKernel()) });
    const { memory, witness } = scheme.ground;
    (witness.inner as ReturnType<typeof faulty>).fail({ call: "TCE_CREATE", answer: no.ENOMEM, times: 9 });
    (witness.inner as ReturnType<typeof faulty>).fail({ call: "REGISTER_MEMORY", answer: no.ENOMEM, times: 9 });
    const before = memory.bytes;
    assert.is(thrownBy(() => scheme.allocate(8)).name, "DmaWindowError");
    assert.is(memory.bytes, before);
    scheme.close();
  });

  schemes(
    "that is closed has let go of everything, interrupted nothing, and left nothing; once more does nothing",
    () => {
      const machine = makeMachine();
      const scheme = make(machine);
      scheme.allocate(3);
      const { witness } = scheme.ground;
      const before = witness.interrupted;
      scheme.close();
      scheme.close();
      assert.equal([witness.livePages, witness.interrupted], [0, before]);
      for (const kernel of machine.kernels) assert.equal(kernel.leaks(), []);
    },
  );

  for (const call of ["open", "SET_IOMMU", "GET_INFO", "TCE_CREATE", "REGISTER_MEMORY", "MAP_DMA", "mmap"]) {
    schemes(`that cannot begin because of ${call} leaves nothing behind, address space neither`, () => {
      const machine = makeMachine();
      const records: RecordingSyscalls[] = [];
      const makeKernel = (): Syscalls => {
        const record = recording(machine.makeKernel());
        records.push(record);
        return faulty(record, { call, answer: no.ENOMEM });
      };
      assert.is(thrownBy(() => make({ ...machine, makeKernel })).name, "DmaWindowError");
      assert.is(machine.kernels.length, 1);
      const [kernel] = machine.kernels as readonly [ModelKernel];
      assert.equal(kernel.leaks(), []);
      assert.is(kernel.lockedMemory().used, 0n);
      assert.is(pagesKept(records), 0);
    });
  }

  schemes.run();
}

/** How many pages were mmapped and never munmapped. */
function pagesKept(records: readonly RecordingSyscalls[]): number {
  const kept = new Set<bigint>();
  for (const { call, va, length, answer } of records.flatMap((record) => record.calls)) {
    if (typeof length !== "bigint") continue;
    const start = call === "mmap" ? (answer as bigint) : (va as bigint);
    for (let at = start; at < start + length; at += 4096n) {
      if (call === "mmap" && start >= 0n) kept.add(at);
      if (call === "munmap" && answer === 0) kept.delete(at);
    }
  }
  return kept.size;
}

const order = suite("the static window");

order("is planned after the first memory came, and holds as much as its list ever will", () => {
  const scheme = new StaticScheme(makeMachine(), rebased, [2, 2]);
  assert.is(scheme.plan.needed, scheme.ground.list.length);
  assert.is(
    scheme.ground.list.length,
    4n * 1024n * 4096n,
    "four times the pages that may be in use: storms leave holes",
  );
  scheme.close();
});

order("refuses memory beyond what was planned, and stays as it is", () => {
  const scheme = new StaticScheme(makeMachine(), rebased, [2]);
  const { witness, memory } = scheme.ground;
  failure("ERR_LIST_FULL", () => scheme.allocate(4096));
  assert.equal([witness.livePages, witness.resizes, witness.interrupted, memory.size], [2, 0, 0, 1]);
  scheme.close();
});

order.run();
