import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groupProblems, type IommuGroup, readGroups } from "../../src/system/groups.ts";
import { failure, refused } from "../support/failure.ts";
import { type Entry, withTree } from "./temp-tree.ts";

/** A device as sysfs has it: its group links to it, and it links to its driver. */
function device(group: number | string, name: string, driver?: string): Record<string, Entry> {
  const entries: Record<string, Entry> = {
    [`groups/${group}/devices/${name}`]: { link: `../../../bus/${name}` },
    [`bus/${name}/vendor`]: "0x1af4\n",
  };
  if (driver !== undefined) entries[`bus/${name}/driver`] = { link: `../../../../bus/pci/drivers/${driver}` };
  return entries;
}

function groupsOf(entries: Record<string, Entry>, use: (groups: IommuGroup[], root: string) => void): void {
  withTree(entries, (root) => use(readGroups(join(root, "groups"), join(root, "vfio")), root));
}

function group(devices: Record<string, string | null>, node: string | null = "/dev/vfio/26"): IommuGroup {
  return { id: 26, node, devices: Object.entries(devices).map(([name, driver]) => ({ name, driver })) };
}

test("a group has its devices, the driver of each, and the node that opens it", () => {
  const entries = {
    ...device(26, "0000:01:00.1", "ahci"),
    ...device(26, "0000:01:00.0", "vfio-pci"),
    ...device(26, "0000:01:00.2"),
    "vfio/26": "",
  };
  groupsOf(entries, (groups, root) => {
    assert.equal(groups, [
      {
        id: 26,
        node: join(root, "vfio/26"),
        devices: [
          { name: "0000:01:00.0", driver: "vfio-pci" },
          { name: "0000:01:00.1", driver: "ahci" },
          { name: "0000:01:00.2", driver: null },
        ],
      },
    ]);
  });
});

test("groups come ascending by number, not by name", () => {
  const entries = { ...device(10, "0000:10:00.0"), ...device(9, "0000:09:00.0"), ...device(0, "0000:00:00.0") };
  groupsOf(entries, (groups) => {
    assert.equal(
      groups.map(({ id }) => id),
      [0, 9, 10],
    );
  });
});

test("a group without a node has none, and another group's node is not taken for it", () => {
  const entries = { ...device(2, "0000:02:00.0", "ahci"), "vfio/26": "", "vfio/vfio": "" };
  groupsOf(entries, (groups) => assert.is(groups[0]?.node, null));
});

test("a device without an IOMMU is opened by another name", () => {
  groupsOf({ ...device(3, "0000:03:00.0", "vfio-pci"), "vfio/noiommu-3": "" }, (groups, root) => {
    assert.is(groups[0]?.node, join(root, "vfio/noiommu-3"));
  });
});

test("devices that are not PCI keep the names of their bus", () => {
  groupsOf(device(4, "fsl_mc.dprc.2", "vfio-fsl-mc"), (groups) => {
    assert.equal(groups[0]?.devices, [{ name: "fsl_mc.dprc.2", driver: "vfio-fsl-mc" }]);
  });
});

test("entries that are no groups are passed over, and so is a group that went away", () => {
  const entries = { ...device("old", "0000:05:00.0"), "groups/7/type": "DMA\n", ...device(8, "0000:08:00.0") };
  groupsOf(entries, (groups) => {
    assert.equal(
      groups.map(({ id }) => id),
      [8],
    );
  });
});

test("a machine without IOMMU groups has none, whether the directory is missing or empty", () => {
  withTree({ "empty/.keep": "" }, (root) => {
    assert.equal(readGroups(join(root, "groups"), root), []);
    assert.equal(readGroups(join(root, "empty"), root), []);
  });
});

test("what is there and cannot be read is an error with the kernel's errno, not a machine without groups", () => {
  withTree({ groups: { link: "groups" } }, (root) => {
    const error = failure("ERR_GROUPS_UNREADABLE", () => readGroups(join(root, "groups"), root));
    assert.is(error.errno, -constants.errno.ELOOP);
    assert.is(error.facts?.path, join(root, "groups"));
  });
  withTree({ ...device(1, "0000:01:00.0"), "bus/0000:01:00.0/driver": "no link" }, (root) => {
    const error = failure("ERR_GROUPS_UNREADABLE", () => readGroups(join(root, "groups"), root));
    assert.is(error.errno, -constants.errno.EINVAL);
    assert.is(error.syscall, "readlink");
  });
});

test("paths that are no strings are refused", () => {
  refused("ERR_INVALID_ARG_TYPE", () => readGroups(3 as never));
  refused("ERR_INVALID_ARG_TYPE", () => readGroups("/nowhere", null as never));
});

test("nothing speaks against a group whose devices are VFIO's, idle, or bridges", () => {
  const devices = { "0000:01:00.0": "vfio-pci", "0000:01:00.1": null, "0000:00:01.0": "pcieport", b: "pci-stub" };
  assert.equal(groupProblems(group(devices)), []);
  assert.equal(groupProblems(group({ "0000:01:00.0": "mlx5_vfio_pci" })), []);
});

test("a device that a driver of the kernel uses is named, with the driver", () => {
  const problems = groupProblems(group({ "0000:01:00.0": "vfio-pci", "0000:01:00.1": "ahci" }));
  assert.is(problems.length, 1);
  assert.match(problems[0] as string, "0000:01:00.1");
  assert.match(problems[0] as string, "ahci");
});

test("a group that no VFIO driver has taken says which devices could be bound", () => {
  const problems = groupProblems(group({ "0000:01:00.0": null, "0000:01:00.1": null }, null));
  assert.is(problems.length, 1);
  assert.match(problems[0] as string, "0000:01:00.0, 0000:01:00.1");
  assert.match(problems[0] as string, "vfio-pci");
});

test("a device bound to pci-stub alone does not make a group openable", () => {
  assert.is(groupProblems(group({ "0000:01:00.0": "pci-stub" }, null)).length, 1);
});

test("a VFIO driver without a node, as in a container that was not given it, is told apart", () => {
  const problems = groupProblems(group({ "0000:01:00.0": "vfio-pci" }, null));
  assert.is(problems.length, 1);
  assert.match(problems[0] as string, "missing from /dev/vfio");
});

test("a group without devices says so", () => {
  assert.equal(groupProblems(group({}, null)), ["group 26 has no devices"]);
});

test("several problems are all told", () => {
  assert.is(groupProblems(group({ a: "ahci", b: "nvme" }, null)).length, 3);
});

test("this machine's own groups can be read and judged", () => {
  for (const found of readGroups()) {
    assert.ok(found.id >= 0);
    assert.instance(groupProblems(found), Array);
  }
});

test.run();
