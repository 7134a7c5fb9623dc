/** Maps and unmaps on type1: one MAP for each request, what the kernel refuses undone, and no map ever cut. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Passing } from "../../src/through.ts";
import { stateOf } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { agreeOnMaps, readyOnType1 } from "../support/other-iommus.ts";
import { GROUP, KiB, MiB, Program } from "../support/program.ts";

const PAGE = 4n * KiB;

/** Writes another size into an UNMAP that was made. */
function saying(size: bigint): (call: Passing) => void {
  return ({ memory, at }) => {
    const view = new DataView(memory?.buffer as ArrayBuffer, memory?.byteOffset);
    view.setBigUint64((at ?? 0) + 16, size, true);
  };
}

for (const iommuVersion of [1, 2] as const) {
  const maps = suite(`type1 v${iommuVersion}`);
  const ready = (options = {}, request = {}) => readyOnType1({ iommuVersion, ...options }, request);
  /** Three requests of which each lies apart, in IOVAs as in memory. */
  const batchAt = (va: bigint) =>
    [1n, 2n, 3n].map((n) => ({ va: va + 8n * n * PAGE, iova: 16n * n * PAGE, length: n * PAGE }));

  maps("a map is one MAP with the permissions that were given, an unmap one UNMAP, and nothing is registered", () => {
    const { program, window, va } = ready();
    window.map({ va, length: 2n * PAGE, iova: 0x5000n, write: false });
    window.map({ va: va + 2n * PAGE, length: PAGE, iova: 0x9000n, read: false });
    assert.equal(
      program.record.take().map(({ call, flags, argsz, size }) => [call, flags, argsz, size]),
      [
        ["MAP_DMA", 1, 32, 2n * PAGE],
        ["MAP_DMA", 2, 32, PAGE],
      ],
    );
    agreeOnMaps(program, window);
    window.unmap({ iova: 0x5000n, length: 2n * PAGE });
    assert.equal(program.record.takeNames(), ["UNMAP_DMA"]);
    agreeOnMaps(program, window);
  });

  maps("left open, IOVAs are the lowest that are free", () => {
    const { program, window, va } = ready();
    assert.is(window.map({ va, length: PAGE }), 0n);
    assert.equal(
      window.mapMany([
        { va: va + PAGE, length: 2n * PAGE },
        { va: va + 3n * PAGE, length: PAGE },
      ]),
      [PAGE, 3n * PAGE],
    );
    agreeOnMaps(program, window);
  });

  maps("neighbours are one run for the program, and stay maps of their own for the kernel", () => {
    const { program, window, va } = ready();
    for (let i = 0n; i < 4n; i++) window.map({ va: va + i * PAGE, iova: i * PAGE, length: PAGE });
    assert.equal([...window.maps()], [{ va, iova: 0n, length: 4n * PAGE }]);
    assert.is(program.seen.maps.length, 4);
    program.record.take();
    window.unmap({ iova: PAGE, length: 2n * PAGE });
    assert.equal(program.record.takeNames(), ["UNMAP_DMA"], "whole maps, several at once");
    agreeOnMaps(program, window);
  });

  maps("an unmap that would cut a map is refused before the kernel is asked, and names the map", () => {
    const { program, window, va } = ready();
    window.mapMany(batchAt(va));
    window.map({ va, iova: 52n * PAGE, length: 4n * PAGE });
    window.map({ va: va + 4n * PAGE, iova: 56n * PAGE, length: 2n * PAGE });
    const before = stateOf(program, window);
    program.record.take();
    for (const [iova, length, mapIova, mapLength] of [
      [32n, 1n, 32n, 2n],
      [33n, 1n, 32n, 2n],
      [48n, 2n, 48n, 3n],
      [49n, 1n, 48n, 3n],
      [53n, 5n, 52n, 4n],
      [52n, 5n, 56n, 2n],
      [54n, 3n, 52n, 4n],
    ] as const) {
      const error = failure("ERR_CUTS_MAP", () => window.unmap({ iova: iova * PAGE, length: length * PAGE }));
      assert.equal([error.facts?.mapIova, error.facts?.mapLength], [mapIova * PAGE, mapLength * PAGE]);
      assert.match(error.message, `the map of ${mapLength * 4n} KiB at IOVA 0x${(mapIova * PAGE).toString(16)}`);
    }
    failure("ERR_CUTS_MAP", () =>
      window.unmapMany([
        { iova: 16n * PAGE, length: PAGE },
        { iova: 32n * PAGE, length: PAGE },
      ]),
    );
    assert.equal(program.record.take(), []);
    assert.equal(stateOf(program, window), before);
  });

  maps("the same memory may be mapped in two windows, and not twice in one", () => {
    const { program, window, va } = ready();
    const other = program.window(16n * MiB);
    window.map({ va, length: 2n * PAGE });
    other.map({ va, length: 2n * PAGE });
    failure("ERR_VA_ALREADY_MAPPED", () => window.map({ va, length: PAGE }));
    agreeOnMaps(program, window, other);
    window.unmap({ iova: 0n, length: 2n * PAGE });
    assert.is(program.model.tceAt(GROUP, other.start)?.va, va);
    agreeOnMaps(program, window, other);
  });

  maps("whichever MAP the kernel refuses, those before it are unmapped, and the words are type1's", () => {
    const { program, window, va } = ready();
    for (const [answer, words] of [
      [no.EEXIST, "not by this library"],
      [no.ENOSPC, "dma_entry_limit"],
      // The model's process has CAP_IPC_LOCK: nothing is said of what else would be wrong.
      [no.ENOMEM, "It is not that RLIMIT_MEMLOCK is too low: this process has CAP_IPC_LOCK"],
      [no.EFAULT, "writable where the device may write"],
      [no.EINVAL, "does not allow these IOVAs"],
      [1, "the answer was 1"],
    ] as const) {
      for (let nth = 0; nth < 3; nth++) {
        const before = stateOf(program, window);
        program.record.take();
        program.kernel.fail({ call: "MAP_DMA", nth, answer });
        const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
        assert.equal(
          [error.syscall, error.errno, error.residue],
          ["VFIO_IOMMU_MAP_DMA", answer < 0 ? answer : undefined, undefined],
        );
        assert.match(error.message, words);
        assert.not.match(error.message, /registered|TCE|pages are smaller/);
        assert.equal(
          program.record.takeNames(),
          ["MAP_DMA", "MAP_DMA"].slice(0, nth).concat(["UNMAP_DMA", "UNMAP_DMA"].slice(0, nth)),
        );
        assert.equal(stateOf(program, window), before);
      }
    }
    window.mapMany(batchAt(va));
    agreeOnMaps(program, window);
  });

  maps("other memory that somebody mapped there is neither taken for ours nor unmapped", () => {
    const { program, window, va } = ready();
    // Mapped behind the library's back, in the middle of what the batch will map last.
    const bytes = new Uint8Array(32);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 32, true);
    view.setUint32(4, 3, true);
    for (const [at, value] of [
      [8, va + 60n * PAGE],
      [16, 49n * PAGE],
      [24, PAGE],
    ] as const) {
      view.setBigUint64(at, value, true);
    }
    assert.is(program.model.ioctlStruct(program.seen.fd ?? -1, 13, bytes, 0), 0);
    const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
    assert.equal([error.errno, error.residue], [no.EEXIST, undefined]);
    assert.equal(
      program.seen.maps.map(({ iova, size }) => [iova, size]),
      [[49n * PAGE, PAGE]],
    );
    assert.is(program.model.tceAt(GROUP, 49n * PAGE)?.va, va + 60n * PAGE);
    assert.is(window.liveBytes, 0n);
    // Where it is in nobody's way the rest can be mapped, and an unmap stays off it.
    window.map({ va, iova: 48n * PAGE, length: PAGE });
    window.unmap({ iova: 48n * PAGE, length: PAGE });
    assert.is(program.seen.maps.length, 1);
  });

  maps("the kernel's limit of maps, met amid a batch, leaves what was there", () => {
    const { program, window, va } = ready({ dmaEntryLimit: 4 });
    window.mapMany([
      { va, length: PAGE },
      { va: va + PAGE, length: PAGE },
    ]);
    const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
    assert.is(error.errno, no.ENOSPC);
    assert.match(error.message, "map larger pieces");
    assert.equal([...window.maps()], [{ va, iova: 0n, length: 2n * PAGE }]);
    agreeOnMaps(program, window);
    window.mapMany(batchAt(va).slice(0, 2));
    agreeOnMaps(program, window);
  });

  maps("RLIMIT_MEMLOCK, met amid a batch, gives back what the batch had taken", () => {
    const { program, window, va } = ready({ lockedMemory: { limit: 8n * PAGE, privileged: false } });
    window.map({ va, length: 3n * PAGE });
    const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
    assert.is(error.errno, no.ENOMEM);
    assert.match(error.message, "RLIMIT_MEMLOCK");
    assert.is(program.model.lockedMemory().used, 3n * PAGE);
    agreeOnMaps(program, window);
    const other = program.window(16n * MiB);
    other.map({ va, length: 3n * PAGE });
    assert.is(program.model.lockedMemory().used, 6n * PAGE, "mapped twice, it counts twice");
    failure("ERR_KERNEL", () => other.map({ va: va + 8n * PAGE, length: 3n * PAGE }));
    agreeOnMaps(program, window, other);
  });

  maps("an undo that fails leaves a map on record, and says which", () => {
    const { program, window, va } = ready();
    program.kernel.fail(
      { call: "MAP_DMA", nth: 2, answer: no.ENOMEM },
      { call: "UNMAP_DMA", nth: 1, answer: no.EINVAL },
    );
    const error = failure("ERR_KERNEL", () => window.mapMany(batchAt(va)));
    assert.equal(error.residue?.left, ["4 KiB at IOVA 0x10000 is still mapped"]);
    assert.equal([...window.maps()], [{ va: va + 8n * PAGE, iova: 16n * PAGE, length: PAGE }]);
    agreeOnMaps(program, window);
  });

  maps("an UNMAP that is refused leaves its maps, and those behind it, on record", () => {
    const { program, window, va } = ready();
    window.mapMany(batchAt(va));
    program.kernel.fail({ call: "UNMAP_DMA", nth: 1, answer: no.EINVAL });
    const error = failure("ERR_KERNEL", () => window.unmapMany(batchAt(va)));
    assert.match(error.message, "a map of the kernel's would be cut");
    assert.equal(error.residue?.left, [
      "8 KiB at IOVA 0x20000 is still mapped",
      "12 KiB at IOVA 0x30000 is still mapped",
    ]);
    agreeOnMaps(program, window);
    window.unmapMany(batchAt(va).slice(1));
    assert.equal(program.seen.maps, []);
  });

  maps("a map that is too large, or wrong in another way, is refused before the kernel is asked", () => {
    const { program, window, va } = ready();
    const refused: readonly (readonly [string, Parameters<typeof window.map>[0]])[] = [
      ["ERR_ZERO_LENGTH", { va, length: 0 }],
      ["ERR_UNALIGNED_VA", { va: va + 1n, length: PAGE }],
      ["ERR_UNALIGNED_LENGTH", { va, length: PAGE + 1n }],
      ["ERR_UNALIGNED_IOVA", { va, iova: 1n, length: PAGE }],
      ["ERR_OUTSIDE_WINDOW", { va, iova: 16n * MiB, length: PAGE }],
      ["ERR_OUTSIDE_WINDOW", { va, iova: 16n * MiB - PAGE, length: 2n * PAGE }],
      ["ERR_NO_HOLE", { va, length: 32n * MiB }],
      ["ERR_BAD_PERMISSION", { va, length: PAGE, read: false, write: false }],
      ["ERR_WRAPS", { va: (1n << 64n) - PAGE, iova: 0n, length: 2n * PAGE }],
    ];
    for (const [code, request] of refused) failure(code, () => window.map(request));
    assert.equal(program.record.take(), []);
  });

  maps("closing the window unmaps all of it, and closing the container whatever is left", () => {
    const { program, window, va } = ready();
    const other = program.window(MiB);
    window.mapMany(batchAt(va));
    other.map({ va, length: PAGE });
    window.close();
    assert.equal(
      program.seen.maps.map(({ iova }) => iova),
      [other.start],
    );
    program.container.close();
    assert.equal(program.model.leaks(), []);
    assert.equal(program.model.snapshot().lockedBytes, 0n);
  });

  maps(
    "a window whose maps cannot be unmapped stays, with what is in it; closing the container ends it all the same",
    () => {
      const { program, window, va } = ready();
      window.mapMany(batchAt(va));
      program.kernel.fail({ call: "UNMAP_DMA", times: 99, answer: no.EINVAL });
      const error = failure("ERR_WINDOW_IN_USE", () => window.close());
      assert.is(error.residue?.left.length, 3);
      agreeOnMaps(program, window);
      const closing = failure("ERR_CLOSE", () => program.container.close());
      assert.match(String(closing.residue?.left), "still mapped");
      assert.equal(program.model.leaks(), []);
    },
  );

  maps("pages of 64 KiB are the kernel's smallest where the CPU has them", () => {
    const { program, window, va } = ready({ pageSize: 65536 });
    window.map({ va, length: 3 * 65536 });
    failure("ERR_UNALIGNED_LENGTH", () => window.map({ va: va + (1n << 19n), length: PAGE }));
    failure("ERR_CUTS_MAP", () => window.unmap({ iova: 0n, length: 65536 }));
    agreeOnMaps(program, window);
  });

  maps.run();
}

