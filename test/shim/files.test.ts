/** pread and pwrite: of a descriptor, at an offset, as many bytes as there are. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { errno, withShim } from "./native.ts";

withShim(
  (shim) => {
    const directory = mkdtempSync(join(tmpdir(), "dma-window-files-"));
    const fd = openSync(join(directory, "file"), "w+");
    test.after(() => {
      closeSync(fd);
      rmSync(directory, { recursive: true });
    });
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i + 1);

    test("what pwrite writes at an offset pread reads there, also behind 2^32 and without moving the file's position", () => {
      const far = (1n << 33n) + 5n;
      assert.is(shim.pwrite(fd, bytes, far), 64);
      const into = new Uint8Array(66).fill(0xaa);
      assert.is(shim.pread(fd, into.subarray(1, 65), far), 64);
      assert.equal(into, Uint8Array.from([0xaa, ...bytes, 0xaa]));
      assert.is(readSync(fd, new Uint8Array(1), 0, 1, null), 1);
    });

    test("a read across the end is short, and one behind it is 0", () => {
      ftruncateSync(fd, 0);
      shim.pwrite(fd, bytes, 0n);
      const into = new Uint8Array(64);
      assert.is(shim.pread(fd, into, 60n), 4);
      assert.equal(into.subarray(0, 5), new Uint8Array([61, 62, 63, 64, 0]));
      assert.is(shim.pread(fd, into, 64n), 0);
      assert.is(shim.pread(fd, into, (1n << 63n) - 65n), 0);
      assert.is(shim.pread(fd, new Uint8Array(0), 0n), 0);
      assert.is(shim.pwrite(fd, new Uint8Array(0), 0n), 0);
    });

    test("shared memory is read into and written from as well", () => {
      const shared = new Uint8Array(new SharedArrayBuffer(8), 4);
      assert.is(shim.pread(fd, shared, 8n), 4);
      assert.equal([...shared], [9, 10, 11, 12]);
      assert.is(shim.pwrite(fd, shared, 0n), 4);
    });

    test("what the kernel refuses comes back as -errno", () => {
      const none = 2 ** 31 - 1;
      assert.is(shim.pread(none, bytes, 0n), errno("EBADF"));
      assert.is(shim.pwrite(none, bytes, 0n), errno("EBADF"));
      const event = shim.eventfd();
      assert.is(shim.pread(event, bytes, 0n), errno("ESPIPE"));
      shim.close(event);
      // The last byte of a file lies before 2^63: which of the two is the file system's own.
      assert.ok([errno("EFBIG"), errno("EINVAL")].includes(shim.pwrite(fd, bytes, (1n << 63n) - 1n)));
    });
  },
  "pread()",
  (kernel) => kernel.pread?.(0, new Uint8Array(8), 0n),
);

test.run();
