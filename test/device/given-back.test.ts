/** Pages go back to the system only where no device can write to them any more: the device writes afterwards, and bytes are compared. */
import v8 from "node:v8";
import vm from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Container } from "../../src/container/container.ts";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import type { Device } from "../../src/device/device.ts";
import { DmaWindowError } from "../../src/errors.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import type { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { hiding, machines, Probe } from "./site.ts";

const HUGE = 2n << 20n;
const GiB = 1n << 30n;
const OURS = 0x5a;
const THEIRS = 0xa5;

interface Site {
  readonly model: ModelKernel;
  readonly container: Container;
  readonly memory: MemsegTable;
  readonly list: MemsegList;
  readonly window: Window;
  readonly device: Device;
  readonly probe: Probe;
}

type Machine = keyof typeof machines | "bare";

/** As many hugepages as a test gives back: whoever asks next has the same ones. */
function site(
  machine: Machine,
  { physical = true, attach = true, pages = 2, through = (kernel: Syscalls) => kernel } = {},
): Site {
  const probe = new Probe();
  const options = machine === "bare" ? { platform: "noiommu" as const } : machines[machine];
  const model = modelKernel({ ...options, devices: [probe], hugepages: { 21: pages } });
  const kernel = through(model);
  const address = model.device(26).name;
  const noIommu = machine === "bare";
  const container = openContainer({ kernel, devices: [address], noIommu });
  const memory = new MemsegTable({ kernel, physical });
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const reach = noIommu ? { growTo: 4n * GiB } : {};
  const window = container.createWindow(planWindow({ memory, info: container.info(), ...reach }));
  if (attach) container.attach(memory);
  const device = container.device(address);
  device.busMaster = true;
  return { model, container, memory, list, window, device, probe };
}

/** Somebody else has the pages now; the device goes on writing to where it was told. Gives how many of their bytes it changed. */
function spoilt({ model, probe }: Site, iova: bigint): number {
  const others = new MemsegTable({ kernel: model });
  const list = others.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const theirs: Segment[] = [];
  try {
    for (;;) theirs.push(others.allocate(list, 1));
  } catch {
    // all that there are
  }
  const from = new Uint8Array(4096).fill(THEIRS);
  for (const { va, bytes } of theirs) {
    model.physicalAddresses(va, 1, Number(HUGE)); // it is asked where they are: so they are somewhere
    bytes.fill(THEIRS);
  }
  probe.bus.write(iova, new Uint8Array(4096).fill(OURS));
  let wrong = 0;
  for (const segment of theirs) {
    for (let at = 0n; at < segment.length; at += 4096n) {
      segment.read(at, from);
      wrong += from.filter((byte) => byte !== THEIRS).length;
    }
  }
  others.close();
  return wrong;
}

/** Every way by which a program gives pages back; `give` is done while the device runs, `iova` is what it was told. */
interface Way {
  readonly attach?: boolean;
  readonly physical?: boolean;
  begin(site: Site): { readonly iova: bigint; give(): void };
}

const segmentOf = ({ memory, list, window }: Site) => {
  const segment = memory.allocate(list, 1);
  return { segment, iova: window.iovaOf(segment.va) };
};

const heapOf = ({ memory, list, window }: Site) => {
  const heap = new DmaHeap({ memory, list, window });
  const handle = heap.alloc(4096, 4096);
  return { heap, handle, iova: heap.iovaOf(handle) };
};

