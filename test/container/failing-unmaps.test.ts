/** The kernel says no to an unmap: what was unmapped by then stays so, and the error says exactly what is left. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agree } from "../support/agreement.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GROUP, MiB, type Program, ready } from "../support/program.ts";

const PAGE = 4096n;

/** Three maps of a page each, and the unmaps of them: UNMAP, UNREGISTER, UNMAP, UNREGISTER, UNMAP, UNREGISTER. */
function mapped() {
  const { program, window, va } = ready();
  const maps = [0n, 2n, 4n].map((i) => ({ va: va + i * PAGE, length: PAGE, iova: i * PAGE }));
  window.mapMany(maps);
  program.record.take();
  return { program, window, maps };
}

const stillMapped = (iova: bigint) => `4 KiB at IOVA 0x${iova.toString(16)} is still mapped`;
const stillRegistered = (va: bigint) => `4 KiB of memory at 0x${va.toString(16)} are still registered (locked)`;

function mappedIn(program: Program, maps: readonly { iova: bigint }[]): bigint[] {
  return maps.map(({ iova }) => iova).filter((iova) => program.model.tceAt(GROUP, iova) !== undefined);
}

test("an UNMAP that fails ends the batch there: those before it are gone, it and those behind it are still mapped", () => {
  for (let k = 0; k < 3; k++) {
    for (const answer of [no.ENXIO, no.EPERM, 1]) {
      const { program, window, maps } = mapped();
      program.kernel.fail({ call: "UNMAP_DMA", nth: k, answer });
      const error = failure("ERR_KERNEL", () => window.unmapMany(maps));
      assert.equal([error.syscall, error.errno], ["VFIO_IOMMU_UNMAP_DMA", answer < 0 ? answer : undefined]);
      const left = maps.slice(k).map(({ iova }) => iova);
      assert.equal(mappedIn(program, maps), left);
      assert.equal(error.residue?.left, left.map(stillMapped));
      agree(program, window);
      window.unmapMany(maps.slice(k));
      assert.equal(program.seen.registrations, []);
      agree(program, window);
    }
  }
});

test("an UNREGISTER that fails stops nothing: all is unmapped, and the error says what stays locked", () => {
  for (let k = 0; k < 3; k++) {
    for (const answer of [no.ENOENT, no.EPERM, 1]) {
      const { program, window, maps } = mapped();
      program.kernel.fail({ call: "UNREGISTER_MEMORY", nth: k, answer });
      const error = failure("ERR_STILL_REGISTERED", () => window.unmapMany(maps));
      const { va } = maps[k] as { va: bigint };
      assert.equal(error.residue?.left, [stillRegistered(va)]);
      assert.equal(
        [error.syscall, error.errno],
        ["VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", answer < 0 ? answer : undefined],
      );
      assert.equal(program.seen.registrations, [{ va, size: PAGE, mapped: 0 }]);
      assert.equal([...window.maps()], []);
      agree(program, window);
      // The next map ends it first.
      program.record.take();
      window.map(maps[k] as { va: bigint; length: bigint });
      assert.equal(program.record.takeNames(), ["UNREGISTER_MEMORY", "REGISTER_MEMORY", "MAP_DMA"]);
      agree(program, window);
    }
  }
});

test("every UNREGISTER fails, and then an UNMAP: both are in the residue", () => {
  const { program, window, maps } = mapped();
  program.kernel.fail(
    { call: "UNREGISTER_MEMORY", times: 3, answer: no.EIO },
    { call: "UNMAP_DMA", nth: 2, answer: no.EIO },
  );
  const error = failure("ERR_KERNEL", () => window.unmapMany(maps));
  assert.is(error.syscall, "VFIO_IOMMU_UNMAP_DMA");
  assert.equal(error.residue?.left, [...maps.slice(0, 2).map(({ va }) => stillRegistered(va)), stillMapped(4n * PAGE)]);
  agree(program, window);
});

test("one unmap that empties several registrations: one that cannot be ended does not keep the others", () => {
  const { program, window, va } = ready();
  for (const i of [0n, 1n, 2n]) window.map({ va: va + i * PAGE, length: PAGE });
  program.kernel.fail({ call: "UNREGISTER_MEMORY", nth: 1, answer: no.EIO });
  const error = failure("ERR_STILL_REGISTERED", () => window.unmap({ iova: 0n, length: 3n * PAGE }));
  assert.equal(error.residue?.left, [stillRegistered(va + PAGE)]);
  assert.equal(program.seen.registrations, [{ va: va + PAGE, size: PAGE, mapped: 0 }]);
  agree(program, window);
});

test("a part of a map that cannot be unmapped stays what it was, to the last page", () => {
  const { program, window, va } = ready();
  window.map({ va, length: 8n * PAGE });
  program.kernel.fail({ call: "UNMAP_DMA", answer: no.EIO });
  failure("ERR_KERNEL", () => window.unmap({ iova: 2n * PAGE, length: 2n * PAGE }));
  assert.equal([...window.maps()], [{ va, iova: 0n, length: 8n * PAGE }]);
  agree(program, window);
  window.unmap({ iova: 2n * PAGE, length: 2n * PAGE });
  window.unmap({ iova: 0n, length: 2n * PAGE });
  window.unmap({ iova: 4n * PAGE, length: 4n * PAGE });
  assert.equal(program.seen.registrations, []);
});

test("closing the container ends a registration that could not be ended before", () => {
  const { program, window, maps } = mapped();
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => window.unmapMany(maps));
  program.container.close();
  assert.equal(program.model.leaks(), []);
});

test("a window at its limit: unmapped IOVAs are free again although a registration stays", () => {
  const { program, window, va } = ready({}, MiB);
  window.map({ va, length: PAGE, iova: 0n });
  program.kernel.fail({ call: "UNREGISTER_MEMORY", answer: no.EIO });
  failure("ERR_STILL_REGISTERED", () => window.unmap({ iova: 0n, length: PAGE }));
  assert.is(window.largestHole, MiB);
  assert.is(window.map({ va: va + PAGE, length: PAGE, iova: 0n }), 0n);
  agree(program, window);
});

test.run();
