/**
 * Somebody calls back into the library in the middle of an operation: from a kernel interface, from a function of the program, or
 * from a getter of an argument. Whatever changes anything is refused, and touches nothing; what only looks goes on, and is right;
 * the operation itself ends as if nobody had called.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Container } from "../../src/container/container.ts";
import { openContainer } from "../../src/container/open.ts";
import { RequestRows } from "../../src/container/rows.ts";
import { Window } from "../../src/container/window.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelKernel, type ModelPlatform, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { MapFlag, Protection, type Syscalls } from "../../src/syscalls.ts";
import { recordTrace } from "../../src/trace/index.ts";
import { failure, thrownBy } from "../support/failure.ts";

const PAGE = 4096n;
const CALLS = ["open", "close", "ioctl", "ioctlStruct", "ioctlBatch", "mmap", "munmap", "view", "unview"] as const;
const COPYING = ["read", "write"] as const;
const ASKED = ["lockedMemory", "physicalAddresses"] as const;

/** A kernel in front of the model that calls `during` before and after each call, and is one of its kind: no class, no `inner`. */
function callingBack(model: ModelKernel): Syscalls & { during: (() => void) | undefined } {
  const kernel = { during: undefined } as { during: (() => void) | undefined } & Record<string, unknown>;
  kernel.name = "mine";
  kernel.pageSize = model.pageSize;
  for (const name of [...CALLS, ...COPYING, ...ASKED]) {
    kernel[name] = (...parameters: never[]) => {
      kernel.during?.();
      const answer = (model[name] as (...all: never[]) => unknown).apply(model, parameters);
      kernel.during?.();
      return answer;
    };
  }
  return kernel as never;
}

/** Everything that a program can have, ready for whatever is called. */
class Site {
  readonly model: ModelKernel;
  readonly kernel: ReturnType<typeof callingBack>;
  readonly container: Container;
  readonly window: Window;
  readonly memory: MemsegTable;
  readonly spare: MemsegTable;
  readonly va: bigint;
  readonly list;
  readonly segment: Segment;
  readonly rows: RequestRows;
  readonly plan;

  constructor(platform: ModelPlatform) {
    this.model = modelKernel({ platform, pageSize: 4096, groups: [26, 27] });
    this.kernel = callingBack(this.model);
    this.container = openContainer({ kernel: this.kernel, groups: [26] });
    const lists = [{ base: 0n, length: PAGE, pageSize: PAGE }];
    const info = { ...this.container.info(), pageSizes: PAGE };
    this.plan = planWindow({ memory: { lists }, info, growTo: 16n << 20n });
    this.window = this.container.createWindow(this.plan);
    this.memory = new MemsegTable({ kernel: this.kernel });
    this.spare = new MemsegTable({ kernel: this.kernel });
    this.list = this.memory.addList({ pageSize: PAGE, maxBytes: 64n * PAGE });
    this.container.attach(this.memory);
    this.segment = this.memory.allocate(this.list, 2);
    this.va = this.model.mmap(0n, 64n * PAGE, Protection.READ | Protection.WRITE, MapFlag.POPULATE, 0);
    this.window.map({ va: this.va + 32n * PAGE, length: PAGE });
    this.rows = this.window.requests(4);
  }

