/** What a driver's author does wrong most often, and what the error says to do next. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { edu, modelKernel, softwareNvme } from "../../src/model/index.ts";
import { bindToVfio } from "../../src/pci/bind.ts";
import { thrownBy } from "../support/failure.ts";
import { driven, machines, Probe } from "./site.ts";

const words = suite("mistakes, and what is said of them");

const ADDRESS = "0000:01:00.0";

/** Each has the code, and names what to do. */
function says(run: () => unknown, code: string, ...next: readonly (string | RegExp)[]): void {
  const error = thrownBy(run);
  assert.is(error.code, code, error.stack ?? error.message);
  for (const one of next) assert.match(error.message, one);
}

words("a container without a device: devices are named, or groups", () => {
  const { kernel, container } = driven();
  says(() => openContainer({ kernel }), "ERR_INVALID_ARG_TYPE", "groups", "devices");
  container.close();
});

words("a device that is still with its driver", () => {
  const kernel = modelKernel({
    platform: "type1",
    devices: [{ ...softwareNvme({ address: ADDRESS }), driver: "nvme" }],
  });
  says(() => openContainer({ kernel, devices: [ADDRESS] }), "ERR_KERNEL", `${ADDRESS} is bound to nvme`, "vfio-pci");
});

words("a device without a group: the IOMMU of this machine is to be turned on, or none is meant", () => {
  const nvme = () => [{ ...softwareNvme({ address: ADDRESS }), driver: "nvme" }];
  const kernel = modelKernel({ platform: "noiommu", devices: nvme() });
  says(() => openContainer({ kernel, devices: [ADDRESS], noIommu: true }), "ERR_NO_GROUP", "bindToVfio", ADDRESS);
  const files = kernel.files;
  const strict = {
    ...files,
    text: (path: string) => (path.endsWith("enable_unsafe_noiommu_mode") ? "N\n" : files.text(path)),
  };
  const other = new Proxy(kernel, {
    get(target, name) {
      if (name === "files") return strict;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const error = thrownBy(() => openContainer({ kernel: other, devices: [ADDRESS] }));
  assert.is(error.code, "ERR_NO_GROUP");
  assert.match(error.message, "firmware's setup");
  assert.match(error.message, "enable_unsafe_noiommu_mode=1");
  assert.not.match(error.message, "amd_iommu=on"); // no kernel knows that option
});

words("a group that has no IOMMU, opened as if it had one", () => {
  const kernel = modelKernel({ platform: "noiommu", devices: [softwareNvme({ address: ADDRESS })] });
  says(
    () => openContainer({ kernel, devices: [ADDRESS] }),
    "ERR_KERNEL",
    /ENOENT: group 26 has no IOMMU in front of its devices: its node is \/dev\/vfio\/noiommu-26/,
    "noIommu: true",
  );
});

words("a driver that was not told of its neighbours", () => {
  const kernel = modelKernel({
    platform: "type1",
    devices: [
      { ...softwareNvme({ address: ADDRESS }), group: 30, driver: "nvme" },
      { ...edu({ address: "0000:01:00.1" }), group: 30, driver: "e1000e" },
    ],
  });
  bindToVfio(ADDRESS, { kernel });
  says(
    () => openContainer({ kernel, devices: [ADDRESS] }),
    "ERR_GROUP_NOT_VIABLE",
    "0000:01:00.1",
    "e1000e",
    "vfio-pci",
  );
});

words("numbers of the wrong kind, and signed ones", () => {
  const { container, device } = driven();
  const bar = device.bar(0);
  says(() => bar.write32(0, 1n as never), "ERR_INVALID_ARG_TYPE", "a number", "write64");
  says(() => bar.write64(0, 1 as never), "ERR_INVALID_ARG_TYPE", "a bigint", "1n");
  says(() => bar.write32(0, -1), "ERR_OUT_OF_RANGE", "value >>> 0");
  says(() => bar.read32(2), "ERR_OUT_OF_RANGE", "a multiple of 4");
  container.close();
});

words("what is closed says how it is opened anew, whichever part was closed", () => {
  const { container, device, address } = driven();
  const bar = device.bar(0);
  bar.close();
  says(() => bar.read32(0), "ERR_CLOSED", `container.device("${address}").bar(0)`);
  const vectors = device.irqs.msix(1);
  const vector = vectors.vector(0);
  vectors.disable();
  says(() => vectors.vector(0), "ERR_CLOSED", "device.irqs.msix(count)");
  says(() => vectors.grow(2), "ERR_CLOSED", "device.irqs.msix(count)");
  says(() => vector.poll(), "ERR_CLOSED", "device.irqs");
  device.close();
  says(() => device.bar(0), "ERR_CLOSED", `container.device("${address}")`);
  says(() => bar.read32(0), "ERR_CLOSED", `container.device("${address}").bar(0)`);
  container.close();
});

words("interrupts: too few, too many, twice, of a kind that is not there", () => {
  const { container, device } = driven();
  says(() => device.irqs.msix(0), "ERR_TOO_MANY_VECTORS", /^0 vectors of MSI-X/, "1 to 65");
  says(() => device.irqs.msix(66), "ERR_TOO_MANY_VECTORS", /^66 vectors of MSI-X/, "1 to 65");
  says(() => device.irqs.msi(), "ERR_NO_MSI", "irqs.msix()", "irqs.intx()");
  device.irqs.intx();
  says(() => device.irqs.msix(), "ERR_INTERRUPTS_ON", "1 vector:", "irqs.disable()");
  container.close();
});

words("a bus that cannot be reset: the device alone, where it can", () => {
  const probe = () => new Probe({}, { address: ADDRESS });
  const kernel = modelKernel({ ...machines.x86, devices: [probe()] });
  const container = openContainer({ kernel, devices: [ADDRESS] });
  says(() => container.device().hotReset(), "ERR_NO_HOT_RESET", "device.reset()");
  container.close();
});

words.run();
