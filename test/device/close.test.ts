/** The end of a device: it is stopped before anything that it can reach goes, whatever fails on the way. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall, vfioCallName } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { driven, hiding, machineNames, machines, Probe, type Refusal, refusing, warningsOf } from "./site.ts";

const closing = suite("closing a device");

/** Where `struct vfio_iommu_type1_dma_unmap` says how much was unmapped. */
const UNMAP_SIZE = 16;

/** The steps of a close, in order, as the kernel is asked for them. */
function watched(steps: string[]): (model: ModelKernel) => Syscalls {
  return (model) =>
    hiding(model, [], {
      ioctl(fd, call, argument) {
        steps.push(vfioCallName(call));
        return model.ioctl(fd, call, argument);
      },
      ioctlStruct(fd, call, memory, at) {
        const view = new DataView(memory.buffer, memory.byteOffset + at);
        const off =
          call === VfioCall.DEVICE_SET_IRQS ? ` ${view.getUint32(8, true)} count ${view.getUint32(16, true)}` : "";
        steps.push(`${vfioCallName(call)}${off}`);
        return model.ioctlStruct(fd, call, memory, at);
      },
      ioctlBatch(fd, memory, table, count) {
        steps.push("batch");
        return model.ioctlBatch(fd, memory, table, count);
      },
      pwrite(fd, from, at) {
        steps.push(`pwrite ${at & 0xffn} ${from}`);
        return model.pwrite(fd, from, at);
      },
      registers(fd, at, length) {
        const made = model.registers(fd, at, length);
        if (typeof made === "number") return made;
        return new Proxy(made, {
          get: (target, name) => {
            if (name === "unmap") steps.push("munmap");
            const value = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
      close(fd) {
        steps.push("close");
        return model.close(fd);
      },
    });
}

closing("interrupts off, bus mastering off, reset, unmapped, and then the descriptor", () => {
  const steps: string[] = [];
  const { model, container, device } = driven(new Probe(), { through: watched(steps) });
  device.busMaster = true;
  device.bar(0);
  device.bar(0, { endian: "big" });
  device.irqs.msix(1);
  device.on("request", () => {});
  steps.length = 0;
  device.close();
  assert.equal(
    steps.filter((step) => !step.includes("PROBE")),
    [
      "VFIO_DEVICE_SET_IRQS 2 count 0",
      "close", // the eventfd
      "VFIO_DEVICE_SET_IRQS 4 count 1",
      "close",
      "pwrite 4 2,0",
      "VFIO_DEVICE_RESET",
      "munmap",
      "close",
    ].map((step) => (step.startsWith("pwrite") ? (steps.find((one) => one.startsWith("pwrite 4")) ?? "none") : step)),
  );
  device.close();
  container.close();
  assert.equal(model.leaks(), []);
});

closing("comes before anything is unmapped, when the container closes", () => {
  for (const machine of machineNames) {
    const steps: string[] = [];
    const { model, container, device, kernel } = driven(new Probe(), { machine, through: watched(steps) });
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: BigInt(model.pageSize), maxBytes: 1n << 20n });
    container.createWindow(planWindow({ memory, info: container.info() }));
    container.attach(memory);
    memory.allocate(list, 4);
    device.busMaster = true;
    device.bar(0);
    steps.length = 0;
    container.close();
    const [reset, unmapped, gone] = ["VFIO_DEVICE_RESET", "munmap", "batch"].map((step) => steps.indexOf(step));
    assert.ok((reset as number) >= 0 && (reset as number) < (unmapped as number), steps.join(", "));
    assert.ok((unmapped as number) < (gone as number), steps.join(", "));
    memory.close();
    assert.equal(model.leaks(), []);
  }
});

closing("goes on past each failure, and tells all of them", () => {
  const refusals: readonly (readonly [Refusal, string])[] = [
    [{ call: "DEVICE_SET_IRQS", answer: no.EIO, after: 1 }, "VFIO_DEVICE_SET_IRQS"],
    [{ call: "pwrite", answer: no.EIO, after: 1 }, "pwrite"],
    [{ call: "DEVICE_RESET", answer: no.EIO }, "VFIO_DEVICE_RESET"],
    [{ call: "DEVICE_RESET", answer: "throws" }, "the wire was cut"],
  ];
  for (const [refusal, said] of refusals) {
    const { model, container, device, plugged } = driven(new Probe(), {
      through: (kernel) => refusing(kernel, refusal),
    });
    device.busMaster = true;
    device.irqs.msix(2);
    device.bar(0);
    const error = failure("ERR_CLOSE", () => container.close());
    assert.match(error.message, "met with an error");
    assert.match(error.message, said);
    assert.equal([device.closed, container.closed, plugged.isOpen], [true, true, false]);
    assert.equal(model.leaks(), []);
  }
  const all = driven(new Probe(), {
    through: (kernel) =>
      refusing(
        kernel,
        { call: "DEVICE_SET_IRQS", answer: no.EIO, after: 1 },
        { call: "pwrite", answer: no.EIO, after: 1 },
        { call: "DEVICE_RESET", answer: no.EAGAIN },
      ),
  });
  all.device.busMaster = true;
  all.device.irqs.msix(2);
  const error = failure("ERR_CLOSE", () => all.device.close());
  assert.match(error.message, `closing device ${all.address} met with 3 errors`);
  assert.equal([error.syscall, all.plugged.isOpen], ["VFIO_DEVICE_SET_IRQS", false]);
  all.container.close();
});

closing("of one that was unplugged succeeds, and a warning says so", async () => {
  for (const machine of machineNames) {
    const { model, container, device, plugged } = driven(new Probe(), { machine });
    device.busMaster = true;
    device.irqs.msix(2);
    device.bar(0);
    const gone = plugged.unplug();
    assert.equal(
      warningsOf(() => device.close()),
      ["DMA_WINDOW_DEVICE_GONE"],
    );
    await gone;
    assert.equal([device.gone, device.closed], [true, true]);
    container.close();
    assert.equal(model.leaks(), []);
  }
});

closing("a container whose groups left with their device: what was mapped went with them", async () => {
  for (const machine of machineNames) {
    const { model, container, device, plugged } = driven(new Probe(), { machine });
    const memory = new MemsegTable({ kernel: model });
    const list = memory.addList({ pageSize: BigInt(model.pageSize), maxBytes: 1n << 20n });
    container.createWindow(planWindow({ memory, info: container.info() }));
    container.attach(memory);
    memory.allocate(list, 4);
    const unbound = plugged.unbind();
    device.close();
    await unbound;
    assert.equal(
      warningsOf(() => container.close()),
      ["DMA_WINDOW_GROUPS_GONE"],
      machine,
    );
    assert.is(container.closed, true);
    memory.close();
    assert.equal(model.leaks(), []);
  }
});

closing(
  "what is unmapped one by one when the groups have left went with them too: heaps, segments, memory of the program's own",
  async () => {
    for (const machine of machineNames) {
      const { model, container, device, plugged } = driven(new Probe(), { machine });
      const page = BigInt(model.pageSize);
      const memory = new MemsegTable({ kernel: model });
      const list = memory.addList({ pageSize: page, maxBytes: 4n << 20n });
      const growTo = 16n << 20n; // room for memory of the program's own
      const window = container.createWindow(planWindow({ memory, info: container.info(), growTo }));
      container.attach(memory);
      const heap = new DmaHeap({ memory, list, window });
      const buffer = heap.buffer(5000);
      const segment = memory.allocate(list, 4);
      const other = memory.allocate(list, 2);
      const va = model.mmap(0n, page, 3, 0, 0);
      const iova = window.map({ va, length: page });
      const unbound = plugged.unbind();
      device.close();
      await unbound;
      window.unmap({ iova, length: page });
      memory.free(segment);
      buffer.close();
      heap.close();
      assert.equal([heap.closed, window.liveBytes], [true, other.length], machine);
      container.detach(memory);
      memory.free(other);
      window.close();
      assert.equal(
        warningsOf(() => container.close()),
        ["DMA_WINDOW_GROUPS_GONE"],
        machine,
      );
      memory.close();
      assert.equal(model.leaks(), [], machine);
    }
  },
);

/** What the IOMMU's driver answers while the kernel takes the last group away from it: it has unmapped and forgotten all already. */
function leavingWhen(isLeaving: () => boolean): (model: ModelKernel) => Syscalls {
  return (model) =>
    hiding(model, [], {
      ioctlBatch(fd, memory, table, count) {
        if (!isLeaving()) return model.ioctlBatch(fd, memory, table, count);
        const view = new DataView(memory.buffer, memory.byteOffset);
        for (let k = 0; k < count; k++) {
          const entry = table + k * BATCH_ENTRY_BYTES;
          const isUnmap = view.getUint32(entry, true) === VfioCall.IOMMU_UNMAP_DMA;
          if (isUnmap) view.setBigUint64(view.getUint32(entry + 4, true) + UNMAP_SIZE, 0n, true);
          view.setInt32(entry + 8, isUnmap ? 0 : no.ENOENT, true);
          if (!isUnmap) return k;
        }
        return count;
      },
    });
}

closing("what is unmapped while its groups are leaving went with them, whatever the kernel answers", async () => {
  for (const machine of machineNames) {
    let isLeaving = false;
    const leaving = leavingWhen(() => isLeaving);
    const { model, container, device, plugged, kernel } = driven(new Probe(), { machine, through: leaving });
    const memory = new MemsegTable({ kernel });
    const list = memory.addList({ pageSize: BigInt(model.pageSize), maxBytes: 4n << 20n });
    container.createWindow(planWindow({ memory, info: container.info() }));
    container.attach(memory);
    const segments = [memory.allocate(list, 4), memory.allocate(list, 2), memory.allocate(list, 1)] as const;
    const unbound = plugged.unbind();
    device.close();
    await unbound;
    isLeaving = true;
    memory.free(segments[1]);
    container.detach(memory);
    isLeaving = false;
    container.close();
    memory.close();
    assert.equal(model.leaks(), [], machine);
  }
});

closing("an UNMAP that fails in a container whose groups are there is an error as before", () => {
  const model = modelKernel({ ...machines.x86, devices: [new Probe()] });
  let fails = false;
  const kernel = hiding(model, [], {
    ioctlBatch(fd, memory, table, count) {
      if (!fails || count === 0) return model.ioctlBatch(fd, memory, table, count);
      new DataView(memory.buffer, memory.byteOffset).setInt32(table + 8, no.EINVAL, true);
      return 0;
    },
  });
  const container = openContainer({ kernel, groups: [26] });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 4096n, maxBytes: 1n << 20n });
  container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  memory.allocate(list, 4);
  fails = true;
  failure("ERR_CLOSE", () => container.close());
});

