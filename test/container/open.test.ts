import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { badValues } from "../support/bad-values.ts";
import { failure, refusesArgument, thrownBy } from "../support/failure.ts";
import { type Fault, faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";

/** What opening asks of the kernel, in order, for one group on bare metal. */
const steps = [
  "open",
  "GET_API_VERSION",
  "CHECK_EXTENSION",
  "open",
  "GROUP_GET_STATUS",
  "GROUP_SET_CONTAINER",
  "SET_IOMMU",
] as const;

/** Opening with those faults, which must throw and leave nothing open. */
function failsCleanly(code: string, groups: readonly number[], ...faults: Fault[]): Error {
  const model = modelKernel({ groups: [26, 27] });
  const error = failure(code, () => openContainer({ kernel: faulty(model, ...faults), groups }));
  assert.equal(model.snapshot().descriptors, []);
  assert.equal(model.leaks(), []);
  // Nothing holds the groups: they open again.
  openContainer({ kernel: model, groups: [26, 27] }).close();
  return error;
}

test("a container is opened step by step, and closed group first", () => {
  const kernel = recording(modelKernel());
  const container = openContainer({ kernel, groups: [26] });
  assert.equal(kernel.takeNames(), [...steps]);
  container.close();
  assert.equal(
    kernel.take().map(({ call, fd }) => [call, fd]),
    [
      ["close", 4],
      ["close", 3],
    ],
  );
});

test("whichever step the kernel refuses, nothing stays open", () => {
  steps.forEach((step, nth) => {
    const code = ["GET_API_VERSION", "CHECK_EXTENSION"].includes(step)
      ? { GET_API_VERSION: "ERR_VFIO_VERSION", CHECK_EXTENSION: "ERR_NO_IOMMU_DRIVER" }[step as "GET_API_VERSION"]
      : "ERR_KERNEL";
    failsCleanly(code as string, [26], { nth, answer: no.EIO });
  });
});

test("whichever step is refused for the second group, the first is let go too", () => {
  for (let nth = steps.length - 1; nth < steps.length + 3; nth++) {
    failsCleanly("ERR_KERNEL", [26, 27], { nth, answer: no.EIO });
  }
  failsCleanly("ERR_KERNEL", [26, 27], { call: "GET_INFO", answer: no.EIO });
});

test("no node: the module, or the model, is suggested", () => {
  const error = failsCleanly("ERR_KERNEL", [26], { call: "open", answer: no.ENOENT }) as ReturnType<typeof failure>;
  assert.match(error.message, "open /dev/vfio/vfio: ENOENT");
  assert.match(error.message, "load the module vfio");
  assert.equal([error.errno, error.syscall], [no.ENOENT, "open"]);
});

test("a group that is not there is named", () => {
  const model = modelKernel();
  const error = failure("ERR_KERNEL", () => openContainer({ kernel: model, groups: [99] }));
  assert.match(error.message, "open /dev/vfio/99: ENOENT");
  assert.match(error.message, "no IOMMU group 99, but 26");
  assert.is(error.facts?.group, 99);
  assert.equal(model.leaks(), []);
});

test("what a group lacks is read from the machine whose kernel it is, and from no other", () => {
  const driverOf = (driver: string | number): MachineFiles => {
    const { files } = modelKernel();
    return { ...files, link: (path) => (path.endsWith("/driver") && typeof driver === "string" ? `../${driver}` : -2) };
  };
  const words = (files: MachineFiles | undefined): string => {
    const model = modelKernel();
    const refusing = faulty(model, { call: "GROUP_GET_STATUS", answer: 0 });
    const kernel = new Proxy(refusing, {
      get(target, name) {
        if (name === "files") return files;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return failure("ERR_GROUP_NOT_VIABLE", () => openContainer({ kernel, groups: [26] })).message;
  };
  assert.match(
    words(driverOf(-2)),
    "no device of group 26 is bound to a VFIO driver; bind one of 0000:00:1a.0 to vfio-pci",
  );
  assert.match(words(driverOf("e1000e")), "0000:00:1a.0 belongs to group 26 too and is in use by e1000e");
  assert.match(words(undefined), /not every device in it is bound to vfio-pci$/);
  const { files } = modelKernel({ platform: "noiommu" });
  assert.match(words({ ...files, names: () => -13 }), /not every device in it is bound to vfio-pci$/);
});

test("a group opens once: the second container is refused, and the first goes on", () => {
  const model = modelKernel();
  const first = openContainer({ kernel: model, groups: [26] });
  const error = failure("ERR_KERNEL", () => openContainer({ kernel: model, groups: [26] }));
  assert.is(error.errno, no.EBUSY);
  assert.match(error.message, "a group opens once");
  assert.is(model.snapshot().descriptors.length, 2);
  const info = first.info();
  assert.equal([info.kind, info.kind === "spapr" && info.platform, first.kind], ["spapr", "powernv", "spapr"]);
  first.close();
  assert.equal(model.leaks(), []);
});

test("what stands in the place of VFIO and knows none of its calls is told by its answer", () => {
  for (const [call, code] of [
    ["GET_API_VERSION", "ERR_VFIO_VERSION"],
    ["CHECK_EXTENSION", "ERR_NO_IOMMU_DRIVER"],
  ] as const) {
    const model = modelKernel();
    const kernel = faulty(model, { call, answer: no.ENOTTY });
    const error = failure(code, () => openContainer({ kernel, groups: [26] }));
    assert.match(error.message, /ENOTTY: what answers at \/dev\/vfio\/vfio is not VFIO's container/);
    assert.equal([error.errno, model.leaks()], [no.ENOTTY, []]);
  }
});

test("a group that is not viable is refused before it is put into the container", () => {
  const model = modelKernel();
  const seen = recording(model);
  // The kernel's own answer would be 0 with the viable flag: answering 0 without the flag is a group that is not.
  const kernel = faulty(seen, { call: "GROUP_GET_STATUS", answer: 0 });
  const error = failure("ERR_GROUP_NOT_VIABLE", () => openContainer({ kernel, groups: [26] }));
  assert.match(error.message, "group 26");
  assert.not(seen.takeNames().includes("GROUP_SET_CONTAINER"));
  assert.equal(model.leaks(), []);
});

test("a machine for whose IOMMU VFIO has no driver is told what to load", () => {
  const without = failsCleanly("ERR_NO_IOMMU_DRIVER", [26], { call: "CHECK_EXTENSION", answer: 0, times: 3 });
  assert.match(without.message, "vfio_iommu_type1");
  assert.match(without.message, "vfio_iommu_spapr_tce");
});

test("another version of VFIO is refused with both versions", () => {
  const error = failsCleanly("ERR_VFIO_VERSION", [26], { call: "GET_API_VERSION", answer: 7 });
  assert.match(error.message, "version 7; known is 0");
});

test("a positive answer is a failure, and not taken for an errno", () => {
  for (const call of ["GROUP_GET_STATUS", "GROUP_SET_CONTAINER", "SET_IOMMU"]) {
    const error = failsCleanly("ERR_KERNEL", [26], { call, answer: 1 }) as ReturnType<typeof failure>;
    assert.match(error.message, "the answer was 1, which means failure", call);
    assert.not.match(error.message, "EPERM", call);
    assert.is(error.errno, undefined);
  }
});

test("PowerNV takes several groups in a container; an LPAR takes one, and a second is refused by us", () => {
  const powernv = modelKernel({ groups: [26, 27] });
  const container = openContainer({ kernel: powernv, groups: [26, 27] });
  assert.equal(powernv.snapshot().containers[0]?.groups, [26, 27]);
  container.close();
  assert.equal(powernv.leaks(), []);

  const pseries = modelKernel({ platform: "pseries", groups: [26, 27] });
  const error = failure("ERR_ONE_GROUP", () => openContainer({ kernel: pseries, groups: [26, 27] }));
  assert.match(error.message, "one group; 2 were named");
  assert.equal(pseries.leaks(), []);
});

test("every group of a container reaches what is mapped, and stops reaching it with the unmap", () => {
  const model = modelKernel({ groups: [26, 27] });
  const container = openContainer({ kernel: model, groups: [27, 26] });
  const window = container.createWindow(
    planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1n << 24n }),
  );
  const va = model.mmap(0n, 4096n, 3, 0, 0);
  const iova = window.map({ va, length: 4096 });
  assert.equal([model.tceAt(26, iova)?.va, model.tceAt(27, iova)?.va], [va, va]);
  window.unmap({ iova, length: 4096 });
  assert.equal([model.tceAt(26, iova), model.tceAt(27, iova)], [undefined, undefined]);
  container.close();
  assert.equal(model.leaks(), []);
});

test("the error that opening met is not hidden by one that closing meets", () => {
  const model = modelKernel({ groups: [26, 27] });
  const kernel = faulty(model, { call: "GET_INFO", answer: no.EIO }, { call: "close", answer: no.EIO });
  const error = failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26, 27] }));
  assert.is(error.syscall, "VFIO_IOMMU_SPAPR_TCE_GET_INFO");
});

