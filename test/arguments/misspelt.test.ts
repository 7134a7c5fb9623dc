/** A misspelt key is refused wherever the public API takes an object, before anything has happened. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  MemsegTable,
  modelKernel,
  openContainer,
  type PlanRequest,
  physicalAddresses,
  planWindow,
} from "../../src/index.ts";
import { faulty, killed } from "../../src/model/index.ts";
import { recordTrace, replay } from "../../src/trace/index.ts";
import { thrownBy } from "../support/failure.ts";

const MiB = 1n << 20n;
const PAGE = 4096n;
const BASE = 1n << 32n;

function ground() {
  const kernel = modelKernel();
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: BASE });
  const container = openContainer({ kernel, groups: [26] });
  const request: PlanRequest = { memory, info: container.info() };
  const window = container.createWindow(planWindow({ ...request, growTo: 16n * MiB }));
  return { kernel, memory, list, container, request, window, va: kernel.mmap(0n, PAGE, 3, 8, 0) };
}

type Ground = ReturnType<typeof ground>;

interface Case {
  /** The key that is wrong, and what stands under it. */
  readonly wrong: Readonly<Record<string, unknown>>;
  /** The key that was meant; left out where none is near. */
  readonly meant?: string;
  /** Hands it over with all else that is needed. */
  readonly call: (ground: Ground, wrong: object) => unknown;
}

const plan = ({ request }: Ground, wrong: object) => planWindow({ ...request, ...wrong });
const addList = ({ memory }: Ground, wrong: object) => memory.addList({ pageSize: 4096, maxBytes: 4096, ...wrong });
const add = ({ memory, list }: Ground, wrong: object) => memory.add(list, { va: BASE, length: PAGE, ...wrong });
const open = (_: Ground, wrong: object) => openContainer({ kernel: modelKernel(), groups: [26], ...wrong });
const map = ({ window, va }: Ground, wrong: object) => window.map({ va, length: PAGE, ...wrong });
const model = (_: Ground, wrong: object) => modelKernel(wrong);

const cases: Record<string, Case> = {
  "planWindow, growto": { wrong: { growto: 64n << 30n }, meant: "growTo", call: plan },
  "planWindow, iovamode": { wrong: { iovamode: "va" }, meant: "iovaMode", call: plan },
  "planWindow, highestRAM": { wrong: { highestRAM: 1n }, meant: "highestRam", call: plan },
  "planWindow, deviceAdressBits": { wrong: { deviceAdressBits: 32 }, meant: "deviceAddressBits", call: plan },
  "new MemsegTable, kernell": { wrong: { kernell: 1 }, meant: "kernel", call: (_, wrong) => new MemsegTable(wrong) },
  "new MemsegTable, phisical": {
    wrong: { phisical: 1 },
    meant: "physical",
    call: (_, wrong) => new MemsegTable(wrong),
  },
  "addList, externel": { wrong: { externel: true }, meant: "external", call: addList },
  "addList, maxbytes": { wrong: { maxbytes: 4096 }, meant: "maxBytes", call: addList },
  "add, lenght": { wrong: { lenght: PAGE }, meant: "length", call: add },
  "add, iovas": { wrong: { iovas: 0n }, meant: "iova", call: add },
  "openContainer, noIOMMU": { wrong: { noIOMMU: true }, meant: "noIommu", call: open },
  "openContainer, group": { wrong: { group: [26] }, meant: "groups", call: open },
  "map, permisions": { wrong: { permisions: "read" }, call: map },
  "map, Write": { wrong: { Write: false }, meant: "write", call: map },
  "mapMany, iov": {
    wrong: { iov: 0n },
    meant: "iova",
    call: ({ window, va }, wrong) =>
      window.mapMany([
        { va, length: PAGE },
        { va, length: PAGE, ...wrong },
      ]),
  },
  "unmap, vaddr": {
    wrong: { vaddr: 0n },
    meant: "va",
    call: ({ window }, wrong) => window.unmap({ iova: 0n, length: PAGE, ...wrong }),
  },
  "unmapMany, size": {
    wrong: { size: PAGE },
    call: ({ window }, wrong) => window.unmapMany([{ iova: 0n, length: PAGE, ...wrong }]),
  },
  "physicalAddresses, cpuPagesize": {
    wrong: { cpuPagesize: 4096 },
    meant: "cpuPageSize",
    call: (_, wrong) => physicalAddresses(0n, 0, 4096, wrong),
  },
  "modelKernel, plattform": { wrong: { plattform: "type1" }, meant: "platform", call: model },
  "modelKernel, lockedMemory.limits": {
    wrong: { limits: 0n },
    meant: "limit",
    call: (_, wrong) => modelKernel({ lockedMemory: { limit: 0n, privileged: true, ...wrong } }),
  },
  "modelKernel, ranges[0].lst": {
    wrong: { lst: 0n },
    meant: "last",
    call: (_, wrong) => modelKernel({ platform: "type1", ranges: [{ start: 0n, last: 0xffffn, ...wrong }] }),
  },
  "limitLockedMemory, priviledged": {
    wrong: { priviledged: false },
    meant: "privileged",
    call: ({ kernel }, wrong) => kernel.limitLockedMemory(wrong),
  },
  "faulty, time": { wrong: { time: 2 }, meant: "times", call: ({ kernel }, wrong) => faulty(kernel, wrong) },
  "fail, awnser": { wrong: { awnser: -12 }, meant: "answer", call: ({ kernel }, wrong) => faulty(kernel).fail(wrong) },
  "killed, nht": { wrong: { nht: 3 }, meant: "nth", call: ({ kernel }, wrong) => killed(kernel, wrong) },
  "recordTrace, notes": {
    wrong: { notes: "" },
    meant: "note",
    call: ({ kernel }, wrong) => recordTrace(kernel, () => {}, wrong),
  },
  "replay, group": { wrong: { group: 1 }, meant: "groups", call: ({ kernel }, wrong) => replay([], kernel, wrong) },
};