const ways: Readonly<Record<string, Way>> = {
  "memory.free": {
    begin: (all) => {
      const { segment, iova } = segmentOf(all);
      return { iova, give: () => all.memory.free(segment) };
    },
  },
  "memory.free after detach": {
    begin: (all) => {
      const { segment, iova } = segmentOf(all);
      all.container.detach(all.memory);
      return { iova, give: () => all.memory.free(segment) };
    },
  },
  "memory.free after window.close": {
    begin: (all) => {
      const { segment, iova } = segmentOf(all);
      all.window.close();
      return { iova, give: () => all.memory.free(segment) };
    },
  },
  "memory.free after map and unmap by hand": {
    attach: false,
    physical: false,
    begin: (all) => {
      const segment = all.memory.allocate(all.list, 1);
      const iova = all.window.map(segment);
      all.window.unmap({ iova, length: segment.length });
      return { iova, give: () => all.memory.free(segment) };
    },
  },
  "memory.free after mapInto": {
    attach: false,
    physical: false,
    begin: (all) => {
      const segment = all.memory.allocate(all.list, 1);
      const iovas = new BigUint64Array([(1n << 64n) - 1n]);
      const [vas, lengths] = [new BigUint64Array([segment.va]), new BigUint64Array([segment.length])];
      all.window.mapInto(vas, lengths, iovas, new Uint32Array([3]));
      all.window.unmapFrom(iovas, lengths, vas);
      return { iova: iovas[0] as bigint, give: () => all.memory.free(segment) };
    },
  },
  "memory.free of what no window ever had, whose physical address the program was told": {
    attach: false,
    begin: (all) => {
      const segment = all.memory.allocate(all.list, 1);
      return { iova: all.memory.translate(segment.va) ?? 0n, give: () => all.memory.free(segment) };
    },
  },
  "memory.close": {
    begin: (all) => {
      const { iova } = segmentOf(all);
      all.container.detach(all.memory);
      return { iova, give: () => all.memory.close() };
    },
  },
  "memory[Symbol.dispose]": {
    begin: (all) => {
      const { iova } = heapOf(all);
      return { iova, give: () => all.memory[Symbol.dispose]() };
    },
  },
  "heap.close": {
    begin: (all) => {
      const { heap, handle, iova } = heapOf(all);
      heap.free(handle);
      return { iova, give: () => heap.close() };
    },
  },
  "heap.close({ force: true })": {
    begin: (all) => {
      const { heap, iova } = heapOf(all);
      return { iova, give: () => heap.close({ force: true }) };
    },
  },
  "heap[Symbol.dispose]": {
    begin: (all) => {
      const { heap, iova } = heapOf(all);
      return { iova, give: () => heap[Symbol.dispose]() };
    },
  },
  "window[Symbol.dispose]": {
    begin: (all) => {
      const { iova } = heapOf(all);
      return { iova, give: () => all.window[Symbol.dispose]() };
    },
  },
  "heap.trim": {
    begin: (all) => {
      const { heap, handle, iova } = heapOf(all);
      heap.free(handle);
      return { iova, give: () => heap.trim() };
    },
  },
  "heap.trim after pool.close": {
    begin: (all) => {
      const heap = new DmaHeap({ memory: all.memory, list: all.list, window: all.window });
      const pool = heap.pool({ size: 4096, count: 4 });
      const iova = pool.iovas[0] as bigint;
      pool.close();
      return { iova, give: () => heap.trim() };
    },
  },
};

const bare = suite("without an IOMMU, pages of a device that runs");

for (const [name, way] of Object.entries(ways)) {
  bare(`${name} is refused, and nobody's bytes change`, () => {
    const all = site("bare", way);
    const { iova, give } = way.begin(all);
    let error: unknown;
    try {
      give();
    } catch (thrown) {
      error = thrown;
    }
    assert.is(spoilt(all, iova), 0, "bytes of somebody else that the device changed");
    assert.instance(error, DmaWindowError);
    if (!(error instanceof DmaWindowError)) return;
    assert.is(error.code, "ERR_DEVICE_RUNNING", error.message);
    assert.match(error.message, all.device.address);
    assert.match(error.message, "busMaster = false");
    all.device.busMaster = false;
    if (name === "memory[Symbol.dispose]") failure("ERR_ATTACHED", give);
    else give();
    assert.is(spoilt(all, iova), 0);
    all.container[Symbol.dispose]();
    all.memory[Symbol.dispose]();
    assert.equal(all.model.leaks(), []);
  });
}

bare("a refusal changes nothing: the heap and its device go on", () => {
  const all = site("bare");
  const { heap, handle } = heapOf(all);
  const before = all.model.hash();
  const error = failure("ERR_DEVICE_RUNNING", () => heap.close({ force: true }));
  assert.equal(error.facts?.devices, [all.device.address]);
  assert.is(all.model.hash(), before);
  heap.bytes(handle).fill(1);
  all.probe.bus.write(heap.iovaOf(handle), new Uint8Array(64).fill(2));
  assert.equal([...heap.bytes(handle).subarray(62, 66)], [2, 2, 1, 1]);
  heap.free(handle);
  heap.grow(HUGE);
  failure("ERR_DEVICE_RUNNING", () => heap.trim());
  heap.alloc(4096);
  all.device.close();
  heap.close({ force: true });
  all.container.close();
  all.memory.close();
  assert.equal(all.model.leaks(), []);
});

bare("what it was never told goes as ever, and so does all once it is closed, reset or has gone", async () => {
  for (const end of ["close", "container", "unplug", "off"] as const) {
    const all = site("bare");
    const { model, memory, container, device } = all;
    const apart = new MemsegTable({ kernel: model });
    apart.free(apart.allocate(apart.addList({ pageSize: 4096, maxBytes: 4096 }), 1));
    const { segment, iova } = segmentOf(all);
    failure("ERR_DEVICE_RUNNING", () => memory.free(segment));
    if (end === "close") device.close();
    if (end === "container") container.close();
    if (end === "off") device.config.set16(4, 4, 0);
    const gone = end === "unplug" ? model.plugged(device.address).unplug() : undefined;
    memory.free(segment);
    assert.is(spoilt(all, iova), 0, end);
    container.close();
    await gone;
    memory.close();
    apart.close();
    assert.equal(model.leaks(), []);
  }
});

bare("that is on by the configuration space alone, or of which nobody knows, is one that runs", () => {
  let isMute = false;
  const all = site("bare", {
    through: (kernel) =>
      hiding(kernel, [], {
        pread: (fd, into, at) => {
          if (isMute) throw new Error("the wire was cut");
          return kernel.pread?.(fd, into, at) ?? 0;
        },
      }),
  });
  const { segment } = segmentOf(all);
  all.device.busMaster = false;
  all.device.config.set16(4, 4, 4);
  failure("ERR_DEVICE_RUNNING", () => all.memory.free(segment));
  all.device.busMaster = false;
  isMute = true;
  failure("ERR_DEVICE_RUNNING", () => all.memory.free(segment));
  isMute = false;
  all.memory.free(segment);
  all.container.close();
  all.memory.close();
});