  /** What changes something, or needs what an operation holds; by class and name. */
  get operations(): Readonly<Record<string, () => unknown>> {
    const { container, window, memory, spare, list, segment, va, kernel, plan, rows } = this;
    const length = PAGE;
    const u64 = (value: bigint) => BigUint64Array.of(value);
    return {
      "openContainer.": () => openContainer({ kernel, groups: [27] }),
      "MemsegTable.constructor": () => new MemsegTable({ kernel }),
      "Container.info": () => container.info(),
      "Container.createWindow": () => container.createWindow(plan),
      "Container.attach": () => container.attach(spare),
      "Container.detach": () => container.detach(memory),
      "Container.addGroup": () => container.addGroup(27),
      "Container.removeGroup": () => container.removeGroup(26),
      "Container.device": () => container.device("0000:00:1a.0"),
      "Container.close": () => container.close(),
      "Window.map": () => window.map({ va: va + 40n * PAGE, length }),
      "Window.mapMany": () => window.mapMany([{ va: va + 40n * PAGE, length }]),
      "Window.mapInto": () => window.mapInto(u64(va + 40n * PAGE), u64(PAGE), u64(2n ** 64n - 1n), Uint32Array.of(3)),
      "Window.requests": () => window.requests(2 ** 16),
      "Window.unmap": () => window.unmap({ iova: window.iovaOf(va + 32n * PAGE), length }),
      "Window.unmapMany": () => window.unmapMany([{ iova: window.iovaOf(va + 32n * PAGE), length }]),
      "Window.unmapFrom": () => window.unmapFrom(u64(window.iovaOf(va + 32n * PAGE)), u64(PAGE), u64(2n ** 64n - 1n)),
      "Window.translateInto": () => window.translateInto(u64(va), u64(0n)),
      "Window.checkInto": () => window.checkInto(rows.iovas, rows.lengths, rows.indexes),
      "Window.maps": () => [...window.maps()],
      "Window.close": () => window.close(),
      "MemsegTable.addList": () => memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE }),
      "MemsegTable.removeList": () => memory.removeList(list),
      "MemsegTable.add": () => memory.add(list, { va: list.base + 60n * PAGE, length }),
      "MemsegTable.remove": () => memory.remove(segment.va),
      "MemsegTable.allocate": () => memory.allocate(list, 1),
      "MemsegTable.free": () => memory.free(segment),
      "MemsegTable.translateInto": () => memory.translateInto(u64(va), u64(0n)),
      "MemsegTable.close": () => spare.close(),
      "Segment.read": () => segment.read(0, new Uint8Array(8)),
      "Segment.write": () => segment.write(0, new Uint8Array(8)),
    };
  }

  /** What only looks. */
  get questions(): Readonly<Record<string, () => unknown>> {
    const { container, window, memory, list, segment, va, rows } = this;
    const live = va + 32n * PAGE;
    return {
      "Container.closed": () => container.closed,
      "Container.kind": () => container.kind,
      "Container.windows": () => container.windows.length,
      "Container.groups": () => container.groups.length,
      "Container.devices": () => container.devices.length,
      "Window.closed": () => window.closed,
      "Window.contains": () => window.contains(window.start, PAGE),
      "Window.tceIndex": () => window.tceIndex(window.start),
      "Window.headroom": () => window.headroom(window.start),
      "Window.translate": () => [window.translate(live), window.translate(Number(live))],
      "Window.iovaOffset": () => window.iovaOffset(list),
      "Window.iovaOf": () => window.iovaOf(live),
      "Window.vaOf": () => window.vaOf(window.iovaOf(live)),
      "Window.runs": () => window.runs(live, PAGE),
      "Window.runsInto": () => window.runsInto(live, PAGE, new BigUint64Array(1), new Uint32Array(1)),
      "Segment.iova": () => segment.iova(window),
      "Container.leaks": () => container.leaks().length,
      "MemsegTable.leaks": () => memory.leaks().length,
      "MemsegTable.closed": () => memory.closed,
      "RequestRows.closed": () => rows.closed,
      "MemsegTable.find": () => memory.find(segment.va)?.length,
      "MemsegTable.translate": () => memory.translate(segment.va),
      "MemsegTable.memsegs": () => [...memory.memsegs(segment.va, PAGE)].length,
      "MemsegTable.lists": () => memory.lists.length,
      "RequestRows.vas": () => rows.vas.length,
      "RequestRows.iovas": () => rows.iovas.length,
      "RequestRows.lengths": () => rows.lengths.length,
      "RequestRows.indexes": () => rows.indexes.length,
      "RequestRows.permissions": () => rows.permissions.length,
    };
  }

  /** All that could have changed. */
  get state(): unknown {
    const { model, window, memory } = this;
    return [
      model.hash(),
      window.closed ? [] : [...window.maps()],
      [...memory.memsegs()].map(({ va }) => va),
      memory.lists,
    ];
  }
}

/** What changes with every operation, and may be asked for in the middle of one. */
const MOVING = [
  ...[
    "Window.liveBytes",
    "Window.largestHole",
    "MemsegTable.bytes",
    "MemsegTable.mapped",
    "MemsegTable.size",
    "MemsegTable.valid",
  ],
  ...["MemsegTable.highest", "MemsegTable.smallestPageSize", "Segment.freed", "RequestRows.close"],
];
/** The same as another one, or the library's own. */
const OTHERS = [
  ...[
    "Window.shut",
    "Window.forget",
    "MemsegTable.asksPhysical",
    "MemsegTable.isOf",
    "MemsegTable.segmentAt",
    "MemsegTable.kernel",
    "Container.openDevice", // refuses as device does, by a promise
  ],
  ...["Segment.bytes", "Segment.view"],
];

test("each public method is known to be an operation or a question", () => {
  const site = new Site("powernv");
  const known = [...Object.keys(site.operations), ...Object.keys(site.questions), ...MOVING, ...OTHERS];
  for (const [name, made] of Object.entries({ Container, Window, MemsegTable, Segment, RequestRows })) {
    for (const key of Object.getOwnPropertyNames(made.prototype)) {
      if (key === "constructor") continue;
      assert.ok(known.includes(`${name}.${key}`), `what of ${name}.${key} in the middle of an operation?`);
    }
  }
});