const misspelt = suite("a misspelt key is refused");

for (const [name, { wrong, meant, call }] of Object.entries(cases)) {
  misspelt(name, () => {
    const all = ground();
    const before = all.kernel.hash();
    const [key = ""] = Object.keys(wrong);
    // A key with nothing under it is as wrong.
    for (const each of [wrong, { [key]: undefined }]) {
      const error = thrownBy(() => call(all, each));
      assert.instance(error, TypeError);
      assert.is(error.code, "ERR_INVALID_ARG_TYPE");
      assert.ok(error.message.includes(` takes no "${key}"`), error.message);
      if (meant === undefined) assert.not.match(error.message, "did you mean");
      else assert.ok(error.message.includes(`; did you mean "${meant}"? It takes `), error.message);
    }
    assert.is(all.kernel.hash(), before, "no kernel was asked");
    all.container.close();
  });
}

misspelt("of a model's hugepages, whose keys are page shifts", () => {
  for (const key of ["2M", "2097152", "21n", "021", "8"]) {
    assert.throws(() => modelKernel({ hugepages: { [key]: 4 } }), /a key of hugepages/);
  }
  assert.throws(() => modelKernel({ hugepages: { 21: -1 } }), /hugepages\[21\]/);
});

misspelt.run();

const right = suite("what is no misspelt key");

right("options that are inherited count like own ones", () => {
  const { request, container, window, va } = ground();
  assert.is(planWindow(Object.create({ ...request, growTo: 64n * MiB })).size, 64n * MiB);
  window.map(Object.create({ va, length: PAGE, write: false }));
  container.close();
});

right("options without a value are absent", () => {
  const { request, container, window, va } = ground();
  const empty = { growTo: undefined, iovaMode: undefined, highestRam: undefined, deviceAddressBits: undefined };
  assert.equal(planWindow({ ...request, ...(empty as object) }), planWindow(request));
  window.map({ va, length: PAGE, ...({ iova: undefined, read: undefined, write: undefined } as object) });
  container.close();
});

right("a kernel's facts, memory's facts and a plan that was stored may say more than is known", () => {
  const { container, memory, window } = ground();
  window.close();
  const info = { ...container.info(), novelty: 1 };
  const lists = memory.lists.map((list) => ({ ...list, name: "buffers" }));
  const plan = { ...planWindow({ memory: { lists, ...{ owner: "us" } }, info }), comment: "of last week" };
  assert.is(container.createWindow(plan).size, plan.size);
  container.close();
});

right.run();