bare("an address that was given back, and is another page now, is told of no more", () => {
  const all = site("bare", { physical: false, attach: false });
  const { memory, list, window, device } = all;
  const first = memory.allocate(list, 1);
  window.unmap({ iova: window.map(first), length: first.length });
  device.busMaster = false;
  memory.free(first);
  device.busMaster = true;
  const second = memory.allocate(list, 1);
  assert.is(second.va, first.va);
  memory.free(second);
  all.container.close();
  memory.close();
});

bare("that could not be stopped keeps them, also after its container", () => {
  let isDeaf = false;
  const all = site("bare", {
    through: (kernel) =>
      hiding(kernel, [], {
        pwrite: (fd, from, at) => (isDeaf ? -5 : (kernel.pwrite?.(fd, from, at) ?? 0)),
        ioctl: (fd, call, argument) => (isDeaf ? -5 : kernel.ioctl(fd, call, argument)),
        close: (fd) => {
          if (isDeaf) throw new Error("the wire was cut");
          return kernel.close(fd);
        },
      }),
  });
  const { segment, iova } = segmentOf(all);
  isDeaf = true;
  failure("ERR_CLOSE", () => all.container.close());
  isDeaf = false;
  const error = failure("ERR_DEVICE_RUNNING", () => all.memory.free(segment));
  assert.match(error.message, "until this process ends");
  assert.is(spoilt(all, iova), 0);
});

bare("nothing goes because a program forgot it", () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const forgotten = (): Site & { iova: bigint } => {
    const all = site("bare");
    const { segment, iova } = segmentOf(all);
    segment.bytes.fill(1);
    return { ...all, iova };
  };
  const { model, device, probe, iova } = forgotten();
  for (let i = 0; i < 4; i++) collect();
  assert.is(spoilt({ model, device, probe } as Site, iova), 0);
  assert.is(probe.bus.write(iova, new Uint8Array(64)).bytes, 64, "its page is there still");
});

bare.run();

const guarded = suite("behind an IOMMU, pages of a device that runs");

for (const machine of ["x86", "pnv", "ps"] as const) {
  for (const [name, way] of Object.entries(ways)) {
    if (name.includes("physical")) continue;
    guarded(`${machine}: ${name}: the device meets with the IOMMU, and nobody's bytes change`, () => {
      const all = site(machine, { ...way, physical: false });
      const { iova, give } = way.begin(all);
      try {
        give();
      } catch (error) {
        assert.is((error as DmaWindowError).code, "ERR_ATTACHED"); // memory that is attached: its heaps have ended
      }
      assert.is(spoilt(all, iova), 0);
      all.container[Symbol.dispose]();
      all.memory[Symbol.dispose]();
      assert.equal(all.model.leaks(), []);
    });
  }

  guarded(`${machine}: what a window has by hand does not go before it is unmapped there`, () => {
    const all = site(machine, { attach: false, physical: false });
    const { memory, list, window, model } = all;
    const segment = memory.allocate(list, 1);
    const iova = window.map(segment);
    const before = model.hash();
    for (const give of [() => memory.free(segment), () => memory.close()]) {
      const error = failure("ERR_STILL_MAPPED", give);
      assert.match(error.message, `IOVA 0x${iova.toString(16)}`);
      assert.match(error.message, "window.unmap");
      assert.equal([error.facts?.va, error.facts?.iova], [segment.va, iova]);
    }
    assert.is(model.hash(), before);
    all.probe.bus.write(iova, new Uint8Array(64).fill(7));
    assert.is(segment.bytes[63], 7);
    window.unmap({ iova, length: segment.length });
    memory.free(segment);
    assert.is(spoilt(all, iova), 0);
    all.container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  });
}

guarded("a container that `using` ends stops its devices before the heaps over it go", () => {
  for (const machine of ["x86", "pnv", "ps", "bare"] as const) {
    let look = () => {};
    const all = site(machine, {
      physical: machine === "bare",
      through: (kernel) =>
        hiding(kernel, [], {
          ioctlBatch: (fd, memory, table, count) => {
            look();
            return kernel.ioctlBatch(fd, memory, table, count);
          },
          mmap: (address, length, protection, flags, shift) => {
            look();
            return kernel.mmap(address, length, protection, flags, shift);
          },
        }),
    });
    const { heap, iova } = heapOf(all);
    const seen: boolean[] = [];
    look = () => seen.push(all.model.plugged(all.device.address).isOpen);
    all.container[Symbol.dispose]();
    look = () => {};
    assert.is(heap.closed, true);
    assert.ok(seen.length > 0);
    assert.is(seen.includes(true), false, machine);
    assert.is(spoilt(all, iova), 0);
    all.memory.close();
    assert.equal(all.model.leaks(), []);
  }
});

guarded.run();