/** Operations that go through, to be called back in. */
const outer: Readonly<Record<string, (site: Site) => unknown>> = {
  openContainer: ({ kernel }) => openContainer({ kernel, groups: [27] }).close(),
  info: ({ container }) => container.info(),
  map: ({ window, va }) => window.mapMany([0n, 1n, 2n].map((i) => ({ va: va + 2n * i * PAGE, length: PAGE }))),
  mapInto: ({ window, va }) => {
    const iovas = BigUint64Array.of(2n ** 64n - 1n, 2n ** 64n - 1n);
    window.mapInto(BigUint64Array.of(va, va + 4n * PAGE), BigUint64Array.of(PAGE, PAGE), iovas, Uint32Array.of(3, 3));
    return [...iovas];
  },
  unmap: ({ window, va }) => window.unmap({ iova: window.iovaOf(va + 32n * PAGE), length: PAGE }),
  unmapFrom: ({ window, va }) =>
    window.unmapFrom(
      BigUint64Array.of(window.iovaOf(va + 32n * PAGE)),
      BigUint64Array.of(PAGE),
      BigUint64Array.of(2n ** 64n - 1n),
    ),
  allocate: ({ memory, list }) => memory.allocate(list, 3).va - list.base,
  free: ({ memory, segment }) => {
    segment.bytes.fill(1);
    memory.free(segment);
  },
  "show a segment": ({ segment }) => segment.bytes.length,
  "read a segment": ({ segment }) => {
    const into = new Uint8Array(8);
    segment.read(0, into);
    return [...into];
  },
  "write a segment": ({ segment }) => segment.write(0, Uint8Array.of(1)),
  addList: ({ memory }) => memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE }).length,
  removeList: ({ memory, list, segment }) => {
    memory.free(segment);
    memory.removeList(list);
  },
  detach: ({ container, memory }) => container.detach(memory),
  attach: ({ container, memory }) => {
    container.detach(memory);
    container.attach(memory);
  },
  "close a window and make another": ({ container, window, plan }) => {
    window.close();
    return container.createWindow(plan).start;
  },
  "close a table": ({ spare }) => {
    spare.addList({ pageSize: PAGE, maxBytes: PAGE });
    spare.close();
  },
  "close the container": ({ container }) => container.close(),
};

for (const platform of ["powernv", "pseries", "type1"] as const) {
  for (const [name, run] of Object.entries(outer)) {
    test(`${platform}, ${name}: whatever is called in the middle of it is refused and changes nothing`, () => {
      const quiet = new Site(platform);
      const expected = run(quiet);
      const truth = quiet.state;
      for (const inner of Object.keys(quiet.operations)) {
        const site = new Site(platform);
        let calls = 0;
        const wrong: string[] = [];
        site.kernel.during = () => {
          site.kernel.during = undefined; // what is refused asks no kernel
          const hash = site.model.hash();
          let error: unknown;
          try {
            site.operations[inner]?.();
          } catch (problem) {
            error = problem;
          }
          const code = (error as { code?: string } | undefined)?.code;
          // What needs a look-up first may find that what it wants is gone by then.
          if (
            !["ERR_BUSY", "ERR_NOT_LIVE", "ERR_CLOSED", "ERR_NO_WINDOW", "ERR_FREED"].includes(code ?? "") &&
            !isOver(site, inner)
          )
            wrong.push(`${inner}: ${error ?? "went through"}`);
          if (site.model.hash() !== hash) wrong.push(`${inner} changed the kernel`);
          calls++;
          site.kernel.during = during;
        };
        const during = site.kernel.during;
        const got = run(site);
        site.kernel.during = undefined;
        assert.ok(calls > 0, "nobody called back");
        assert.equal([...new Set(wrong)], []);
        assert.equal(got, expected, inner);
        assert.equal(site.state, truth, inner);
      }
    });
  }
}

/** Closing once more does nothing: that is no refusal. */
function isOver({ container, window }: Site, inner: string): boolean {
  if (inner === "Container.close") return container.closed;
  return inner === "Window.close" && window.closed;
}

test("what only looks is answered in the middle of an operation, and right", () => {
  const site = new Site("powernv");
  const before = Object.entries(site.questions).map(([name, ask]) => [name, ask()]);
  let calls = 0;
  site.kernel.during = () => {
    calls++;
    assert.equal(
      Object.entries(site.questions).map(([name, ask]) => [name, ask()]),
      before,
    );
  };
  outer.map?.(site);
  assert.ok(calls > 0);
});

