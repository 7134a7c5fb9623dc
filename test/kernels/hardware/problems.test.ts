/** What the runner for hardware refuses before anything is run, and how it says so. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readGroups } from "../../../src/system/groups.ts";
import type { Entry } from "../../system/temp-tree.ts";
import { partsForHardware } from "./parts.ts";
import { type Circumstances, problemsOf } from "./problems.ts";
import { device, ready, rooted } from "./tree.ts";

/** What speaks against all parts on group 26, where nothing else is wrong than what is said. */
function problems(
  entries: Record<string, Entry>,
  wrong: Partial<Circumstances> = {},
  parts = partsForHardware,
): string {
  let said: string[] = [];
  rooted(entries, (roots) => {
    said = problemsOf([26], parts, {
      platform: "linux",
      isRoot: true,
      groups: readGroups(roots.groups, roots.nodes),
      locked: { limit: 65536n, used: 0n, privileged: true },
      refuses: () => undefined,
      isOpenToAll: () => true,
      withoutShim: undefined,
      nobodyRuns: () => true,
      ...wrong,
    });
  });
  return said.join("\n");
}

test("a group that is bound and free stands against nothing", () => {
  assert.is(problems(ready), "");
});

test("a group that is not there is named with those that could be used", () => {
  assert.match(problems({}), /no IOMMU group 26.*its IOMMU is off or absent/);
  assert.match(problems(device(3, "0000:03:00.0", "nvme")), /of 1 groups, none has a device that is bound/);
  const others = { ...device(3, "0000:03:00.0", "vfio-pci"), ...device(4, "0000:04:00.0", "mlx5_vfio_pci") };
  assert.match(problems(others), /no IOMMU group 26.*bound to a VFIO driver are 3, 4/);
});

test("a device with another driver is named, with the lines that bind it; nothing is bound", () => {
  const said = problems(device(26, "0000:01:00.0", "nvme"));
  assert.match(said, /no device of group 26 is bound to a VFIO driver/);
  assert.match(said, "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override");
  assert.match(said, "echo 0000:01:00.0 > /sys/bus/pci/devices/0000:01:00.0/driver/unbind");
  assert.match(said, "echo 0000:01:00.0 > /sys/bus/pci/drivers_probe");
  assert.match(said, /left to you/);
});

test("a device without a driver need not be unbound", () => {
  const said = problems(device(26, "0000:01:00.0", undefined));
  assert.match(said, "drivers_probe");
  assert.not.match(said, "driver/unbind");
});

test("what else is in use in the group is to be bound too, and a bridge is not", () => {
  const beside = { ...device(26, "0000:01:00.1", "mlx5_core"), ...device(26, "0000:00:01.0", "pcieport") };
  const said = problems({ ...ready, ...beside });
  assert.match(said, "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.1/driver_override");
  assert.not.match(said, "devices/0000:01:00.0/");
  assert.not.match(said, "0000:00:01.0/");
});

test("a node that is not there, is in use, or may not be opened is said with its errno", () => {
  assert.match(problems(device(26, "0000:01:00.0", "vfio-pci")), /node of group 26 is missing/);
  assert.match(problems(ready, { refuses: () => "EBUSY" }), /26 is in use: another program has group 26/);
  assert.match(problems(ready, { refuses: () => "EACCES" }), /26 cannot be opened \(EACCES\): start the tests as root/);
});

test("a group without an IOMMU is refused unopened", () => {
  const opened: string[] = [];
  const refuses = (node: string) => {
    opened.push(node);
    return undefined;
  };
  const entries = { ...device(26, "0000:01:00.0", "vfio-pci"), "vfio/noiommu-26": "" };
  assert.match(problems(entries, { refuses }), /group 26 has no IOMMU/);
  assert.equal(opened, []);
});

test("without root only those parts are refused that start programs of another user", () => {
  assert.match(problems(ready, { isRoot: false }), /^ends and conformance start programs as the user nobody.*root/);
  assert.match(problems(ready, { isRoot: false }, ["dma", "ends"]), /without ends \(--parts\)/);
  assert.is(problems(ready, { isRoot: false }, ["dma", "flight", "library", "random"]), "");
});

test("the user nobody has to be able to open containers, and to run these programs", () => {
  assert.match(problems(ready, { isOpenToAll: () => false }), /chmod 666 \/dev\/vfio\/vfio/);
  assert.match(problems(ready, { nobodyRuns: () => false }), /nobody cannot run .*where everybody can read/);
  assert.is(problems(ready, { nobodyRuns: () => false, isOpenToAll: () => false }, ["random"]), "");
});

test("a small limit of locked memory matters without CAP_IPC_LOCK only", () => {
  const limited = (privileged: boolean, limit: bigint | null) =>
    problems(ready, { locked: { limit, used: 0n, privileged } });
  assert.match(limited(false, 8n << 20n), /RLIMIT_MEMLOCK is 8192 KiB.*ulimit -l unlimited/);
  assert.is(limited(true, 8n << 20n), "");
  assert.is(limited(false, null), "");
  assert.is(limited(false, 1n << 30n), "");
});

test("a shim that cannot be loaded, and a system that is not Linux, are said as they are", () => {
  assert.match(problems(ready, { withoutShim: "It has not been built." }), /It has not been built/);
  assert.is(problems({}, { platform: "darwin" }), "VFIO is part of Linux, and this is darwin");
});

test("all that is wrong is said at once", () => {
  const said = problems(device(26, "0000:01:00.0", "nvme"), { isRoot: false, withoutShim: "no shim" });
  for (const part of [/driver_override/, /takes root/, /no shim/]) assert.match(said, part);
});

test.run();
