/** Groups that join a container which is in use, and leave it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { hiding, machines, Probe, refusing } from "./site.ts";

const groups = suite("groups of a live container");

/** A container with a window, and memory in it. */
function inUse(kernel: Syscalls, numbers: readonly number[]) {
  const container = openContainer({ kernel, groups: numbers });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: BigInt(kernel.pageSize), maxBytes: 1n << 20n });
  const window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const segment = memory.allocate(list, 2);
  return { container, memory, list, window, iova: window.iovaOf(segment.va) };
}

for (const machine of ["x86", "pnv", "pnv 64K"] as const) {
  groups(`${machine}: one that joins reaches what is mapped, and no more once it left`, () => {
    const probes = [new Probe(), new Probe()];
    const model = modelKernel({ ...machines[machine], devices: probes });
    const { container, memory, list, window, iova } = inUse(model, [26]);
    container.addGroup(27);
    assert.equal(container.groups, [26, 27]);
    const device = container.device(model.device(27).name);
    device.busMaster = true;
    const reads = (probe: Probe | undefined, at: bigint) => probe?.bus.read(at, new Uint8Array(8)).bytes === 8;
    assert.is(reads(probes[1], iova), true);
    const later = window.iovaOf(memory.allocate(list, 1).va);
    assert.is(reads(probes[1], later), true);
    const error = failure("ERR_DEVICE_OPEN", () => container.removeGroup(27));
    assert.equal(error.facts?.devices, [device.address]);
    device.close();
    if (machine !== "x86") {
      // The kernel would clear every TCE of the container.
      const refused = failure("ERR_STILL_MAPPED", () => container.removeGroup(27));
      assert.is(refused.facts?.mapped, window.liveBytes);
      assert.equal(container.groups, [26, 27]);
      container.detach(memory);
    }
    container.removeGroup(27);
    assert.equal(container.groups, [26]);
    if (machine !== "x86") container.attach(memory);
    assert.is(reads(probes[1], iova), false);
    const first = container.device();
    first.busMaster = true;
    assert.is(reads(probes[0], iova), true);
    container.addGroup(27);
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  });
}

groups("an LPAR takes one, and says so before the kernel does", () => {
  const model = modelKernel({ ...machines.ps, groups: [26, 27] });
  const { container, memory } = inUse(model, [26]);
  const error = failure("ERR_ONE_GROUP", () => container.addGroup(27));
  assert.match(error.message, "a container of an LPAR holds one group");
  assert.equal(container.groups, [26]);
  memory.allocate(memory.lists[0] as never, 1); // nothing is spoilt
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

groups("refuse what is no group of the container, or is there already, or is the last", () => {
  const model = modelKernel({ platform: "type1", groups: [26, 27] });
  const { container } = inUse(model, [26]);
  assert.match(refusesArgument(() => container.addGroup(26)).message, "not in the container already (26)");
  assert.match(refusesArgument(() => container.removeGroup(27)).message, "one of the container's groups (26)");
  for (const wrong of [-1, 1.5, "27", undefined]) {
    refusesArgument(() => container.addGroup(wrong as never));
    refusesArgument(() => container.removeGroup(wrong as never));
  }
  assert.match(failure("ERR_LAST_GROUP", () => container.removeGroup(26)).message, "close the container instead");
  failure("ERR_KERNEL", () => container.addGroup(28));
  assert.equal(container.groups, [26]);
  container.close();
  failure("ERR_CLOSED", () => container.addGroup(27));
  failure("ERR_CLOSED", () => container.removeGroup(26));
});

groups("whichever call is refused, the container is as it was", () => {
  for (const call of ["GROUP_GET_STATUS", "GROUP_SET_CONTAINER"]) {
    const model = modelKernel({ platform: "type1", groups: [26, 27] });
    const kernel = refusing(model, { call, answer: no.EBUSY, after: 1 });
    const { container, memory } = inUse(kernel, [26]);
    failure("ERR_KERNEL", () => container.addGroup(27));
    assert.equal(container.groups, [26]);
    container.addGroup(27);
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  }
  const model = modelKernel({ platform: "type1", groups: [26, 27] });
  const kernel = refusing(model, { call: "GROUP_UNSET_CONTAINER", answer: no.EBUSY });
  const { container, memory } = inUse(kernel, [26, 27]);
  assert.match(failure("ERR_KERNEL", () => container.removeGroup(27)).message, "of group 27");
  assert.equal(container.groups, [26, 27]);
  container.removeGroup(27);
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

groups("one that allows less than the windows have is refused, with the IOVAs", () => {
  const model = modelKernel({ platform: "type1", groups: [26, 27] });
  let narrow = false;
  const kernel = hiding(model, [], {
    ioctlStruct(fd, call, memory, at) {
      const answer = model.ioctlStruct(fd, call, memory, at);
      if (call === 5 || !narrow) return answer;
      if (call === 12 && new DataView(memory.buffer, memory.byteOffset + at).getUint32(0, true) > 100) lift(memory, at);
      return answer;
    },
  });
  const { container, memory, window } = inUse(kernel, [26]);
  let asked = 0;
  const open = kernel.open.bind(kernel);
  Object.defineProperty(model, "open", {
    value: (path: string) => {
      narrow = path === "/dev/vfio/27";
      asked++;
      return open === undefined ? 0 : (Object.getPrototypeOf(model).open as typeof open).call(model, path);
    },
    configurable: true,
  });
  const error = failure("ERR_GROUP_MISFIT", () => container.addGroup(27));
  assert.ok(asked > 0);
  assert.match(error.message, `the window at 0x${window.start.toString(16)} has such`);
  assert.equal(container.groups, [26]);
  narrow = false;
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

/** The first range of VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE begins at 64 MiB. */
function lift(memory: Uint8Array, at: number): void {
  const view = new DataView(memory.buffer, memory.byteOffset + at);
  for (let cap = view.getUint32(16, true); cap !== 0; cap = view.getUint32(cap + 4, true)) {
    if (view.getUint16(cap, true) === 1) view.setBigUint64(cap + 16, 1n << 26n, true);
  }
}

groups.run();