test("bad arguments are refused before anything is opened", () => {
  const model = modelKernel();
  const seen = recording(model);
  const right = { kernel: seen, groups: [26] };
  for (const [, value] of badValues("an object", "an array")) {
    refusesArgument(() => openContainer(value as never));
    refusesArgument(() => openContainer({ ...right, kernel: value as never }));
  }
  for (const [, value] of badValues("an array"))
    refusesArgument(() => openContainer({ ...right, groups: value as never }));
  for (const [, value] of badValues()) refusesArgument(() => openContainer({ ...right, groups: [26, value as never] }));
  refusesArgument(() => openContainer({ ...right, groups: [] }));
  refusesArgument(() => openContainer({ ...right, kernel: {} as never }));
  assert.equal(seen.calls, []);
});

/** A model's, if nothing else is asked for. */
const POOLS = [
  [2n << 20n, 1024],
  [16n << 20n, 128],
  [1n << 30n, 2],
];

test("what the kernel says of its IOMMU comes through", () => {
  for (const [platform, pageSizes, size, levels] of [
    ["powernv", 0x40211000n, 2n << 30n, 5],
    ["pseries", 0x1211000n, 1n << 30n, 1],
  ] as const) {
    const model = modelKernel({ platform, pageSize: 65536 });
    const container = openContainer({ kernel: model, groups: [26] });
    const { hugepages, ...said } = container.info();
    assert.equal(
      hugepages?.map(({ pageSize, total }) => [pageSize, total]),
      POOLS,
    );
    assert.equal(said, {
      kind: "spapr",
      platform,
      dynamicWindows: true,
      maxWindows: 2,
      levels,
      pageSizes,
      defaultWindow: { start: 0n, size },
      cpuPageSize: 65536,
      lockedMemory: model.lockedMemory(),
    });
    container.close();
    assert.is(thrownBy(() => container.info()).code, "ERR_CLOSED");
  }
});

test("a group that is named twice is refused as an argument, and nothing is opened", () => {
  const model = modelKernel();
  const record = recording(model);
  for (const groups of [
    [26, 26],
    [26, 27, 26],
  ]) {
    const error = refusesArgument(() => openContainer({ kernel: record, groups }));
    assert.is((error as { code?: string }).code, "ERR_OUT_OF_RANGE");
    assert.match(
      error.message,
      `groups[${groups.length - 1}] must be a group that groups[0] does not name already; got 26`,
    );
  }
  assert.equal(record.takeNames(), []);
});

test.run();