const sizes = suite("what an UNMAP says that it did");

sizes("v2: less than was asked for is an error with both numbers, and all of it is gone from the tables", () => {
  const { program, window, va } = readyOnType1();
  window.map({ va, iova: 0n, length: 4n * PAGE });
  window.map({ va: va + 8n * PAGE, iova: 8n * PAGE, length: 2n * PAGE });
  for (const size of [0n, PAGE, 5n * PAGE]) {
    program.kernel.fail({ call: "UNMAP_DMA", after: saying(size) });
    const error = failure("ERR_UNMAP_SIZE", () => window.unmap({ iova: 0n, length: 4n * PAGE }));
    assert.equal(error.facts, { iova: 0n, length: 4n * PAGE, unmapped: size });
    assert.is(error.residue, undefined);
    assert.match(error.message, "asked to unmap 16 KiB at IOVA 0x0");
    agreeOnMaps(program, window);
    window.map({ va, iova: 0n, length: 4n * PAGE });
  }
});

sizes("v2: in a batch, those that were right are done, and the first that was not is named", () => {
  const { program, window, va } = readyOnType1();
  const requests = [0n, 4n, 8n].map((n) => ({ va: va + n * PAGE, iova: n * PAGE, length: 2n * PAGE }));
  window.mapMany(requests);
  program.kernel.fail({ call: "UNMAP_DMA", nth: 1, times: 2, after: saying(PAGE) });
  const error = failure("ERR_UNMAP_SIZE", () => window.unmapMany(requests));
  assert.is(error.facts?.iova, 4n * PAGE);
  assert.equal([...window.maps()], []);
  agreeOnMaps(program, window);
});

