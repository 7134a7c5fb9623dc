/** What is of the wrong kind is refused with a code and in words, wherever it is handed over; and each refusal goes into JSON whole. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { chooseBuild } from "../../src/core-build.ts";
import { linuxKernel, shimAvailable } from "../../src/linux/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { faulty, ModelKernelOops, ModelProcessEnded, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { readGroups } from "../../src/system/groups.ts";
import { readHugepages } from "../../src/system/hugepages.ts";
import { numaNodeOf, readNodes } from "../../src/system/nodes.ts";
import { recordTrace, replay } from "../../src/trace/index.ts";
import { thrownBy } from "../support/failure.ts";

const PAGE = 4096n;

/** As a program without types hands it over. */
// biome-ignore lint/suspicious/noExplicitAny: that is what is tried here
const any = (value: unknown): any => value;

function ground() {
  const kernel = modelKernel();
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
  const container = openContainer({ kernel, groups: [26] });
  const info = container.info();
  const window = container.createWindow(planWindow({ memory, info, growTo: 1n << 30n }));
  return { kernel, memory, list, info, window };
}

function refusal(call: () => unknown, code: string, what: string): Error {
  const error = thrownBy(call) as Error & { code?: string };
  assert.is(error.code, code, `${what}: ${error.name} ${error.message}`);
  const json = JSON.parse(JSON.stringify(error));
  assert.equal([json.name, json.code, json.message], [error.name, code, error.message], what);
  return error;
}

const kinds = suite("arguments of the wrong kind");

kinds("of the software kernel's calls are refused as the shim refuses them", () => {
  const kernel = any(modelKernel());
  const fd = kernel.open("/dev/vfio/vfio");
  const bytes = new Uint8Array(64);
  const wrong: Record<string, () => unknown> = {
    "open, a number": () => kernel.open(5),
    "close, a text": () => kernel.close("x"),
    "ioctl, nothing": () => kernel.ioctl(),
    "ioctl, an argument": () => kernel.ioctl(fd, 0, 5n),
    "ioctlStruct, null": () => kernel.ioctlStruct(fd, 13, null, 0),
    "ioctlStruct, an offset": () => kernel.ioctlStruct(fd, 13, bytes, "0"),
    "ioctlBatch, null": () => kernel.ioctlBatch(fd, null, 0, 1),
    "ioctlBatch, a count": () => kernel.ioctlBatch(fd, bytes, 0, 1n),
    "mmap, numbers": () => kernel.mmap(0, 4096, 3, 0, 0),
    "mmap, a length": () => kernel.mmap(0n, 4096, 3, 0, 0),
    "mmap, a protection": () => kernel.mmap(0n, PAGE, 3n, 0, 0),
    "munmap, a length": () => kernel.munmap(PAGE, 4096),
    "bindNode, a length": () => kernel.bindNode(PAGE, 4096, 0),
    "view, a length": () => kernel.view(PAGE, 4096),
    "populate, numbers": () => kernel.populate(1, 1),
    "read, numbers": () => kernel.read(5, 5),
    "write, a text": () => kernel.write(PAGE, "x"),
    "physicalAddresses, a number": () => kernel.physicalAddresses(0, 1, 4096),
    "physicalAddresses, a bigint": () => kernel.physicalAddresses(0n, 1n, 4096),
    "watch, a number": () => kernel.watch(5),
  };
  for (const [what, call] of Object.entries(wrong)) refusal(call, "ERR_INVALID_ARG_TYPE", what);
  refusal(() => kernel.open("/dev/vfio/vfio\0x"), "ERR_OUT_OF_RANGE", "open, a 0");
  refusal(() => kernel.ioctlBatch(fd, bytes, 0, -1), "ERR_OUT_OF_RANGE", "ioctlBatch, -1");
  refusal(() => kernel.mmap(0n, PAGE, 99, 0, 0), "ERR_OUT_OF_RANGE", "mmap, 99");
});

kinds("of what reads the machine, and of traces and faults", () => {
  const kernel = modelKernel();
  const wrong: Record<string, () => unknown> = {
    "readHugepages, options": () => readHugepages(any({ root: "x" })),
    "readNodes, {}": () => readNodes(any({})),
    "readNodes, null": () => readNodes(any(null)),
    "readGroups, {}": () => readGroups(any({})),
    "numaNodeOf, {}": () => numaNodeOf(1, any({})),
    "recordTrace, null": () => recordTrace(any(null), () => {}),
    "recordTrace, {}": () => recordTrace(any({}), () => {}),
    "replay, a number": () => replay(any(5), kernel),
    "replay, a text": () => replay("{}", kernel),
    "replay, null": () => replay(any(null), kernel),
    "replay, no kernel": () => replay([], any({})),
    "faulty, no kernel": () => faulty(any(null)),
    "faulty, before": () => faulty(kernel, { call: "open", before: any(5) }),
    "faulty, after": () => faulty(kernel, { call: "open", after: any("x") }),
    "faulty, made": () => faulty(kernel, { call: "open", made: any(1) }),
  };
  for (const [what, call] of Object.entries(wrong)) refusal(call, "ERR_INVALID_ARG_TYPE", what);
});

