/** What the runner for hardware is told, and what it finds out: on trees that look like sysfs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../../src/model/index.ts";
import type { Syscalls } from "../../../src/syscalls.ts";
import { thrownBy } from "../../support/failure.ts";
import type { Entry } from "../../system/temp-tree.ts";
import { guests } from "../guests.ts";
import { fromSystem, groupsIn, HUGEPAGES_AT_A_TIME } from "./machine.ts";
import { differenceFromModel } from "./model.ts";
import { hardwareOptionsFrom, usage } from "./options.ts";
import { partsForHardware, partsOn } from "./parts.ts";
import { device, edu, pool, ready, rooted } from "./tree.ts";

const powernv = modelKernel({ platform: "powernv" });
const pseries = modelKernel({ platform: "pseries" });
const type1 = modelKernel({ platform: "type1" });

function found(entries: Readonly<Record<string, Entry>>, kernel: Syscalls = type1, groups = [26]) {
  let result: ReturnType<typeof fromSystem> | undefined;
  rooted(entries, (roots) => {
    result = fromSystem(groups, kernel, roots);
  });
  return result as ReturnType<typeof fromSystem>;
}

test("DMA_WINDOW_GROUP names one group or two", () => {
  assert.equal(groupsIn("26"), [26]);
  assert.equal(groupsIn("0, 27"), [0, 27]);
});

test("anything else in DMA_WINDOW_GROUP is refused with what to say instead", () => {
  for (const text of ["", "x", "-1", "1.5", "026", "26,", "/dev/vfio/26", "99999999999", "1e3"]) {
    assert.match(thrownBy(() => groupsIn(text)).message, /no number of a group; say 26, or 26,27/, text);
  }
  assert.match(thrownBy(() => groupsIn("1,2,3")).message, /one group or two, not 3/);
  assert.match(thrownBy(() => groupsIn("26,26")).message, /names a group twice/);
});

test("without options all parts are run, in their own order whatever order they are named in", () => {
  assert.equal(hardwareOptionsFrom([]), { json: false, help: false, parts: partsForHardware });
  assert.equal(hardwareOptionsFrom(["--parts", "random,dma", "--json"]), {
    json: true,
    help: false,
    parts: ["dma", "random"],
  });
  for (const part of partsForHardware) assert.match(usage, part);
});

test("options that cannot be are refused in words, and so are parts that use a machine up", () => {
  const refusal = (...parameters: string[]) => thrownBy(() => hardwareOptionsFrom(parameters)).message;
  assert.match(refusal("--only", "x86"), /--only names emulated machines/);
  assert.match(refusal("--parts"), /--parts needs names/);
  assert.match(refusal("--parts", "--json"), /--parts needs names/);
  assert.match(refusal("--parts", "harm"), /no such part for hardware; there are dma/);
  assert.match(refusal("--parts", "hardware"), /no such part for hardware/);
  assert.match(refusal("--keep"), /--keep is no option/);
});

test("every part for hardware is a part of every guest that is booted as a rule, which has its time limit", () => {
  for (const guest of guests.filter(({ isExtra }) => !isExtra)) {
    const names = guest.parts.map(({ name }) => name);
    for (const part of partsForHardware) assert.ok(names.includes(part), `${guest.name} has no ${part}`);
  }
});

test("the machine is PowerNV, an LPAR or type1, by VFIO's drivers and the device tree", () => {
  const bare = { "tree/compatible": "ibm,witherspoon\0ibm,powernv\0" };
  const lpar = { "tree/compatible": "IBM,9009-42A\0", "tree/rtas/ibm,hypertas-functions": "hcall-tce\0" };
  assert.is(found({ ...ready, ...bare }, powernv).machine.machine, "powernv");
  assert.is(found({ ...ready, ...lpar }, pseries).machine.machine, "pseries");
  assert.is(found(ready, type1).machine.machine, "x86");
  const neither = { "tree/compatible": "ibm,powernv9000\0" };
  assert.match(thrownBy(() => found({ ...ready, ...neither }, powernv)).message, /neither PowerNV nor an LPAR/);
  assert.match(thrownBy(() => found(ready, pseries)).message, /neither PowerNV nor an LPAR/);
});

test("where VFIO has no driver for the IOMMU, the modules are named", () => {
  const without = { open: () => 3, ioctl: () => 0, close: () => 0 } as unknown as Syscalls;
  assert.match(thrownBy(() => found(ready, without)).message, /load vfio_iommu_spapr_tce .*or vfio_iommu_type1/);
  const closed = { open: () => -2 } as unknown as Syscalls;
  assert.match(thrownBy(() => found(ready, closed)).message, /\/dev\/vfio\/vfio cannot be opened.*load the module/);
});

test("learning of a machine leaves no descriptor open", () => {
  const kernel = modelKernel({ platform: "type1" });
  found(ready, kernel);
  assert.equal(kernel.leaks(), []);
});

test("hugepages are used of pools with enough to spare, and not those that others were promised", () => {
  const pools = (...entries: Record<string, Entry>[]) => found(Object.assign({}, ready, ...entries)).machine.hugepages;
  assert.equal(pools(), []);
  assert.equal(pools(pool(2048, 64, 40, 10)), [[21, 30]]);
  assert.equal(pools(pool(2048, 64, HUGEPAGES_AT_A_TIME + 9, 10)), []);
  assert.equal(pools(pool(2048, 64, HUGEPAGES_AT_A_TIME + 10, 10)), [[21, HUGEPAGES_AT_A_TIME]]);
  assert.equal(pools(pool(1048576, 8, 8), pool(16384, 9, 9)), [
    [24, 9],
    [30, 8],
  ]);
  assert.equal(pools(pool(16777216, 9, 9), pool(64, 99, 99)), [], "of sizes that the tests do not know");
});

test("of a group's devices the one is taken that can be told what to do, else one that VFIO has", () => {
  const of = (...entries: Record<string, Entry>[]) => found(Object.assign({}, ...entries)).devices;
  const other = device(26, "0000:01:00.0", "vfio-pci");
  assert.equal(of(other, device(26, "0000:01:00.1", "vfio-pci", edu)), [
    { name: "0000:01:00.1", group: 26, isEdu: true },
  ]);
  const beside = device(26, "0000:00:1f.0", undefined, edu);
  assert.equal(of(other, beside), [{ name: "0000:01:00.0", group: 26, isEdu: false }], "an edu that is not bound");
});

test("a device is known as edu by vendor and device together", () => {
  for (const id of ["0x1234 0x1111", "0x15b3 0x11e8"]) {
    assert.is(found(device(26, "0000:01:00.0", "vfio-pci", id)).devices[0]?.isEdu, false, id);
  }
});

test("devices are given in the order in which their groups were named", () => {
  const two = { ...device(1, "0000:02:00.0", "vfio-pci"), ...device(26, "0000:01:00.0", "vfio-pci", edu) };
  const { devices, isExpendable } = found(two, type1, [26, 1]);
  assert.equal(
    devices.map(({ group }) => group),
    [26, 1],
  );
  assert.is(isExpendable, false);
});

test("an IOMMU that is not the model's is described by what differs, and nothing stays open", () => {
  const machine = { name: "here", machine: "powernv", hugepages: [] } as const;
  const described = (kernel: Syscalls) =>
    differenceFromModel(kernel, { machine, devices: [{ name: "", group: 26, isEdu: false }], isExpendable: false });
  assert.is(described(modelKernel({ platform: "powernv" })), undefined);
  const smaller = modelKernel({ platform: "powernv", defaultWindowSize: 1n << 30n });
  assert.is(described(smaller), "defaultWindow {start:0x0,size:0x40000000}, and not {start:0x0,size:0x80000000}");
  assert.equal(smaller.leaks(), []);
  assert.match(described(modelKernel({ platform: "type1" })) ?? "", /kind type1, and not spapr/);
});

const named = partsForHardware.map((name) => ({ name, seconds: 1 }));
const edus = (...are: readonly boolean[]) => ({
  devices: are.map((isEdu, index) => ({ name: `0000:0${index}:00.0`, group: index, isEdu })),
});

/** The names of the parts that run, and all that is said of the others. */
function partsWith(found: ReturnType<typeof edus>, difference: () => string | undefined = () => undefined) {
  const { parts, leftOut } = partsOn(found, named, difference);
  return { names: parts.map(({ name }) => name), said: leftOut.join("\n") };
}

test("with a device to command in each of two groups nothing is left out", () => {
  assert.equal(partsWith(edus(true, true)), { names: partsForHardware, said: "" });
});

test("with one device to command, what wants two is left out", () => {
  const { names, said } = partsWith(edus(true));
  assert.equal(names, ["dma", "flight", "ends", "random", "conformance"]);
  assert.is(
    said,
    "left out: library, which needs 2 devices that do DMA where they are told (QEMU's edu), and no other beside",
  );
});

test("where any named group has another device no transfer is begun, so that it is never opened", () => {
  for (const found of [edus(false), edus(true, false), edus(false, true)]) {
    const { names, said } = partsWith(found);
    assert.equal(names, ["ends", "random", "conformance"]);
    assert.match(said, /left out: dma, which needs a device/);
  }
});

test("random calls are left out where the model describes another IOMMU, and that is asked only for them", () => {
  const { names, said } = partsWith(edus(true, true), () => "levels 3, and not 5");
  assert.not.ok(names.includes("random"));
  assert.match(said, /^left out: random, because the model .* has levels 3, and not 5$/);
  partsOn(edus(true, true), [{ name: "dma", seconds: 1 }], () => {
    throw new Error("asked");
  });
});

test.run();
