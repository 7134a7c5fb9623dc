/** From an address to a controller at work, on machines with other pages. */
import { modelKernel, softwareNvme } from "dma-window";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Stand } from "../../examples/nvme/stand.mjs";
import { ADDRESS } from "./rig.ts";

for (const [shift, words] of [
  [21, "2 MiB"],
  [24, "16 MiB"],
] as const) {
  test(`a machine with hugepages of ${words}: its memory is whole ones, and a block is read`, async () => {
    const kernel = modelKernel({
      platform: "powernv",
      pageSize: 65536,
      hugepages: { [shift]: 16 },
      devices: [softwareNvme({ address: ADDRESS })],
    });
    const stand = await Stand.open({ kernel, address: ADDRESS });
    try {
      const [disk] = stand.controller.namespaces;
      const bytes = new Uint8Array(512).fill(7);
      await disk?.read(0, bytes);
      assert.equal(bytes, new Uint8Array(512));
      assert.ok(stand.window.pageShift >= 21, "hugepages were taken");
    } finally {
      await stand.close();
    }
    assert.equal(kernel.leaks(), []);
  });
}

test.run();
