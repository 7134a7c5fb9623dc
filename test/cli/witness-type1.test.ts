/** UNMAP of type1 ends whole maps, and says in its size how much went; version 1 with other rules than version 2. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Witness } from "../../src/cli/witness.ts";
import { modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, IommuType, VfioCall } from "../../src/syscalls.ts";
import { KiB, Rig } from "../model/rig.ts";
import { no } from "../support/faulty.ts";

const page = 4n * KiB;
const ALL = 2;
const VADDR = 4;

/** Maps of 4, 4 and 8 pages: at 0, behind it, and at page 16. */
function watched(type: number) {
  const model = modelKernel({ platform: "type1" });
  const witness = new Witness(model);
  const program = new Rig(witness.kernel).start(26, type);
  const va = program.allocate(64n * page);
  for (const [iova, pages] of [
    [0n, 4n],
    [4n, 4n],
    [16n, 8n],
  ] as const) {
    assert.is(program.map(va + iova * page, iova * page, pages * page), 0);
  }
  /** UNMAP, in pages; and what both sides have then. */
  const unmap = (iova: bigint, pages: bigint, flags = 0) => {
    const answer = program.unmap(iova * page, pages * page, { flags });
    const really = model.live(26).reduce((sum, { length }) => sum + length, 0n) / page;
    assert.is(BigInt(witness.livePages), really, "what the model has");
    return [answer, answer === 0 ? program.u64(16) / page : undefined, witness.livePages, witness.interrupted];
  };
  return { model, witness, program, va, unmap };
}

for (const [version, type] of [
  [1, IommuType.TYPE1],
  [2, IommuType.TYPE1v2],
] as const) {
  const unmapping = suite(`a witness of type1, version ${version}`);

  unmapping("counts the maps that went: one, several with a hole between, none", () => {
    assert.equal(watched(type).unmap(0n, 4n), [0, 4n, 12, 4]);
    assert.equal(watched(type).unmap(0n, 24n), [0, 16n, 0, 16]);
    assert.equal(watched(type).unmap(2n << 20n, 8n), [0, 0n, 16, 0]);
    const { unmap } = watched(type);
    assert.equal(unmap(4n, 1n << 30n), [0, 12n, 4, 12], "far more than there is");
    assert.equal(unmap(4n, 1n << 30n), [0, 0n, 4, 12], "once more");
  });

  unmapping("knows that all goes with the flag ALL, which names no range, and nothing with VADDR", () => {
    const { unmap, program, va, witness } = watched(type);
    assert.equal(unmap(0n, 8n, VADDR), [0, 8n, 16, 0]);
    assert.is(program.map(va, 0n, 4n * page, { flags: 4 }), 0, "its address again");
    assert.is(witness.livePages, 16, "it was live, and is");
    assert.equal(unmap(0n, 0n, ALL), [0, 16n, 0, 16]);
  });

  unmapping("takes a map that gets its address again for what it was: given up, where it was given up", () => {
    const { unmap, program, va, witness } = watched(type);
    witness.lettingGo(0n, 4n * page);
    assert.equal(unmap(0n, 4n, VADDR), [0, 4n, 16, 0]);
    assert.is(program.map(va, 0n, 4n * page, { flags: 4 }), 0);
    assert.equal(unmap(0n, 4n), [0, 4n, 12, 0]);
  });

  unmapping("is not fooled by what is refused: a MAP over live pages, wrong structs, EINVAL", () => {
    const { program, va, witness, unmap } = watched(type);
    assert.is(program.map(va, 0n, 8n * page), no.EEXIST);
    assert.is(program.map(va, 0n, 8n * page, { flags: 0 }), no.EINVAL);
    assert.is(program.map(va + 1n, 0n, 8n * page), no.EINVAL);
    assert.is(program.map(va, 0xfee0_0000n, page), no.EINVAL, "not allowed: on sPAPR the witness would think worse");
    assert.is(program.map(0n, 1n << 30n, page), no.EFAULT);
    assert.equal(unmap(0n, 0n), [no.EINVAL, undefined, 16, 0]);
    assert.equal(unmap(0n, 8n, 16), [no.EINVAL, undefined, 16, 0]);
    assert.is(program.unmap(1n, 4n * page), no.EINVAL);
    assert.equal([witness.livePages, witness.interrupted], [16, 0]);
  });

  unmapping("counts no page as interrupted that was given up, also where it goes with others", () => {
    const { witness, unmap } = watched(type);
    witness.lettingGo(2n * page, 4n * page);
    assert.equal(unmap(0n, 8n), [0, 8n, 8, 4]);
  });

  unmapping("reads what an UNMAP in a batch asked for before the kernel writes over it", () => {
    const { witness, program, model } = watched(type);
    const memory = new Uint8Array(512);
    const view = new DataView(memory.buffer);
    // The whole of what was mapped first, a hole with a map behind it, and what is refused.
    for (const [i, [iova, pages, flags]] of [
      [0n, 8n, 0],
      [12n, 16n, 0],
      [0n, 1n, 16],
      [0n, 1n << 30n, 0],
    ].entries() as IterableIterator<[number, [bigint, bigint, number]]>) {
      const at = 128 + 32 * i;
      view.setUint32(i * BATCH_ENTRY_BYTES, VfioCall.IOMMU_UNMAP_DMA, true);
      view.setUint32(i * BATCH_ENTRY_BYTES + 4, at, true);
      view.setUint32(at, 24, true);
      view.setUint32(at + 4, flags, true);
      view.setBigUint64(at + 8, iova * page, true);
      view.setBigUint64(at + 16, pages * page, true);
    }
    assert.is(program.map(program.allocate(page), 32n * page, page), 0);
    assert.is(witness.kernel.ioctlBatch(program.container, memory, 0, 4), 2);
    assert.equal([witness.livePages, witness.interrupted], [1, 16]);
    assert.is(model.live(26).length, 1);
  });

  unmapping.run();
}

const cutting = suite("a witness of an UNMAP that cuts a map");

cutting("in version 2 knows that it was refused", () => {
  for (const [iova, pages] of [
    [0n, 1n],
    [1n, 3n],
    [2n, 8n],
    [0n, 20n],
  ] as const) {
    assert.equal(watched(IommuType.TYPE1v2).unmap(iova, pages), [no.EINVAL, undefined, 16, 0]);
  }
});

cutting("in version 1 knows that nothing goes where it begins inside of one, although the answer is 0", () => {
  assert.equal(watched(IommuType.TYPE1).unmap(1n, 1n), [0, 0n, 16, 0]);
  assert.equal(watched(IommuType.TYPE1).unmap(2n, 22n), [0, 0n, 16, 0]);
});

cutting("in version 1 knows that a map goes as a whole of which it takes the beginning", () => {
  assert.equal(watched(IommuType.TYPE1).unmap(0n, 1n), [0, 4n, 12, 4]);
  assert.equal(watched(IommuType.TYPE1).unmap(4n, 13n), [0, 12n, 4, 12], "and the one that it ends in");
});

cutting.run();