test("a trace's write, a listener of the model and a physical resolver are refused likewise", () => {
  const model = modelKernel({ platform: "powernv", pageSize: 4096 });
  const seen: string[] = [];
  let window: Window | undefined;
  const va = model.mmap(0n, 64n * PAGE, Protection.READ | Protection.WRITE, MapFlag.POPULATE, 0);
  const back = (who: string) => {
    if (window === undefined) return;
    const error = thrownBy(() => window?.map({ va: va + 40n * PAGE, length: PAGE }));
    seen.push(`${who}: ${error.code}`);
    assert.match(error.message, /was called in the middle of [\w.]+, from/);
  };
  const kernel = recordTrace(model, () => back("write"));
  model.watch(() => back("listener"));
  const container = openContainer({ kernel, groups: [26] });
  const lists = [{ base: 0n, length: PAGE, pageSize: PAGE }];
  const plan = planWindow({ memory: { lists }, info: { ...container.info(), pageSizes: PAGE }, growTo: 1n << 24n });
  window = container.createWindow(plan);
  const requests = [0n, 1n, 2n].map((i) => ({ va: va + 2n * i * PAGE, length: PAGE }));
  const iovas = window.mapMany(requests);
  assert.equal(
    iovas,
    requests.map((request) => window?.translate(request.va)),
  );
  window.unmapMany(iovas.map((iova) => ({ iova, length: PAGE })));
  const physical = (_va: bigint, pages: number) => {
    back("resolver");
    return new BigUint64Array(pages).fill(2n ** 64n - 1n);
  };
  const memory = new MemsegTable({ kernel: model, physical });
  memory.allocate(memory.addList({ pageSize: PAGE, maxBytes: 4n * PAGE }), 2);
  for (const who of ["write", "listener", "resolver"]) assert.ok(seen.includes(`${who}: ERR_BUSY`), who);
  assert.ok(seen.every((one) => one.endsWith("ERR_BUSY")));
  assert.is(window.liveBytes, 0n);
});

test("a getter of an argument that calls back is refused, and the arguments are those that were read", () => {
  const { window, va, memory, container } = new Site("powernv");
  const codes: unknown[] = [];
  const back = <T>(value: T): T => {
    codes.push(thrownBy(() => window.map({ va: va + 40n * PAGE, length: PAGE })).code);
    codes.push(thrownBy(() => container.close()).code);
    return value;
  };
  const request = {
    get va() {
      return back(va);
    },
    get length() {
      return back(PAGE);
    },
  };
  const iova = window.map(request);
  assert.is(window.translate(va), iova);
  window.unmap({
    get iova() {
      return back(iova);
    },
    length: PAGE,
  });
  const hostile = new Proxy([{ va, length: PAGE }], { get: (target, key) => back(Reflect.get(target, key)) });
  assert.equal(window.mapMany(hostile), [iova]);
  memory.addList({
    get pageSize() {
      return back(PAGE);
    },
    maxBytes: PAGE,
  });
  class Columns extends BigUint64Array {
    override subarray(begin?: number, end?: number): BigUint64Array<ArrayBuffer> {
      return back(super.subarray(begin, end) as BigUint64Array<ArrayBuffer>);
    }
  }
  const vas = new Columns(3).fill(va);
  const iovas = new BigUint64Array(2);
  window.translateInto(vas, iovas, 2);
  assert.equal([...iovas], [iova, iova]);
  assert.ok(codes.length >= 8);
  assert.equal([...new Set(codes)], ["ERR_BUSY"]);
});

test("an operation that fails, or is refused, does not leave the library busy", () => {
  const site = new Site("powernv");
  const { window, va, memory, kernel } = site;
  thrownBy(() => window.map({ va: va + 1n, length: PAGE }));
  thrownBy(() =>
    window.mapInto(new BigUint64Array(1), new BigUint64Array(1), new BigUint64Array(1), new Uint32Array(1)),
  );
  thrownBy(() => memory.addList({ pageSize: 3n, maxBytes: 3n }));
  thrownBy(() => openContainer({ kernel, groups: [99] }));
  kernel.during = () => {
    throw new Error("broke");
  };
  failure("ERR_INTERFACE", () => window.map({ va, length: PAGE }));
  kernel.during = undefined;
  // A generator that was left halfway holds nothing.
  for (const _ of window.maps()) break;
  window.unmapMany([...window.maps()].filter((run) => run.va === va));
  assert.is(window.iovaOf(va + 32n * PAGE) >= 0n, true);
  window.map({ va, length: PAGE });
});

test("the error says which operation was called in which", () => {
  const site = new Site("powernv");
  let error: unknown;
  site.kernel.during = () => {
    site.kernel.during = undefined;
    error = thrownBy(() => site.memory.free(site.segment));
  };
  site.window.map({ va: site.va, length: PAGE });
  assert.instance(error, DmaWindowError);
  assert.equal((error as DmaWindowError).facts, { operation: "memory.free", within: "window.map" });
});

test.run();
