import { closeSync, openSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, withShim } from "./native.ts";

const neverOpen = 2 ** 31 - 1;

withShim(
  (shim) => {
    test("open returns a descriptor that is read-write and closed on exec, and close closes it", () => {
      const fd = shim.open("/dev/null");
      assert.ok(fd >= 0);
      const flags = Number.parseInt(
        readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").match(/flags:\s*(\d+)/)?.[1] ?? "",
        8,
      );
      assert.is(flags & 3, 2);
      // O_CLOEXEC, the same on every architecture that the shim is built for.
      assert.is(flags & 0o2000000, 0o2000000);
      assert.is(shim.close(fd), 0);
      assert.is(shim.close(fd), errno("EBADF"));
    });

    test("open says -errno for what is not there, cannot be written, or has too long a name", () => {
      assert.is(shim.open("/nowhere/vfio"), errno("ENOENT"));
      assert.is(shim.open(""), errno("ENOENT"));
      assert.is(shim.open("/proc"), errno("EISDIR"));
      assert.is(shim.open(`/${"a".repeat(300)}`), errno("ENAMETOOLONG"));
    });

    test("ioctls on a descriptor that is not VFIO's say -ENOTTY", () => {
      const fd = openSync("/dev/null", "r+");
      assert.is(shim.ioctl(fd, VfioCall.GET_API_VERSION, 0), errno("ENOTTY"));
      assert.is(shim.ioctl(fd, VfioCall.CHECK_EXTENSION, IommuType.SPAPR_TCE_V2), errno("ENOTTY"));
      assert.is(shim.ioctl(fd, VfioCall.SET_IOMMU, 0xffffffff), errno("ENOTTY"));
      assert.is(shim.ioctlStruct(fd, VfioCall.IOMMU_MAP_DMA, new Uint8Array(32), 0), errno("ENOTTY"));
      closeSync(fd);
    });

    test("ioctls on a descriptor that is not open say -EBADF", () => {
      assert.is(shim.ioctl(neverOpen, VfioCall.GET_API_VERSION, 0), errno("EBADF"));
      assert.is(shim.ioctlStruct(neverOpen, VfioCall.IOMMU_MAP_DMA, new Uint8Array(32), 0), errno("EBADF"));
      assert.is(shim.close(neverOpen), errno("EBADF"));
    });
  },
  "open()",
  (kernel) => kernel.open("/dev/null"),
);

test.run();
