/** Memory of a NUMA node, on this machine: mbind without libnuma. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Protection } from "../../src/syscalls.ts";
import { readNodes } from "../../src/system/nodes.ts";
import { errno, withShim } from "./native.ts";

withShim(
  (shim) => {
    const page = BigInt(shim.pageSize());
    const length = 16n * page;
    const readWrite = Protection.READ | Protection.WRITE;

    /** What /proc/self/numa_maps says of the memory: its policy, and the pages of each node. */
    const policyAt = (address: bigint) =>
      readFileSync("/proc/self/numa_maps", "utf8")
        .split("\n")
        .find((line) => line.startsWith(`${address.toString(16).padStart(8, "0")} `));

    /** A container may forbid the call, and a kernel be built without it: then there is nothing to try. */
    const node = readNodes().find(({ memory }) => (memory?.free ?? 0n) > 64n << 20n)?.id;
    const probe = shim.mmap(0n, page, readWrite, 0, 0);
    const answer = node === undefined ? errno("ENOSYS") : shim.bindNode(probe, page, node);
    shim.munmap(probe, page);

    if (answer === 0 && node !== undefined) {
      test("memory that is bound comes from its node when it is touched, and from no other", () => {
        const address = shim.mmap(0n, length, readWrite, 0, 0);
        assert.is(shim.bindNode(address, length, node), 0);
        assert.match(policyAt(address) ?? "", `bind:${node}`);
        const buffer = shim.view(address, length);
        new Uint8Array(buffer).fill(1);
        assert.match(policyAt(address) ?? "", new RegExp(`N${node}=\\d+`));
        shim.detach(buffer);
        assert.is(shim.munmap(address, length), 0);
      });

      test("an mmap over bound memory ends that, so that it is bound again", () => {
        const address = shim.mmap(0n, length, readWrite, 0, 0);
        shim.bindNode(address, length, node);
        assert.is(shim.mmap(address, length, readWrite, 1, 0), address);
        assert.not.match(policyAt(address) ?? "", "bind");
        assert.is(shim.munmap(address, length), 0);
      });
    } else {
      test(`mbind answers ${answer} here`, () => {
        assert.ok([errno("ENOSYS"), errno("EPERM")].includes(answer));
      });
    }

    test("a node that is not there, an address inside a page and memory that is none are the kernel's to refuse", () => {
      const address = shim.mmap(0n, length, readWrite, 0, 0);
      const allowed = [errno("ENOSYS"), errno("EPERM")].includes(answer) ? [answer] : [];
      assert.ok([errno("EINVAL"), ...allowed].includes(shim.bindNode(address, length, 1023)));
      assert.ok([errno("EINVAL"), ...allowed].includes(shim.bindNode(address + 1n, page, node ?? 0)));
      shim.munmap(address, length);
      assert.ok([errno("EFAULT"), ...allowed].includes(shim.bindNode(address, length, node ?? 0)));
    });
  },
  "bindNode",
  (kernel) => kernel.bindNode?.(65536n, 65536n, 0),
);

test.run();