kinds("and every other refusal too go into JSON whole", () => {
  const { list, memory } = ground();
  refusal(() => modelKernel(any({ plattform: 1 })), "ERR_INVALID_ARG_TYPE", "an unknown key");
  refusal(() => chooseBuild("mmx"), "ERR_OUT_OF_RANGE", "a build of the core");
  const { constructor: Nobodys } = memory.allocate(list, 1);
  refusal(() => new (any(Nobodys))(), "ERR_INVALID_ARG_TYPE", "a segment of nobody's");
  for (const error of [new ModelProcessEnded(), new ModelUnknown("here"), new ModelKernelOops("there")]) {
    assert.equal(JSON.parse(JSON.stringify(error)), { ...error, message: error.message });
  }
});

if (shimAvailable()) {
  kinds("and so does what the shim refuses", () => {
    const kernel = any(linuxKernel());
    refusal(() => kernel.open(5), "ERR_INVALID_ARG_TYPE", "open");
    refusal(() => kernel.mmap(5, 5, 5, 5, 5), "ERR_INVALID_ARG_TYPE", "mmap");
    refusal(() => kernel.view(0n, 1n), "ERR_OUT_OF_RANGE", "view");
    refusal(() => kernel.ioctlBatch(0, null, 0, 0), "ERR_INVALID_ARG_TYPE", "ioctlBatch");
  });
}

kinds.run();

const questions = suite("a question of a window");

questions("takes a number and a bigint together, as long as each is exact", () => {
  const { window } = ground();
  const start = window.start;
  assert.is(window.contains(Number(start), PAGE), true);
  assert.is(window.contains(Number(start), window.size + 1n), false);
  assert.is(window.contains(start, 4096), true);
  for (const [iova, length] of [
    [Number(start), -1n],
    [2 ** 53 + 2, PAGE],
    [Number.NaN, PAGE],
    [start, 2 ** 53 + 2],
    [start, -1],
    [start, 1n << 64n],
  ] as const) {
    refusal(() => window.contains(iova, length), "ERR_OUT_OF_RANGE", `${iova} ${length}`);
  }
});

questions("says of another kind that it takes both", () => {
  const { window, memory } = ground();
  for (const [what, call] of Object.entries({
    "contains, iova": () => window.contains(any("0"), 1),
    "contains, length": () => window.contains(0, any("1")),
    "contains, length of a bigint": () => window.contains(0n, any(undefined)),
    tceIndex: () => window.tceIndex(any(undefined)),
    translate: () => window.translate(any("0")),
    "translate of a table": () => memory.translate(any(null)),
  })) {
    assert.match(refusal(call, "ERR_INVALID_ARG_TYPE", what).message, "must be a bigint or a number; got", what);
  }
});

questions.run();

const facts = suite("the facts of a plan");

facts("of memory are refused where a key of them is misspelt, and may say more", () => {
  const { info, memory } = ground();
  const list = { base: 0n, length: 1 << 21, pageSize: 4096 };
  const plan =
    (lists: object, more: object = {}) =>
    () =>
      planWindow({ memory: any({ lists: [lists], ...more }), info });
  const misspelt = refusal(plan({ ...list, extrenal: true }), "ERR_INVALID_ARG_TYPE", "extrenal");
  assert.match(misspelt.message, 'memory.lists[0] takes no "extrenal"; did you mean "external"?');
  refusal(plan(list, { byte: 1 }), "ERR_INVALID_ARG_TYPE", "byte");
  refusal(() => planWindow({ memory: any({ list: [list] }), info }), "ERR_INVALID_ARG_TYPE", "list");
  plan({ ...list, owner: "me", colour: 5 }, { owner: "me" })();
  planWindow({ memory, info });
  planWindow({ memory: { lists: [...memory.lists] }, info });
  planWindow({ memory: { lists: memory.lists.map((one) => ({ ...one, node: 0 })), bytes: memory.bytes }, info });
});

facts.run();

const requests = suite("a request to map");

requests("may be a segment, or a memseg", () => {
  const { window, memory, list } = ground();
  const segment = memory.allocate(list, 4);
  assert.is(window.translate(segment.va), undefined);
  const iova = window.map(segment);
  assert.is(window.iovaOf(segment.va), iova);
  window.unmap({ iova, length: segment.length });
  const memsegs = [...memory.memsegs()];
  assert.equal(window.mapMany(memsegs).length, memsegs.length);
  assert.is(window.liveBytes, segment.length);
  const freed = memory.allocate(list, 1);
  memory.free(freed);
  refusal(() => window.map(freed), "ERR_FREED", "a segment that was freed");
  assert.match(
    refusal(() => window.map(any({ ...segment, legnth: 1 })), "ERR_INVALID_ARG_TYPE", "legnth").message,
    "length",
  );
});

requests.run();
