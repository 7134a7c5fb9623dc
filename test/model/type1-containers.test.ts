import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type IovaEvent,
  type ModelKernel,
  type ModelOptions,
  ModelUnknown,
  modelKernel,
} from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;

function ready(options: ModelOptions = {}) {
  const kernel = modelKernel({ platform: "type1", groups: [26, 27], ...options });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  return { kernel, program, va: program.allocate(64n * page) };
}

const containers = suite("type1: containers");

containers("take no type that is only an extension, and nesting is none", () => {
  const kernel = modelKernel({ platform: "type1" });
  const program = new Rig(kernel);
  program.container = kernel.open("/dev/vfio/vfio");
  program.setContainer(kernel.open("/dev/vfio/26"));
  const setIommu = (type: number) => kernel.ioctl(program.container, VfioCall.SET_IOMMU, type);
  for (const type of [4, 5, 6, 8, 10]) assert.is(setIommu(type), -errno.ENODEV, String(type));
  assert.is(setIommu(9), -errno.EINVAL);
  assert.is(setIommu(IommuType.TYPE1), 0);
});

containers("track no dirty pages: STOP is fine, START is not modelled, the rest is EINVAL", () => {
  const { program } = ready();
  const dirty = (flags: number, argsz = 8) => program.register(0n, 0n, { argsz, flags });
  assert.is(dirty(2), 0);
  assert.is(dirty(2, 7), -errno.EINVAL);
  for (const flags of [0, 3, 4, 6, 8, 0x8000_0001]) assert.is(dirty(flags, 48), -errno.EINVAL, String(flags));
  assert.throws(
    () => dirty(1),
    (error: unknown) => error instanceof ModelUnknown,
  );
  const old = ready({ infoCapabilities: false }).program;
  assert.is(old.register(0n, 0n, { flags: 2 }), -errno.ENOTTY);
});

containers.run();

const groups = suite("type1: groups");

groups("that leave while another stays clear nothing, and watchers hear nothing", () => {
  const { kernel, program, va } = ready();
  program.map(va, 0n, 4n * page);
  assert.is(kernel.tceAt(27, 0n), undefined);
  assert.is(program.setContainer(kernel.open("/dev/vfio/27")), 0);
  assert.is(kernel.tceAt(27, 0n)?.va, va);
  const heard: IovaEvent[] = [];
  kernel.watch((event) => heard.push(event));
  assert.is(kernel.ioctl(4, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.is(kernel.tceAt(26, 0n), undefined);
  assert.is(kernel.tceAt(27, 0n)?.va, va);
  assert.equal(heard, []);
});

groups("that leave as the last take every map along, and watchers hear of it", () => {
  const { kernel, program, va } = ready();
  program.map(va, 0n, 4n * page);
  program.map(va, 8n * page, page);
  const heard: IovaEvent[] = [];
  kernel.watch((event) => heard.push(event));
  assert.is(kernel.ioctl(4, VfioCall.GROUP_UNSET_CONTAINER, 0), 0);
  assert.equal(
    heard.map(({ call, iova, length }) => [call, iova, length]),
    [
      ["VFIO_GROUP_UNSET_CONTAINER", 0n, 4n * page],
      ["VFIO_GROUP_UNSET_CONTAINER", 8n * page, page],
    ],
  );
});

groups.run();

const memory = suite("type1: memory");

memory("of the hugetlb pool goes back when both the process and the device have done with it", () => {
  const lockedMemory = { limit: 4n * MiB, privileged: false };
  const { kernel, program } = ready({ hugepages: { 21: 2 }, lockedMemory });
  const [pair, one] = [4n * MiB, 2n * MiB];
  const huge = program.allocateHuge(pair, 21);
  assert.is(program.map(huge, 0n, one), 0);
  assert.is(program.map(huge, pair, pair), -errno.ENOMEM, "pinned, and let go again");
  kernel.munmap(huge, pair);
  assert.is(program.allocateHuge(pair, 21), BigInt(-errno.ENOMEM), "the device has one of the two");
  program.unmap(0n, one);
  assert.ok(program.allocateHuge(pair, 21) > 0n);
});

memory("shows in a snapshot, and its charges add up", () => {
  const { kernel, program, va } = ready();
  program.map(va + 8n * page, 32n * page, 2n * page, { flags: 1 });
  program.map(va, 0n, page);
  const { containers: shown, charges, lockedBytes } = kernel.snapshot();
  assert.equal(shown[0]?.maps, [
    { iova: 0n, va, size: page, read: true, write: true },
    { iova: 32n * page, va: va + 8n * page, size: 2n * page, read: true, write: false },
  ]);
  assert.equal([shown[0]?.windows, shown[0]?.registrations], [[], []]);
  assert.equal(charges, { tableBytes: 0n, pinnedBytes: 3n * page, leakedBytes: 0n });
  assert.is(lockedBytes, 3n * page);
  assert.is(kernel.leaks().filter((leak) => leak.includes("mapped at IOVA")).length, 2);
});

memory.run();

const processes = suite("type1: several processes");

function family(): { parent: Rig; child: Rig; kernel: ModelKernel; heir: ModelKernel; va: bigint } {
  const { kernel, program, va } = ready();
  program.map(va, 0n, 4n * page);
  program.map(va, 8n * page, 2n * page);
  const heir = kernel.fork();
  const child = new Rig(heir);
  child.container = program.container;
  return { parent: program, child, kernel, heir, va };
}

processes("map their own memory, and each pays for its own, whoever unmaps it", () => {
  const { parent, child, kernel, heir } = family();
  const own = child.allocate(16n * page);
  assert.is(child.map(own, 100n * page, 4n * page), 0);
  assert.equal([parent.locked, child.locked], [6n * page, 4n * page]);
  assert.is(child.map(own, 0n, page), -errno.EEXIST);
  assert.is(child.unmap(8n * page, 2n * page), 0);
  assert.equal([parent.locked, child.locked], [4n * page, 4n * page]);
  assert.is(parent.unmap(0n, 200n * page), 0);
  assert.is(parent.u64(16), 8n * page);
  assert.equal([parent.locked, child.locked], [0n, 0n]);
  assert.equal([kernel.snapshot().lockedBytes, heir.snapshot().charges.pinnedBytes], [0n, 0n]);
});

processes("leave their maps behind when they end, with nobody to pay back", () => {
  const { parent, child, kernel, heir } = family();
  const own = child.allocate(2n * page);
  child.map(own, 200n * page, 2n * page);
  heir.exit();
  assert.is(kernel.tceAt(26, 200n * page)?.va, own);
  assert.is(parent.locked, 6n * page);
  assert.is(parent.unmap(200n * page, 2n * page), 0);
  assert.is(parent.u64(16), 2n * page);
  assert.is(parent.locked, 6n * page);
  const { lockedBytes, charges } = heir.snapshot();
  assert.equal([lockedBytes, charges.pinnedBytes], [0n, 0n]);
});

processes("keep the group busy and the maps alive until the last has closed", () => {
  const { kernel, heir, va } = family();
  kernel.exit();
  assert.is(heir.tceAt(26, 0n)?.va, va);
  assert.is(heir.open("/dev/vfio/26"), -errno.EBUSY);
  heir.exit();
  assert.is(heir.tceAt(26, 0n), undefined);
});

processes.run();