closing("resets are refused where there are none, and say what to do", () => {
  const { container, device } = driven(new Probe({ flr: false }));
  assert.is(device.canReset, false);
  assert.match(failure("ERR_NO_RESET", () => device.reset()).message, "it has no FLR");
  const reason = device.hotResetReason() ?? "";
  assert.match(failure("ERR_NO_HOT_RESET", () => device.hotReset()).message, reason);
  assert.match(reason, "root bus");
  container.close();
});

closing("a whole bus is reset where all of its groups are in the container", () => {
  const [one, other] = [
    new Probe({}, { address: "0000:01:00.0", group: 1 }),
    new Probe({}, { address: "0000:01:00.1", group: 2 }),
  ];
  const model = modelKernel({ ...machines.pnv, devices: [one, other] });
  const container = openContainer({ kernel: model, groups: [1] });
  const device = container.device();
  assert.match(device.hotResetReason() ?? "", "0000:01:00.1 (group 2) too, which is not in this container");
  failure("ERR_NO_HOT_RESET", () => device.hotReset());
  container.addGroup(2);
  assert.is(device.hotResetReason(), undefined);
  const before = [one.resets, other.resets];
  device.hotReset();
  assert.ok(one.resets > (before[0] as number) && other.resets > (before[1] as number));
  container.close();
  assert.equal(model.leaks(), []);
});

closing.run();