sizes("v1: less than was asked for means that it may all be there: the tables keep it, and the residue says so", () => {
  const { program, window, va } = readyOnType1({ iommuVersion: 1 });
  window.map({ va, iova: 0n, length: 4n * PAGE });
  window.map({ va: va + 8n * PAGE, iova: 8n * PAGE, length: 2n * PAGE });
  // As v1 does where a map begins before the range: 0, and nothing is unmapped.
  program.kernel.fail({ call: "UNMAP_DMA", answer: 0, before: saying(0n) });
  const error = failure("ERR_UNMAP_SIZE", () =>
    window.unmapMany([
      { iova: 0n, length: 4n * PAGE },
      { iova: 8n * PAGE, length: 2n * PAGE },
    ]),
  );
  assert.equal(error.facts, { iova: 0n, length: 4n * PAGE, unmapped: 0n });
  assert.equal(error.residue?.left, ["16 KiB at IOVA 0x0 may still be mapped"]);
  assert.equal([...window.maps()], [{ va, iova: 0n, length: 4n * PAGE }]);
  agreeOnMaps(program, window);
  window.unmap({ iova: 0n, length: 4n * PAGE });
  assert.equal(program.seen.maps, []);
});

sizes("v1: a window that ends keeps what may be mapped, and says so", () => {
  const { program, window, va } = readyOnType1({ iommuVersion: 1 });
  window.map({ va, iova: 0n, length: 4n * PAGE });
  program.kernel.fail({ call: "UNMAP_DMA", answer: 0, before: saying(0n) });
  const error = failure("ERR_WINDOW_IN_USE", () => window.close());
  assert.equal(error.residue?.left, ["16 KiB at IOVA 0x0 is still mapped"]);
  window.close();
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

sizes("v2: a window that ends is closed, and says that the kernel had less there than was mapped", () => {
  const { program, window, va } = readyOnType1();
  window.map({ va, iova: 0n, length: 4n * PAGE });
  program.kernel.fail({ call: "UNMAP_DMA", after: saying(PAGE) });
  const error = failure("ERR_UNMAP_SIZE", () => window.close());
  assert.is(error.facts?.unmapped, PAGE);
  assert.equal([window.closed, program.container.windows], [true, []]);
});

sizes("sPAPR: the size is left as it was asked, and never wrong", () => {
  const program = new Program();
  const window = program.window(16n * MiB);
  const va = program.allocate(4n * PAGE);
  window.map({ va, iova: 0n, length: 4n * PAGE });
  window.unmap({ iova: PAGE, length: PAGE });
  window.unmap({ iova: 0n, length: PAGE });
  assert.equal([...window.maps()], [{ va: va + 2n * PAGE, iova: 2n * PAGE, length: 2n * PAGE }]);
});

sizes.run();
