/** What goes with a descriptor: nothing was unmapped, and nothing is live any more. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Witness } from "../../src/cli/witness.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { KiB, Rig } from "../model/rig.ts";
import { faulty, no } from "../support/faulty.ts";

const page = 4n * KiB;

const platforms = [
  ["powernv", IommuType.SPAPR_TCE_V2],
  ["pseries", IommuType.SPAPR_TCE_V2],
  ["type1", IommuType.TYPE1v2],
  ["type1", IommuType.TYPE1],
] as const;

/** A program with 8 live pages, of which the last two were given up; and the descriptors of its groups. */
function watched(type: number, options: ModelOptions) {
  const model = modelKernel(options);
  const kernel = faulty(model);
  const witness = new Witness(kernel);
  const program = new Rig(witness.kernel);
  program.container = witness.kernel.open("/dev/vfio/vfio");
  const groups = (options.groups ?? [26]).map((group) => witness.kernel.open(`/dev/vfio/${group}`));
  for (const fd of groups) assert.is(program.setContainer(fd), 0);
  assert.is(witness.kernel.ioctl(program.container, VfioCall.SET_IOMMU, type), 0);
  const va = program.allocate(64n * page);
  program.register(va, 64n * page);
  assert.is(program.map(va, 0n, 8n * page), 0);
  witness.lettingGo(6n * page, 2n * page);
  return { model, kernel, witness, program, va, groups };
}

/** GROUP_GET_DEVICE_FD. */
function openDevice({ kernel }: Witness, group: number): number {
  const name = new Uint8Array(64);
  name.set(Buffer.from("0000:00:1a.0"));
  return kernel.ioctlStruct(group, VfioCall.GROUP_GET_DEVICE_FD, name, 0);
}

for (const [platform, type] of platforms) {
  const ending = suite(`a witness on ${platform} (type ${type})`);
  const begin = (options: ModelOptions = {}) => watched(type, { platform, ...options });

  ending("sees everything go with the last descriptor of a group, and nothing with the container's own", () => {
    const { witness, program, groups, model } = begin();
    witness.kernel.close(program.container);
    assert.equal([witness.livePages, witness.interrupted], [8, 0], "the group keeps its container");
    assert.is(model.live(26).length, 1);
    witness.kernel.close(groups[0] as number);
    assert.equal([witness.livePages, witness.interrupted], [0, 6]);
    assert.is(model.live(26).length, 0);
  });

  ending("sees everything go when the last group is taken out of the container", () => {
    const { witness, groups } = begin();
    assert.is(witness.kernel.ioctl(groups[0] as number, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
    assert.equal([witness.livePages, witness.interrupted], [0, 6]);
  });

  ending("knows that an open device keeps its group, and all that is mapped", () => {
    const { witness, groups, model } = begin();
    const [group] = groups as [number];
    const device = openDevice(witness, group);
    assert.ok(device > group);
    assert.is(witness.kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0), no.EBUSY);
    witness.kernel.close(group);
    assert.equal([witness.livePages, witness.interrupted], [8, 0]);
    assert.is(model.live(26).length, 1);
    witness.kernel.close(device);
    assert.equal([witness.livePages, witness.interrupted], [0, 6]);
    assert.is(model.live(26).length, 0);
  });

  ending("takes no descriptor for closed that was none, and a close that Linux made all the same for one", () => {
    const { witness, groups, kernel } = begin();
    const [group] = groups as [number];
    assert.is(witness.kernel.close(99), no.EBADF);
    kernel.fail({ call: "close", answer: no.EBADF });
    witness.kernel.close(group);
    assert.is(witness.livePages, 8);
    kernel.fail({ call: "close", answer: no.EIO, made: true });
    assert.is(witness.kernel.close(group), no.EIO);
    assert.equal([witness.livePages, witness.interrupted], [0, 6]);
  });

  ending("begins anew when the container does", () => {
    const { witness, program, groups, va } = begin();
    witness.kernel.ioctl(groups[0] as number, VfioCall.GROUP_UNSET_CONTAINER, 0);
    assert.ok(program.map(va, 0n, page) < 0, "without an IOMMU there is no MAP");
    assert.is(witness.livePages, 0);
    program.setContainer(groups[0] as number);
    witness.kernel.ioctl(program.container, VfioCall.SET_IOMMU, type);
    program.register(va, 64n * page);
    assert.is(program.map(va, 0n, 2n * page), 0);
    witness.kernel.close(groups[0] as number);
    assert.equal([witness.livePages, witness.interrupted], [0, 8]);
  });

  ending("counts nothing of what was given up before", () => {
    const { witness, groups } = begin();
    witness.lettingGoOfAll();
    witness.kernel.close(groups[0] as number);
    assert.equal([witness.livePages, witness.interrupted], [0, 0]);
  });

  ending.run();
}

const several = suite("a witness of several groups");

several("sees that on PowerNV a group that leaves takes all TCEs with it, although others stay", () => {
  const { witness, groups, model } = watched(7, { platform: "powernv", groups: [26, 27] });
  witness.kernel.close(groups[0] as number);
  assert.equal([witness.livePages, witness.interrupted], [0, 6]);
  assert.is(model.live(27).length, 0);
});

several("sees that on type1 what is mapped stays every group's that is left", () => {
  const { witness, groups, model } = watched(3, { platform: "type1", groups: [26, 27] });
  witness.kernel.close(groups[0] as number);
  assert.equal([witness.livePages, witness.interrupted], [8, 0]);
  assert.is(model.live(27).length, 1);
  witness.kernel.close(groups[1] as number);
  assert.equal([witness.livePages, witness.interrupted], [0, 6]);
});

for (const [platform, type] of platforms.filter(([name]) => name !== "pseries")) {
  several(`tells two containers of ${platform} (type ${type}) apart that use the same IOVAs`, () => {
    const model = modelKernel({ platform, groups: [26, 27] });
    const witness = new Witness(model);
    const [one, two] = [26, 27].map((group) => new Rig(witness.kernel).start(group, type)) as [Rig, Rig];
    const va = one.allocate(16n * page);
    for (const [i, program] of [one, two].entries()) {
      program.register(va + BigInt(i) * 8n * page, 8n * page);
      assert.is(program.map(va + BigInt(i) * 8n * page, 0n, 4n * page), 0);
    }
    assert.is(witness.livePages, 8);
    assert.is(one.unmap(0n, 4n * page), 0);
    assert.equal([witness.livePages, witness.interrupted], [4, 4]);
    assert.is(model.live(27).length, 1);
  });
}

several("sees nothing live on a machine without an IOMMU: no call maps anything", () => {
  const witness = new Witness(modelKernel({ platform: "noiommu" }));
  const program = new Rig(witness.kernel).start("noiommu-26", IommuType.NOIOMMU);
  const va = program.allocate(page);
  assert.is(program.map(va, 0n, page), no.ENOTTY);
  assert.is(program.unmap(0n, page), no.ENOTTY);
  witness.kernel.close(program.container);
  assert.equal([witness.livePages, witness.interrupted], [0, 0]);
});

several.run();
